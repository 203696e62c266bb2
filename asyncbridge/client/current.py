"""Which bridge is meant when none is named: the entered one, else the only open one."""

from __future__ import annotations

import weakref
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, cast

from asyncbridge.promise.loops import find_by

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from asyncbridge.client.bridge import Bridge
    from asyncbridge.client.life import BridgeLife

__all__ = ["current_bridge", "enter", "leave"]

# Weakly, for a context may live long after a bridge that nobody closed.
_entered: ContextVar[weakref.ref[BridgeLife] | None] = ContextVar(
    "asyncbridge_current", default=None
)
_open: weakref.WeakSet[BridgeLife] = weakref.WeakSet()


def current_bridge() -> Bridge | None:
    """Return the current bridge.

    It is the one entered last in this context, else the process's only open bridge; None
    when there is none, or when several are open and none was entered here.
    """
    entered = _entered.get()
    bridge = None if entered is None else entered()
    if bridge is None or bridge not in _open:
        bridge = next(iter(_open)) if len(_open) == 1 else None
    return cast("Bridge | None", bridge)  # a life is lived by bridges alone


def enter(bridge: BridgeLife) -> Token[weakref.ref[BridgeLife] | None]:
    """Make an open bridge the current one of this context."""
    _open.add(bridge)
    return _entered.set(weakref.ref(bridge))


def leave(bridge: BridgeLife, token: Token[weakref.ref[BridgeLife] | None] | None) -> None:
    """Take a bridge out; the context's former one is current again."""
    _open.discard(bridge)
    if token is None:
        return
    try:
        _entered.reset(token)
    except ValueError:  # closed in another context than it was entered in
        entered = _entered.get()
        if entered is not None and entered() is bridge:
            _entered.set(None)


def _script_loop() -> AbstractEventLoop | None:
    """Return the loop of the current bridge, if that was entered by ``with``."""
    bridge = current_bridge()
    return None if bridge is None or bridge._loop_thread is None else bridge._loop_thread.loop


find_by(_script_loop)
