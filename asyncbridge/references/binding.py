"""A name in the worker's namespace, and what it stands for there."""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import ref

from asyncbridge.codegen import Name
from asyncbridge.errors import BridgeClosed, StaleReference
from asyncbridge.references.remote import Remote, foreign

if TYPE_CHECKING:
    from asyncbridge.codegen import Expression
    from asyncbridge.references.code import RemoteCode
    from asyncbridge.references.remote import Home

__all__ = ["Binding"]


class Binding(Remote):
    """A name in the worker's namespace; ``str()`` gives the name, to be used in code.

    Attributes:
        name: The name.
        lifetime: How long it stays, in a word.
    """

    __slots__ = ("_at", "_counts", "_lease", "_lifetime", "_name", "_released", "_until")

    _clock = staticmethod(monotonic)

    def __init__(
        self, name: str, lifetime: str, home: object = None, *, counts: bool = False
    ) -> None:
        self._name = name
        self._lifetime = lifetime
        # Whether it stays in the worker as long as one session has a handle on it.
        self._counts = counts
        self._at = None if home is None else ref(home)
        self._released = ""
        self._lease = 0.0
        self._until = inf

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def lifetime(self) -> str:
        """How long it stays: ``"eternal"``, ``"collected"``, or a policy's name."""
        return self._lifetime

    def is_at(self, bridge: object) -> bool:
        """Tell whether it may be a name in the worker of this bridge."""
        return self._at is None or self._at() is bridge

    def _home(self) -> Home:
        self._check_released()
        home: Any = None if self._at is None else self._at()
        if home is None:
            raise BridgeClosed(f"{self!r}: its bridge is gone, or it was made without one")
        return home  # type: ignore[no-any-return]

    def _begun(self, seconds: float) -> Binding:
        """Take it that the name has just been set; 0 seconds are no lease.

        A lease ends in the worker without a word: from then on the name may be another's.
        """
        if seconds:
            self._lease, self._until = seconds, self._clock() + seconds
        return self

    def _prolong(self, seconds: float) -> None:
        """Take it that the name stays for so many seconds from now on, if it has a lease."""
        until = self._clock() + seconds
        if self._until < until:
            self._lease, self._until = seconds, until

    def _check_released(self) -> None:
        if not self._released and self._clock() >= self._until:
            self._released = f"its lease of {self._lease:g} s is over"
        if self._released:
            raise StaleReference(f"{self!r} was released: {self._released}", reason=self._released)

    def _code(self, code: RemoteCode) -> Expression:
        self._check_released()
        if not self.is_at(code.home):  # it would be another thing of that name
            raise foreign(self)
        return Name(self._name)

    def _said(self) -> str:
        return self._name

    def __reduce__(self) -> Any:
        home: Any = self._home()
        return home._pickled_binding(self)

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"<Binding {self._name} {self._lifetime}>"
