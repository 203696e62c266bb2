"""Code that is made of objects in the worker, and has not been sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncbridge.errors import CodegenError
from asyncbridge.protocol.keeping import ALONE
from asyncbridge.references.code import RemoteCode
from asyncbridge.references.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from asyncbridge.codegen import Expression
    from asyncbridge.promise import Promise
    from asyncbridge.references.remote import Home

__all__ = ["RemoteExpression"]


class RemoteExpression(Remote):
    """What an attribute, an item, a call or an operator of something in the worker gives.

    It is code: nothing is sent until it is awaited, or stands as an argument of what is sent, and
    then it runs, each time anew; its arguments are as they are by then. Awaiting gives the value,
    or a ``Ref`` where that has no wire form; ``keep()`` gives a ``Ref`` in any case.
    """

    __slots__ = ("_build", "_owner", "_say")

    _refuses_await = False

    def __init__(
        self, owner: Remote, say: Callable[[], str], build: Callable[[RemoteCode], Expression]
    ) -> None:
        self._owner = owner
        self._say = say
        self._build = build

    def promise(self) -> Promise[Any]:
        """Send it, and return a promise of what it gives."""
        return self._sent()

    def then(
        self,
        on_fulfilled: Callable[[Any], Any] | None = None,
        on_rejected: Callable[[BaseException], Any] | None = None,
    ) -> Promise[Any]:
        """Send it, and chain; see ``Promise.then``."""
        return self._sent().then(on_fulfilled, on_rejected)

    def wait_for_value(self, timeout: float | None = None) -> Any:
        """Send it, and block for what it gives; see ``Promise.wait_for_value``."""
        return self._sent().wait_for_value(timeout)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._sent().__await__()

    def _sent_ahead(self) -> Promise[Any]:
        """Have it evaluated for commands that come behind it: nothing of its value comes here."""
        home = self._home()
        code = RemoteCode(home)
        node = self._code(code)
        with home._labelled(code.labels):
            promise = home.send(node, code.bindings or None, name=self._said(), _keep=ALONE)
        promise._add_own_callback(hush)  # those that use it tell of its failure
        return promise

    def _home(self) -> Home:
        owner = self._owner
        while isinstance(owner, RemoteExpression):  # of many steps, it is no deep recursion
            owner = owner._owner
        return owner._home()

    def _code(self, code: RemoteCode) -> Expression:
        try:
            return self._build(code)
        except RecursionError:
            raise CodegenError(
                "the expression is made of too many steps for one command: `await` the keep() of one "
                "in between, and go on from that reference"
            ) from None

    def _said(self) -> str:
        try:
            return self._say()
        except RecursionError:
            return "..."

    def __repr__(self) -> str:
        return f"<RemoteExpression {self._said()}: await it>"


def hush(promise: Promise[Any]) -> None:
    """Keep asyncio from reporting a failure that others report."""
    if not promise.cancelled():
        promise.exception()
