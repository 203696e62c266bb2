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
    if bridge is None or not _is_open(bridge):
        still = [one for one in _open if _is_open(one)]
        bridge = still[0] if len(still) == 1 else None
    return cast("Bridge | None", bridge)  # a life is lived by bridges alone


def _is_open(bridge: BridgeLife) -> bool:
    """Tell whether a bridge was entered, and not left: also not by the end of its loop."""
    return bridge in _open and not bridge._has_no_loop


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
