"""``python -m asyncbridge``: the ``asyncbridge`` command, where no script of it is on the path."""

from __future__ import annotations

from asyncbridge.cli import main

if __name__ == "__main__":
    main()
