"""Collected bindings: the garbage collector only enqueues, the loop sends, in batches.

A finalizer may run at any allocation, in any thread, in the middle of anything: it appends a
name to a deque and asks the loop to have a look, nothing more. There is no ``__del__``.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, KeysView

__all__ = ["Finalizers"]


class _Tie:
    """One name's to one owner; another one of that name is not the same."""

    __slots__ = ("about",)

    def __init__(self, about: Callable[[], str] | None) -> None:
        self.about = about


class Finalizers:
    """Names whose owners are garbage, until the loop takes them.

    Args:
        wake: Asks the loop to call ``take`` soon; called from any thread, and from within
            the garbage collector. It must not block, nor raise.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._dead: deque[str] = deque()
        self._tied: dict[str, _Tie] = {}
        self._wake = wake
        self._woken = False

    def tie(self, owner: object, name: str, about: Callable[[], str] | None = None) -> None:
        """Enqueue ``name`` once ``owner`` is garbage, unless it was tied anew by then.

        Args:
            owner: What lives here.
            name: What it has in the worker.
            about: Says what a person would call that; it must not keep the owner alive.
        """
        mark = self._tied[name] = _Tie(about)
        finalizer = weakref.finalize(owner, self._enqueue, name, mark)
        # At the interpreter's exit the worker goes with all it holds.
        finalizer.atexit = False

    def forget(self, name: str) -> None:
        """Let a name stand, whatever becomes of its present owner."""
        self._tied.pop(name, None)

    def release(self, name: str) -> None:
        """Enqueue a name now, whatever lives; from any thread."""
        self._tied.pop(name, None)
        self._dead.append(name)
        self._rouse()

    def told(self, name: str) -> str:
        """Say what a name stands for: what a person would call it, or the name itself."""
        tie = self._tied.get(name)
        return repr(name) if tie is None or tie.about is None else tie.about()

    @property
    def names(self) -> KeysView[str]:
        """The names whose owners live."""
        return self._tied.keys()

    def take(self) -> tuple[str, ...]:
        """Return the names to be released now, each once."""
        self._woken = False
        names: list[str] = []
        while self._dead:
            names.append(self._dead.popleft())
        return tuple(names)

    def _enqueue(self, name: str, mark: _Tie) -> None:
        if self._tied.get(name) is not mark:
            return
        del self._tied[name]
        self._dead.append(name)
        self._rouse()

    def _rouse(self) -> None:
        if not self._woken:
            self._woken = True
            self._wake()
