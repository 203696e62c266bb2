"""Collected bindings: the garbage collector only enqueues, the loop sends, in batches.

A finalizer may run at any allocation, in any thread, in the middle of anything: it notes a name
and asks the loop to have a look, nothing more. There is no ``__del__``.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Container, KeysView

    from asyncbridge.lifetime.holds import Hold

__all__ = ["Finalizers", "Former"]


class _Tie:
    """One value's name, tied to its owners; another value of that name has another one.

    Attributes:
        about: Says what a person would call the value.
        owners: As many items as there are owners that live.
    """

    __slots__ = ("about", "owners")

    def __init__(self, about: Callable[[], str] | None) -> None:
        self.about = about
        self.owners: list[None] = []


class Former(NamedTuple):
    """Who had a name before it was forgotten."""

    tie: _Tie | None
    hold: Hold | None


class Finalizers:
    """Names whose owners are garbage, until the loop takes them.

    Args:
        wake: Asks the loop to call ``take`` soon; called from any thread, and from within
            the garbage collector. It must not block, nor raise.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        # In the order of their deaths; a dict, so that one can be taken out that is set anew.
        self._dead: dict[str, None] = {}
        self._tied: dict[str, _Tie] = {}
        # The newest of each name that somebody has: the others' names stand for other values now.
        self._holds: weakref.WeakValueDictionary[str, Hold] = weakref.WeakValueDictionary()
        self._wake = wake
        self._woken = False

    def tie(self, owner: object, name: str, about: Callable[[], str] | None = None) -> None:
        """Enqueue ``name`` once ``owner`` is garbage, unless it was tied anew by then.

        Args:
            owner: What lives here.
            name: What it has in the worker.
            about: Says what a person would call that; it must not keep the owner alive.
        """
        tie = self._tied[name] = _Tie(about)
        self._own(owner, name, tie)

    def share(self, owner: object, name: str, about: Callable[[], str] | None = None) -> None:
        """Tie a name that may have owners already: it is enqueued once all of them are garbage.

        One that a policy has a hold on, and has not tied, is left to that policy.
        """
        tie = self._tied.get(name)
        if tie is not None:
            self._own(owner, name, tie)
        elif name not in self._holds:
            self.tie(owner, name, about)

    def begin(self, hold: Hold) -> None:
        """Take a hold for the one on what its name stands for now."""
        self._holds[hold.name] = hold

    def is_current(self, name: str, hold: Hold | None) -> bool:
        """Tell whether a name stands for the same value still, or for nothing since."""
        now = self._holds.get(name)
        return now is hold and (hold is not None or name not in self._tied)

    def forget(self, name: str) -> Former:
        """Let a name stand, whatever becomes of its present owner; return who that was."""
        self._dead.pop(name, None)
        return Former(self._tied.pop(name, None), self._holds.pop(name, None))

    def restore(self, name: str, former: Former) -> None:
        """Take it all back: the name stands for what it stood for before it was forgotten."""
        self.forget(name)
        if former.hold is not None:
            self._holds[name] = former.hold
        if (tie := former.tie) is None:
            return
        self._tied[name] = tie
        # First tied, then looked at: an owner may go at any moment.
        if not tie.owners and self._tied.pop(name, None) is not None:
            self._bury(name)

    def release(self, name: str) -> None:
        """Enqueue a name now, whatever lives; from any thread."""
        self._tied.pop(name, None)
        self._bury(name)

    def told(self, name: str) -> str:
        """Say what a name stands for: what a person would call it, or the name itself."""
        tie = self._tied.get(name)
        return repr(name) if tie is None or tie.about is None else tie.about()

    @property
    def names(self) -> KeysView[str]:
        """The names whose owners live."""
        return self._tied.keys()

    def take(self, used: Container[str] = ()) -> tuple[str, ...]:
        """Return the names to be released now, each once.

        Args:
            used: Those of commands that have not been sent yet; they are for another time.
        """
        self._woken = False
        names: list[str] = []
        later: list[str] = []
        while self._dead:
            name, _ = self._dead.popitem()
            (later if name in used else names).append(name)
        for name in reversed(later):
            self._dead[name] = None
        return tuple(reversed(names))

    def _own(self, owner: object, name: str, tie: _Tie) -> None:
        tie.owners.append(None)
        finalizer = weakref.finalize(owner, self._enqueue, name, tie)
        # At the interpreter's exit the worker goes with all it holds.
        finalizer.atexit = False

    def _enqueue(self, name: str, tie: _Tie) -> None:
        tie.owners.pop()
        if tie.owners or self._tied.get(name) is not tie:
            return
        del self._tied[name]
        self._bury(name)

    def _bury(self, name: str) -> None:
        self._dead[name] = None
        if not self._woken:
            self._woken = True
            self._wake()
