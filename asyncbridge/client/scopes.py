"""Groups of what lives in the worker, which end together."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextvars import Token
    from types import TracebackType

    from asyncbridge.lifetime import Hold
    from asyncbridge.references import Ref

__all__ = ["Scope", "current_scope"]

ENDED = "at the end of its scope"


class Scope:
    """Releases at its end what was made within it, of one bridge; made by ``bridge.scope``.

    Scopes may stand inside one another; what is made is the innermost one's.

    Args:
        bridge: The bridge.
    """

    def __init__(self, bridge: Any) -> None:
        self._bridge = ref(bridge)
        self._names: list[tuple[Hold, ref[Any] | None]] = []
        self._references: list[ref[Ref]] = []
        self._token: Token[tuple[Scope, ...]] | None = None
        self._state = "new"

    def add_name(self, hold: Hold, handle: object) -> None:
        """Take a binding in, and what stands for it here, if anything does."""
        self._names.append((hold, None if handle is None else ref(handle)))

    def add_references(self, references: Iterable[Ref]) -> None:
        """Take references in; one that comes late is released at once."""
        self._references += map(ref, references)
        if self._state == "ended":
            self._release()

    def __enter__(self) -> Self:
        if self._state != "new":
            raise RuntimeError(f"a scope is entered once; this one is {self._state}")
        self._state = "open"
        self._token = _scopes.set((*_scopes.get(), self))
        bridge = self._bridge()
        if bridge is not None:
            bridge._scopes.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _scopes.reset(self._token)
        self._state = "ended"
        bridge = self._bridge()
        if bridge is not None:
            bridge._scopes.discard(self)
        self._release()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _release(self) -> None:
        bridge = self._bridge()
        names, self._names = self._names, []
        references, self._references = self._references, []
        for hold, handle in names:
            owner = None if handle is None else handle()
            if owner is not None and hasattr(type(owner), "_released"):  # a binding, or a mirror
                owner._released = ENDED
            hold.release()
        for each in references:
            reference = each()
            if reference is not None and bridge is not None and not reference._released:
                bridge._references.release(reference, ENDED)

    def __repr__(self) -> str:
        return f"<Scope [{len(self._names)} bindings, {len(self._references)} references] {self._state}>"


def current_scope(bridge: object) -> Scope | None:
    """Return the innermost scope of a bridge that was entered here."""
    entered = _scopes.get()
    if not entered:  # as most often
        return None
    # A task that was begun in one may outlive it.
    return next(
        (each for each in reversed(entered) if each._state == "open" and each._bridge() is bridge),
        None,
    )


_scopes: ContextVar[tuple[Scope, ...]] = ContextVar("asyncbridge_scopes", default=())
