"""Which bridge is meant when none is named: the entered one, else the only open one."""

from __future__ import annotations

import weakref
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncbridge.client.bridge import Bridge

__all__ = ["current_bridge", "enter", "leave"]

_entered: ContextVar[Bridge | None] = ContextVar("asyncbridge_current", default=None)
_open: weakref.WeakSet[Bridge] = weakref.WeakSet()


def current_bridge() -> Bridge | None:
    """Return the current bridge.

    It is the one entered last in this context, else the process's only open bridge; None
    when there is none, or when several are open and none was entered here.
    """
    bridge = _entered.get()
    if bridge is not None and bridge in _open:
        return bridge
    return next(iter(_open)) if len(_open) == 1 else None


def enter(bridge: Bridge) -> Token[Bridge | None]:
    """Make an open bridge the current one of this context."""
    _open.add(bridge)
    return _entered.set(bridge)


def leave(bridge: Bridge, token: Token[Bridge | None] | None) -> None:
    """Take a bridge out; the context's former one is current again."""
    _open.discard(bridge)
    if token is None:
        return
    try:
        _entered.reset(token)
    except ValueError:  # closed in another context than it was entered in
        if _entered.get() is bridge:
            _entered.set(None)
