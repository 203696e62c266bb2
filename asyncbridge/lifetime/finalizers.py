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


class Finalizers:
    """Names whose owners are garbage, until the loop takes them.

    Args:
        wake: Asks the loop to call ``take`` soon; called from any thread, and from within
            the garbage collector. It must not block, nor raise.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._dead: deque[str] = deque()
        self._tied: dict[str, object] = {}
        self._wake = wake
        self._woken = False

    def tie(self, owner: object, name: str) -> None:
        """Enqueue ``name`` once ``owner`` is garbage, unless it was tied anew by then."""
        mark = self._tied[name] = object()
        finalizer = weakref.finalize(owner, self._enqueue, name, mark)
        # At the interpreter's exit the worker goes with all it holds.
        finalizer.atexit = False

    def forget(self, name: str) -> None:
        """Let a name stand, whatever becomes of its present owner."""
        self._tied.pop(name, None)

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

    def _enqueue(self, name: str, mark: object) -> None:
        if self._tied.get(name) is not mark:
            return
        del self._tied[name]
        self._dead.append(name)
        if not self._woken:
            self._woken = True
            self._wake()
