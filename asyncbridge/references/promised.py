"""The value that a promise will have, in the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncbridge.errors import BridgeClosed
from asyncbridge.references.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.codegen import Expression
    from asyncbridge.promise import Promise
    from asyncbridge.references.code import RemoteCode
    from asyncbridge.references.remote import Home

__all__ = ["PromisedValue"]


class PromisedValue(Remote):
    """What ``promise[key]`` and ``promise.attr(name)`` are built on.

    Args:
        promise: A command's.
        label: What people call the command.
        bridge: Returns its bridge, None when that is gone.
    """

    __slots__ = ("_bridge", "_label", "_promise")

    def __init__(self, promise: Promise[Any], label: str, bridge: Callable[[], Any]) -> None:
        self._promise = promise
        self._label = label
        self._bridge = bridge

    def _home(self) -> Home:
        home: Home | None = self._bridge()
        if home is None:
            raise BridgeClosed(f"{self._label}: its bridge is gone")
        return home

    def _code(self, code: RemoteCode) -> Expression:
        return code.bound(self._promise, "value")

    def _said(self) -> str:
        return self._label

    def __repr__(self) -> str:
        return f"<PromisedValue of {self._label}>"
