"""Code that raised in the worker, as an error here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncbridge.errors.base import AsyncBridgeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncbridge.errors.base import SentCommand

__all__ = [
    "DependencyError",
    "RemoteError",
]


class RemoteError(AsyncBridgeError):
    """Code raised in the worker; the text reads as one traceback.

    Where the remote exception is one of Python's own, or of a class that is derived from one,
    this is one of that type too: ``except ValueError`` catches it. So it is with ``StaleReference``,
    ``NameTaken`` and ``InUse``.

    Attributes:
        type: The remote exception's qualified type name, such as ``"ValueError"``.
        message: Its message, cut by the worker to a bounded size.
        frames: The remote frames, outermost first: file, line number, function, source line.
        cause: The remote exception's own cause, as another ``RemoteError``.
        notes: The remote exception's notes.
        command: The command that raised; None for a cause.
        subjects: Names, in the worker, of the objects it was raised in, innermost first.
        locals: For each frame its variables' short ``repr`` by name, if the bridge asked for
            them (``connect(locals=True)``).
        full_text: The text with the frames that ``str(error)`` only counts.
        attempt: Which run of the command has raised it: 1, and one more for each that a decision
            has made of it, such as ``Retry()``.
    """

    attempt: int = 1

    def __init__(
        self,
        type: str,  # noqa: A002 - the field's own word
        message: str,
        *,
        frames: Sequence[tuple[str, int, str, str]] = (),
        cause: RemoteError | None = None,
        notes: Sequence[str] = (),
        command: SentCommand | None = None,
        subjects: Sequence[str] = (),
        locals: Sequence[Mapping[str, str]] = (),  # noqa: A002 - as Python's tracebacks say
        text: str = "",
        full_text: str = "",
    ) -> None:
        text = text or f"{type}: {message}"
        # Not super(): a built-in among the bases reads a meaning into what it is given.
        Exception.__init__(self, text)
        self.type = type
        self.message = message
        self.frames = tuple(frames)
        self.cause = cause
        self.notes = tuple(notes)
        self.command = command
        self.subjects = tuple(subjects)
        self.locals = tuple(locals)
        self.full_text = full_text or text
        self.__cause__ = cause
        self._put({})

    def _put(self, details: Mapping[str, object]) -> None:
        """Set attributes of the other base's own, such as ``errno``; copies have them too."""
        self._details = dict(details)
        for name, value in details.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        # Those of some built-ins make a text of their own attributes.
        return str(self.args[0])

    def __repr__(self) -> str:
        # One line: asyncio shows it in a promise's repr, above the whole text.
        first = self.message.partition("\n")[0]
        return f"{type(self).__name__}({f'{self.type}: {first}'[:200]!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _remote, (type(self), self.args, self.__dict__)


class DependencyError(RemoteError):
    """The command was not run, because one that it depends on had failed (its cause)."""


def _remote(
    cls: type[RemoteError], args: tuple[object, ...], state: Mapping[str, Any]
) -> RemoteError:
    """Build a copy of a remote error."""
    error = cls("", "")  # not __new__: Python finds that of a built-in, and refuses it
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    error.__cause__ = error.cause
    error._put(state["_details"])
    return error
