"""What a promise knows of the command that settles it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from asyncbridge.promise.output import OutputLog
    from asyncbridge.promise.times import Times

__all__ = ["Source"]


class Source(Protocol):
    """What settles a promise, as its command's owner tells it."""

    @property
    def id(self) -> int:
        """The command's id."""
        ...

    @property
    def state(self) -> str:
        """``"queued"`` or ``"running"``, while the promise is pending."""
        ...

    @property
    def label(self) -> str:
        """What a person would call the command; may be empty."""
        ...

    @property
    def code(self) -> str:
        """The code that runs."""
        ...

    @property
    def times(self) -> Times:
        """When it was sent, began and ended."""
        ...

    @property
    def ahead(self) -> int:
        """How many commands of this client come before it."""
        ...

    @property
    def output(self) -> OutputLog:
        """What it has printed; made when first asked for, from any thread."""
        ...

    def cancel(self, promise: Any, msg: object, mode: str | None) -> bool:
        """Start to cancel the command; return whether that can still have an effect.

        The source ends the promise by ``promise._settle_cancelled(msg)``, now or later.
        """
        ...
