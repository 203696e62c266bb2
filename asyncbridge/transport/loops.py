"""The event loops that asyncbridge itself creates: a sync bridge's and the worker's."""

from __future__ import annotations

import asyncio
import contextlib

__all__ = ["new_event_loop"]


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's loop where it is installed (``asyncbridge-keras[fast]``), else asyncio's."""
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - an extra, imported where it is used

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()
