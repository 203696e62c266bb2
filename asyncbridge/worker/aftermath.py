"""What is left to do when a command's code has ended, and may run more of it.

An error's methods, destructors, and what code has put in the place of ``sys.stdout``, may do anything,
also never come back. All of it is done under a guard, which a cancel and a time limit reach as they
reach the command's code. What had to be interrupted is left out, and that is said.
"""

from __future__ import annotations

import difflib
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from asyncbridge.worker.faults import describe, last_resort, release
from asyncbridge.worker.guards import attempt
from asyncbridge.worker.stopping import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncbridge.protocol.messages import Fault
    from asyncbridge.worker.stopping import Stopper

    NameOf = Callable[[object], str | None]

T = TypeVar("T")
MOST_NAMES = 2_000
"""Attributes of one object among which one is looked for."""

__all__ = ["Aftermath"]


class Aftermath:
    """One worker's; all of it is done in the GPU thread.

    Args:
        stopper: Interrupts what takes too long, or is not wanted any more.
        name_of: Tells an object's name in the namespace.
        note: Returns what the backend has to say of an error.
    """

    def __init__(
        self, stopper: Stopper, name_of: NameOf, note: Callable[[BaseException], str | None]
    ) -> None:
        self._stopper = stopper
        self._name_of = name_of
        self._note = note

    def told(
        self, stop: Stop, error: BaseException, variables: Mapping[str, object] | None
    ) -> Fault:
        """Describe a command's error, whatever it does when it is looked at."""
        guard = partial(self._stopper.guard, stop)
        read = partial(describe, error, name_of=self._name_of)
        whole = guard(lambda: self._whole(error, partial(read, variables=variables)))
        if whole is not None:
            return whole
        return guard(lambda: read(plain=True)) or last_resort(error)

    def let_go(
        self, stop: Stop, errors: list[BaseException], left: dict[str, object] | None = None
    ) -> None:
        """Let go of what a command has left behind; nobody else has a name for the error."""
        while errors or left:
            self._stopper.guard(stop, lambda: _let_go(errors, left))

    def do(self, stop: Stop, call: Callable[[], object]) -> bool:
        """Call what may be the user's; tell whether it came to its end."""
        return self._stopper.guard(stop, lambda: (call(),)) is not None

    def drop(self, drop: Callable[[T], None], items: tuple[T, ...]) -> None:
        """Drop each of these, with what destroys their values, behind the commands that used them."""
        rest = list(items)
        while rest:
            self._stopper.guard(Stop(), lambda: _drop(rest, drop))

    def _whole(self, error: BaseException, read: Callable[[], Fault]) -> Fault:
        attempt(lambda: self._explain(error), None)
        return read()

    def _explain(self, error: BaseException) -> None:
        note = self._note(error) or suggestion(error)  # the one who knows more
        if note is not None:
            error.add_note(note)


def suggestion(error: BaseException) -> str | None:
    """Return the attribute that may have been meant, of one that an object does not have."""
    if type(error) is not AttributeError or not isinstance(error.name, str) or error.obj is None:
        return None
    known = [name for name in dir(error.obj) if isinstance(name, str)][:MOST_NAMES]
    close = difflib.get_close_matches(error.name, known, n=3)
    return f"did you mean {', '.join(map(repr, close))}?" if close else None


def _let_go(errors: list[BaseException], left: dict[str, object] | None) -> None:
    if left:
        left.clear()
    if errors:
        release(errors.pop())


def _drop(items: list[T], drop: Callable[[T], None]) -> None:
    # One by one: where one is interrupted, the others are still there.
    while items:
        drop(items.pop())
