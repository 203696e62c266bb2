"""A bridge that notes what it is sent, and runs it here."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

import pytest

from asyncbridge.codegen import Node, render
from asyncbridge.outcome import Error, capture
from asyncbridge.promise import Promise
from asyncbridge.protocol.keeping import Told
from asyncbridge.references import Binding, Ref, RemoteExpression, RemoteModule, Residence
from asyncbridge.worker.namespace import Namespace

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Sent:
    """A command as it was sent.

    Attributes:
        code: With ``ref``, ``value`` and the like in the place of the bindings' random names.
    """

    code: str
    bindings: list[object]
    name: str | None
    keep: bool
    alone: int


class Home:
    """What commands are sent by; the objects that it has references to are here."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.namespace = Namespace()
        self.residence = Residence("life-1")
        self.objects: dict[int, object] = {}
        self.released: list[tuple[Ref, str]] = []
        self._contexts: set[object] = set()
        self._iterations: WeakSet[object] = WeakSet()
        self._references = self

    def __repr__(self) -> str:
        return "<Home>"

    def _labelled(self, labels: dict[str, str]) -> AbstractContextManager[None]:
        """Take what errors are to call arguments."""
        return nullcontext()

    def reference(self, value: object) -> Ref:
        """Keep an object, and refer to it."""
        number = len(self.objects) + 1
        self.objects[number] = value
        return Ref(
            Told(number, f"app.{type(value).__name__}", "short", 0, ""), ref(self), self.residence
        )

    def release(self, reference: Ref, how: str) -> None:
        reference._released = how
        self.released.append((reference, how))

    def send(
        self,
        code: str | Node,
        bindings: dict[str, object] | None = None,
        *,
        transform: Callable[[Any], Any] | None = None,
        name: str | None = None,
        keep: bool = False,
        _keep: int = 0,
    ) -> Promise[Any]:
        source = code if isinstance(code, str) else render(code)
        self.sent.append(
            Sent(plain(source, bindings), [*(bindings or {}).values()], name, keep, _keep)
        )
        promise: Promise[Any] = Promise(loop=asyncio.get_running_loop())
        if transform is not None:
            promise.transform(transform)
        values = {key: self.value_of(each) for key, each in (bindings or {}).items()}
        outcome = capture(self.namespace.run, source, values, lifetime="command")
        if isinstance(outcome, Error):
            promise.set_exception(outcome.error)
        else:
            promise.set_result(self.reference(outcome.value) if keep else outcome.value)
        return promise

    def module(self, name: str) -> RemoteModule:
        """Return a module, as a bridge does."""
        return RemoteModule(name, self)

    def value_of(self, handle: object) -> object:
        """Return what stands for a handle in the worker."""
        if isinstance(handle, Ref):
            return self.objects[handle.about.number]
        if isinstance(handle, RemoteModule):
            return __import__(handle._name, fromlist=["*"])
        assert not isinstance(handle, Binding | RemoteExpression)
        return self.value_of(handle.result()) if isinstance(handle, Promise) else handle

    @property
    def codes(self) -> list[str]:
        """The commands' code."""
        return [each.code for each in self.sent]


def plain(source: str, bindings: dict[str, object] | None) -> str:
    """Leave the random letters out of the bindings' names; a second one of a kind gets a number."""
    seen: dict[str, int] = {}
    for name in bindings or {}:
        stem, found, _ = name.rpartition("_")
        if found and source.count(name):
            seen[stem] = seen.get(stem, 0) + 1
            source = source.replace(name, stem if seen[stem] == 1 else f"{stem}{seen[stem]}")
    return source


@pytest.fixture
def home() -> Home:
    """A bridge's stand-in."""
    return Home()
