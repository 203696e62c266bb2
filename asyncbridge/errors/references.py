"""Names and objects in the worker that cannot be had, taken or deleted."""

from __future__ import annotations

from asyncbridge.errors.base import AsyncBridgeError

__all__ = ["InUse", "NameTaken", "StaleReference"]

# The attributes have defaults in their classes: a worker may have told less of its own error.


class StaleReference(AsyncBridgeError, ReferenceError):
    """A reference, or a binding, whose object in the worker is gone.

    Attributes:
        number: The object's; 0 for none.
        incarnation: The life of the worker's process that had it; empty if that is not known.
        died_at: When that one ended, in seconds of Unix time; None if it lives, and the
            reference was released.
        reason: Why the object is gone, in words.
    """

    number: int = 0
    incarnation: str = ""
    died_at: float | None = None
    reason: str = ""

    def __init__(
        self,
        message: str,
        *,
        number: int = 0,
        incarnation: str = "",
        died_at: float | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.number = number
        self.incarnation = incarnation
        self.died_at = died_at
        self.reason = reason


class NameTaken(AsyncBridgeError, ValueError):
    """A name in the worker that belongs to another owner.

    Attributes:
        name: The name.
        owner: Whose it is.
    """

    name: str = ""
    owner: str = ""

    def __init__(self, message: str, *, name: str, owner: str) -> None:
        super().__init__(message)
        self.name = name
        self.owner = owner


class InUse(AsyncBridgeError, RuntimeError):
    """A binding, or a reference, that is not deleted while somebody holds it.

    Attributes:
        name: What was to be deleted.
        holders: Who holds it.
    """

    name: str = ""
    holders: tuple[str, ...] = ()

    def __init__(self, message: str, *, name: str, holders: tuple[str, ...]) -> None:
        super().__init__(message)
        self.name = name
        self.holders = holders
