"""What a bridge has for commands that fail: a handler, and decisions from anywhere."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from asyncbridge.client.halts import Halt
from asyncbridge.client.life import BridgeLife, in_thread_of
from asyncbridge.promise import Promise

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncbridge.decisions import Decision
    from asyncbridge.errors import RemoteError

__all__ = ["Deciding"]

Said = TypeVar("Said", bound="Decision | Awaitable[Decision | None] | None")
MISSING: Any = object()


class Deciding(BridgeLife):
    """Adds to a bridge what is about errors that halt."""

    # Not a type variable for the function: a lambda's parameter has its type from here.
    @overload
    def on_error(
        self, handler: Callable[[RemoteError], Said], /
    ) -> Callable[[RemoteError], Said]: ...
    @overload
    def on_error(self, handler: None, /) -> None: ...
    def on_error(self, handler: Any = MISSING, /) -> Any:
        """Have the handler decide about each command that fails; also as a decorator.

        From now on a command of this bridge that fails halts those behind it, until the handler
        has said what becomes of it; other clients' commands go on. It runs on the bridge's loop,
        and gets the error, whose ``attempt`` is 1, and one more each time that the command has
        been run again. What it returns is a decision: ``Ignore()``, ``Replace(...)``,
        ``Retry(...)``, ``DropQueue()``, or ``Raise()``, which None stands for. When it raises,
        or takes longer than ``halt_timeout`` of ``connect``, the error stands.

        What it sends by this bridge waits behind the halted command: to await that raises
        ``DeadlockError`` there. A later handler takes the place of this one, and None ends it.

        Args:
            handler: A plain function, or a coroutine function.

        Returns:
            The handler.

        Raises:
            BridgeClosed: The bridge is not open.
            TypeError: It is no function.
        """
        loop = self._usable_loop()
        if handler is MISSING:
            raise TypeError("on_error is a decorator itself: write @bridge.on_error, without ()")
        if handler is not None and not callable(handler):
            raise TypeError(f"on_error() takes a function or None, not {type(handler).__name__}")
        if in_thread_of(loop):
            self._halts.handle_by(handler)
        else:
            loop.call_soon_threadsafe(self._halts.handle_by, handler)
        return handler

    @property
    def halted(self) -> tuple[Halt, ...]:
        """This bridge's commands that have failed and wait for a decision: one, or none.

        ``info().halted`` tells of those of all clients.
        """
        return tuple(self._halts.halted.values())

    def decide(
        self, error: str | Halt, decision: Decision | None, *, epoch: int | None = None
    ) -> Promise[None]:
        """Decide what becomes of a halted command, of this bridge or of another client.

        The same decision twice is as good as once. The promise is rejected with
        ``DecisionError`` where another one came first, or nothing is halted by such an error.

        Args:
            error: A member of ``halted``, or an error's id.
            decision: As a handler of ``on_error`` returns them.
            epoch: Which halt is meant of an error that is given by its id; the present one by
                default.

        Raises:
            BridgeClosed: The bridge is not open.
            IdentifierError: The name of a binding in it is refused.
            SerializationError: A value in it has no wire form.
            SyntaxError: Its code is no Python.
            TypeError: It is no decision, or no error is named.
        """
        loop = self._usable_loop()
        name, at = (error.error_id, error.epoch) if isinstance(error, Halt) else (error, epoch)
        if not isinstance(name, str):
            if isinstance(name, tuple):
                raise TypeError(
                    "decide() is about one halt: bridge.halted is a tuple of them, so write "
                    "bridge.decide(bridge.halted[0], ...)"
                )
            raise TypeError(
                f"decide() takes a member of bridge.halted, or its id, not {name!r:.80}"
            )
        written = self._tools().write_decision(decision)
        promise: Promise[None] = Promise._shared_on(loop)
        send = partial(self._halts.decide, name, at or 0, written, promise)
        if in_thread_of(loop):
            send()
        else:  # a script's: what it sends after this comes after it there, too
            loop.call_soon_threadsafe(send)
        return promise
