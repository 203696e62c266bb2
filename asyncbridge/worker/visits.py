"""What clients do with an object in several steps: iterate over it, enter and leave it.

Commands call this by its name; see ``asyncbridge.references``.
"""

from __future__ import annotations

import ast
import builtins
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Iteration", "Visit"]


class Iteration:
    """An iterator whose items are asked for in groups.

    Args:
        over: What it goes through.
    """

    def __init__(self, over: Iterable[Any]) -> None:
        self._iterator = iter(over)
        self._error: Exception | None = None

    def take(self, count: int) -> tuple[list[Any], bool]:
        """Return the next items, and whether those were the last.

        An error that comes after some items is raised by the next call: those are not lost.
        """
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        items: list[Any] = []
        try:
            while len(items) < count:
                items.append(next(self._iterator))
        except StopIteration:
            return items, True
        except Exception as error:
            if not items:
                raise
            self._error = error
        return items, False


class Visit:
    """A context manager that was entered.

    Args:
        manager: It.

    Attributes:
        value: What its ``__enter__`` has given.
    """

    def __init__(self, manager: Any) -> None:
        self._stack = ExitStack()
        self.value = self._stack.enter_context(manager)

    def leave(self, error: tuple[str, str] | None) -> bool:
        """Leave it, and tell whether it has swallowed the error.

        Args:
            error: The class's name, and the text, of what was raised in the client.
        """
        if error is None:
            self._stack.close()
            return False
        raised = error_of(*error)
        try:
            raise raised
        except BaseException as caught:
            swallowed: bool | None = self._stack.__exit__(
                type(caught), caught, caught.__traceback__
            )
        return bool(swallowed)


def error_of(kind: str, text: str) -> BaseException:
    """Return an exception like one of the client's: of the same class, if that is a built-in."""
    known = getattr(builtins, kind, None)
    if isinstance(known, type) and issubclass(known, Exception):
        try:
            return known(key_of(text) if issubclass(known, KeyError) else text)
        except TypeError:  # one that wants other arguments, such as UnicodeDecodeError
            pass
    return RuntimeError(f"{kind}: {text}")


def key_of(text: str) -> object:
    """Return the key that is missing, of which the text of a ``KeyError`` is the repr."""
    try:
        return ast.literal_eval(text)
    except (
        MemoryError,
        RecursionError,
        SyntaxError,
        TypeError,
        ValueError,
    ):  # none of Python's own
        return text
