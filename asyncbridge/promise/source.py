"""What a promise knows of the command that settles it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.promise.output import OutputLog
    from asyncbridge.promise.times import Times

__all__ = ["CANCEL_MODES", "CancelMode", "Source", "check_mode"]

CancelMode = Literal["graceful", "interrupt", "kill"]
CANCEL_MODES = get_args(CancelMode)
"""How hard ``cancel`` may be; None leaves it to the command's owner."""


def check_mode(mode: str | None) -> None:
    """Refuse what is no mode of ``cancel``.

    Raises:
        ValueError: There is none of that name.
    """
    if mode is not None and mode not in CANCEL_MODES:
        names = ", ".join(map(repr, CANCEL_MODES))
        raise ValueError(f"mode={mode!r}: it is one of None, {names}")


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
    def cancelled_phase(self) -> str | None:
        """Where the command was when it was cancelled; None while, or if, it was not."""
        ...

    def unhandled(self, error: BaseException) -> Mapping[str, str]:
        """Take the error of a promise, this command's or one derived from it, that nobody took.

        It may come from a garbage collection, in any thread: no lock is taken, nothing is sent.

        Returns:
            What is logged with it: which command it is, and where it was sent.
        """
        ...

    def expression(self, promise: Any) -> Any:
        """Return code that stands for the promise's value in the worker."""
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
