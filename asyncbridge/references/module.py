"""A module of the worker's Python, as an object there."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from asyncbridge.errors import BridgeClosed
from asyncbridge.references.remote import Remote

if TYPE_CHECKING:
    from asyncbridge.codegen import Expression
    from asyncbridge.references.code import RemoteCode
    from asyncbridge.references.remote import Home

__all__ = ["RemoteModule"]


class RemoteModule(Remote):
    """A module, which is imported in the worker when something of it is used there."""

    __slots__ = ("_at", "_name")

    def __init__(self, name: str, home: Home) -> None:
        self._name = name
        self._at = ref(home)

    def _home(self) -> Home:
        home = self._at()
        if home is None:
            raise BridgeClosed(f"{self!r}: its bridge is gone")
        return home

    def _code(self, code: RemoteCode) -> Expression:
        return code.bound(self, self._name.rpartition(".")[2])

    def _said(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"<RemoteModule {self._name}>"
