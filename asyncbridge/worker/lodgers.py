"""What commands do, by their code, with what lives in the worker.

They call this by its name; see ``asyncbridge.client.keeping``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncbridge.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncbridge.worker.lodging import Lodging
    from asyncbridge.worker.objects import Claimant

__all__ = ["Present", "delete", "present"]


class Present:
    """The worker's lodging, and the client whose command runs, while that lasts."""

    __slots__ = ("_before", "claimant", "lodging")

    def __init__(self, lodging: Lodging, claimant: Claimant) -> None:
        self.lodging = lodging
        self.claimant = claimant

    def __enter__(self) -> None:
        global _present
        self._before, _present = _present, self

    def __exit__(self, *_: object) -> None:
        global _present  # noqa: PLW0603 - there is one GPU thread, and one command in it
        _present = self._before


_present: Present | None = None


def present() -> Present:
    """Return what the running command has at hand.

    Raises:
        WorkerError: None runs.
    """
    if _present is None:
        raise WorkerError("this is for the code of a command, in its worker")
    return _present


def delete(names: Iterable[str]) -> None:
    """Delete names.

    Raises:
        InUse: Another client has a handle on one.
        NameError: There is none of that name.
        NameTaken: It is another client's.
    """
    here = present()
    for name in names:
        here.lodging.namespace.value_of(name)
        here.lodging.bindings.delete(name, here.claimant)
