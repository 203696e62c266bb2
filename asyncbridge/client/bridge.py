"""``Bridge``: the client's handle on a worker, in an event loop or in a plain script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from asyncbridge.client.arguments import check_bindings, named_as
from asyncbridge.client.checks import (
    check_code,
    check_flags,
    check_name,
    check_priority,
    check_source,
    check_timeout,
)
from asyncbridge.client.deciding import Deciding
from asyncbridge.client.info import WorkerInfo
from asyncbridge.client.keeping import Change, Keeping
from asyncbridge.client.life import in_thread_of
from asyncbridge.client.scopes import current_scope
from asyncbridge.client.scripting import Scripting
from asyncbridge.client.sessions import Sessions
from asyncbridge.client.sources import take_streams
from asyncbridge.lifetime import policy_of
from asyncbridge.promise import Promise
from asyncbridge.protocol.keeping import STAY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from asyncbridge.client.drafts import Bindings
    from asyncbridge.client.handing import Handing
    from asyncbridge.client.output import OutputReader
    from asyncbridge.client.pending import Pending
    from asyncbridge.client.rejections import UnhandledRejection
    from asyncbridge.codegen import Node
    from asyncbridge.errors import RemoteError
    from asyncbridge.lifetime import Lifetime

__all__ = ["Bridge"]

PER_COMMAND = policy_of("command")

T = TypeVar("T")


class Bridge(Keeping, Deciding, Sessions, Scripting):
    """A worker's namespace, seen from the client.

    Enter it with ``async with`` in a coroutine, or with ``with`` in a script that has no event
    loop: the bridge then owns a background loop, and blocks where an async one raises
    ``QueueFull``. Every method but ``output`` returns at once; what takes time is a promise.
    """

    def send(
        self,
        code: str | Node,
        bindings: Mapping[str, object] | None = None,
        *,
        transform: Callable[[Any], Any] | None = None,
        lifetime: Lifetime = "command",
        keep: bool = False,
        name: str | None = None,
        timeout: float | None = None,
        run_timeout: float | None = None,
        after: Sequence[Promise[Any]] = (),
        annotate: Callable[[RemoteError], None] | None = None,
        writable: bool | None = None,
        copy: bool | None = None,
        one_hot: bool | None = None,
        promise_factory: Callable[..., Promise[Any]] = Promise,
        requeue: bool = True,
        priority: int = 0,
        _aside: bool = False,
        _change: Change | None = None,
        _keep: int = 0,
        _sets: tuple[str, ...] = (),
    ) -> Promise[Any]:
        """Send a command; its promise gets the value of the code's last expression.

        A value that has no wire form stays in the worker, and so do parts of it that have none: a
        ``Ref`` stands for each. Commands of one bridge run one after another, in the order of ``send`` where they have
        the same priority.

        Args:
            code: Python source, or a node of ``asyncbridge.codegen``.
            bindings: Values by name, set in the worker's namespace before the code runs. What
                comes of an array from 64 KiB up that is changed before its command has started
                is undefined; smaller ones are copied by this call. An ``asyncbridge.stream(...)`` is an iterable
                there, whose items come meanwhile. A promise, a reference, a binding or an expression
                of such stands for its value, also inside lists, tuples and dicts: where that is in
                the worker, it stays there, and nothing waits. If one fails, this fails with its
                cause, unrun.
            transform: Makes a domain object of the raw value.
            lifetime: Of the bindings: ``"command"``, they go when the command has finished,
                ``"eternal"``, or a policy. Names that the code assigns stay in any case.
            keep: Whether the value stays in the worker whatever it is; the promise's is a ``Ref``.
            name: What a person would call the command, for errors and ``info``.
            timeout: Seconds until the promise is rejected with ``TimeoutError``; a command
                that has not started by then is taken out of the queue, and of one that is halted
                the error stands. One that runs goes on, and is stopped by ``bridge.cancel``. None
                waits for ever.
            run_timeout: Seconds that it may run. Then its code is asked to stop, or interrupted;
                and if that is of no use, its worker is ended, some ten seconds later. The promise
                is rejected with a ``RemoteError`` of type ``TimeoutError``, or with ``WorkerLost``,
                whose ``last_stack`` tells where the code was.
            after: Promises of commands; when one of them fails, this one fails with its cause,
                unrun.
            annotate: Called with a ``RemoteError`` before the promise is rejected with it.
            writable: Whether arrays from 64 KiB up in its value may be written; None for what
                ``connect`` was told.
            copy: Copy large arrays, too, before this call returns, which holds up the caller; None
                for what ``connect`` was told. What goes by path is not copied.
            one_hot: Whether large one-hot matrices in the bindings travel as the columns of their
                ones; None for what ``connect`` was told.
            promise_factory: Makes the promise, called with ``loop=``: such as
                ``WatchedPromise``, which tells what the code reports of its progress.
            requeue: Whether the worker's successor may run the command, if it has provably not
                started when the worker ends, and needs nothing that was lost with it.
            priority: Of this bridge's commands that wait, those of a higher one go first; other
                clients' keep their turn. Nothing goes ahead of what it depends on by ``after``.

        Raises:
            BridgeClosed: The bridge is not open.
            QueueFull: The backlog is at its bound (an async bridge; a sync one blocks).
            SerializationError: A binding has no wire form; the text names it.
            SyntaxError: The code is no Python.
            TooLarge: The bindings are over the limit of this side, or of the worker.
            TypeError: ``name`` is no text, ``timeout`` no number, or a choice no bool.
            StaleReference: A reference among the bindings is to what is gone.
            ValueError: ``after`` names a promise with no command of this bridge behind it;
                ``timeout`` is not positive; the lifetime is none; a reference is another bridge's.
            WrongLoopError: Called on another loop, or from another thread, than the bridge's.
        """
        loop = self._usable_loop()
        policy = PER_COMMAND if lifetime == "command" else policy_of(lifetime)
        check_name(name)
        if timeout is not None:
            check_timeout(timeout)
        if run_timeout is not None:
            check_timeout(run_timeout, "run_timeout")
        check_flags(writable=writable, copy=copy, one_hot=one_hot, requeue=requeue, keep=keep)
        if type(priority) is not int or priority:
            check_priority(priority)
        tools = self._tools()
        if isinstance(code, str):
            source = code
            check_source(source)
        else:
            check_code(code)
            source = tools.render(code)
        check_bindings(bindings)
        bindings, streams = take_streams(bindings, policy.terms.ends)
        for key in bindings or ():
            tools.check_identifier(key)
        change = _change
        if bindings and change is None and policy.terms.ends != "command":
            change = Change(self._finalizers)
            for key in bindings:
                self._begin(policy, key, None, change=change)
        handing = tools.Handing(self) if bindings else None
        promise = promise_factory(loop=loop)
        if one_hot is None:
            one_hot = self._options.one_hot
        if transform is not None:
            promise._add_transform(transform)
        if change is not None:
            promise._add_own_callback(change.ended)
        try:
            item = tools.Pending(
                promise,
                code=source,
                bindings=self._encoded(
                    bindings,
                    copy=self._options.copy if copy is None else copy,
                    one_hot=one_hot,
                    handing=handing,
                )
                if bindings
                else None,
                lifetime=policy.terms.wire,
                label=name or "",
                after=tools.dependencies(after, self._rejections) if after != () else (),
                home=self._rejections,
                annotate=annotate,
                origin=tools.origin(),
                aside=_aside,
                writable=self._options.writable if writable is None else writable,
                streams=streams,
                names=tuple(bindings or ()),
                requeue=requeue,
                run_timeout=run_timeout,
                priority=priority,
            )
            item.keep = STAY if keep else _keep
            item.sets = _sets
            item.scope = current_scope(self)
            if handing is not None and not handing.is_empty:
                self._took(item, handing)
            if bindings and policy.terms.ends in ("never", "lease"):
                self._named(bindings)
                self._eternal |= bindings.keys() - self._finalizers.names
            promise._attach(item)
            self._submit(item, timeout)
        except BaseException:
            if handing is not None:
                handing.give_up()
            if change is not None:
                change.take_back()
            raise
        return promise

    def run(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Promise[T]:
        """Run a Python function in the worker; it travels as source, not as a pickle.

        Modules that it uses are imported there; other values that it uses travel as bindings.

        Raises:
            CodegenError: The function's source cannot be had, or cannot stand by itself.
            SerializationError: An argument has no wire form; the text says which.
            StaleReference: An argument is a reference to what is gone.
        """
        tools = self._tools()
        # A function that uses the mirrors uses Keras itself over there.
        shipped = tools.ship(function, modules={"asyncbridge.models": "keras"})
        given = {
            **{f"argument {place}": value for place, value in enumerate(args)},
            **{f"argument {key!r}": value for key, value in kwargs.items()},
        }
        labels = {tools.random_name(): label for label in given}
        names = list(labels)
        named = dict(zip(kwargs, names[len(args) :], strict=True))
        node = tools.call(shipped, names[: len(args)], named)
        bindings = {**shipped.bindings, **dict(zip(names, given.values(), strict=True))}
        with named_as(labels):
            return self.send(node, bindings, name=getattr(function, "__qualname__", repr(function)))

    def drain(self) -> Promise[None]:
        """Return a promise that is fulfilled when the backlog is empty: the back-pressure."""
        return self._promise_of(self._drain, "asyncbridge-drain")

    def info(self) -> Promise[WorkerInfo]:
        """Return a promise of the worker's present state; it answers while a command runs."""
        self._usable_loop()
        return self._promise_of(self._info, "asyncbridge-info")

    def output(self) -> OutputReader:
        """Return an iterator over the lines printed in the worker from now on.

        ``async for`` on any loop; a plain ``for`` in a script. ``promise.output()`` has those of
        one command.
        """
        loop = self._usable_loop()
        return self._output.reader(loop)

    def on_unhandled_rejection(
        self, handler: Callable[[UnhandledRejection], object] | None, /
    ) -> Callable[[UnhandledRejection], object] | None:
        """Have the handler called with each rejection that nobody took; also as a decorator.

        It is for the promises of this bridge's commands and for those derived from them. It runs
        on the bridge's loop once the promise is garbage, after the loop's exception handler, which
        is called in any case, and logs it. A later handler takes the place of this one, and None
        ends it.

        Args:
            handler: A plain function, or a coroutine function.

        Returns:
            The handler.

        Raises:
            BridgeClosed: The bridge is not open.
            TypeError: It is no function.
        """
        self._rejections.handle_by(handler, self._usable_loop())
        return handler

    # --- inner steps ---

    def _encoded(
        self,
        bindings: Mapping[str, object],
        *,
        copy: bool,
        one_hot: bool,
        handing: Handing | None = None,
    ) -> Bindings:
        tools, transfers = self._tools(), self._opened()._transfers
        assert self._worker is not None
        here = self._worker.kind != "attached" or transfers.shares_memory
        written: Bindings = tools.write_bindings(
            bindings, copy=copy, one_hot=one_hot, files=here, limit=transfers.largest,
            quickly=self._is_on_loop(), handles=handing,
        )  # fmt: skip
        return written

    def _is_on_loop(self) -> bool:
        """Tell whether the caller's thread is the one of the event loop."""
        return self._loop_thread is None or in_thread_of(self._loop_thread.loop)

    async def _info(self) -> WorkerInfo:
        return WorkerInfo.parse(await self._asked(lambda session: session.info()))

    async def _drain(self) -> None:
        await (await self._current()).drain()

    def _submit(self, item: Pending, timeout: float | None) -> None:
        size = item.size
        if self._is_on_loop():
            self._backlog.take(size)
            try:
                self._enqueue(item, timeout)
            except BaseException:
                self._backlog.give(size)
                raise
            return
        assert self._loop_thread is not None
        self._backlog.wait_and_take(size)
        self._loop_thread.soon(self._enqueue_or_reject, item, timeout)

    def _send_now(self, item: Pending) -> None:
        """Send a command that has waited for what it uses."""
        self._enqueue_or_reject(item, None)

    def _pass_on_value(self, value: object, user: Pending) -> Pending:
        """Send a value ahead of the command that uses it; return the command that does so."""
        handing = self._tools().Handing(self)
        bindings = self._encoded(
            {"value": value}, copy=False, one_hot=self._options.one_hot, handing=handing
        )
        item: Pending = self._tools().passing_on(self._loop, bindings, user)
        if not handing.is_empty:
            self._took(item, handing)
        self._backlog.count(item.size)
        self._enqueue_or_reject(item, None)
        return item

    def _enqueue_or_reject(self, item: Pending, timeout: float | None) -> None:
        size = item.size
        try:
            self._enqueue(item, timeout)
        except Exception as error:  # noqa: BLE001 - nobody else could be told
            self._reject(item, size, error)

    def _enqueue(self, item: Pending, timeout: float | None) -> None:
        promise = None if timeout is None else item.promise
        if not self._awaiting.admits(item):
            pass
        elif self._held is not None:
            self._held.add(item)
        elif (error := self._missing(item)) is not None:
            self._reject(item, item.size, error)
        else:
            self._opened().submit(item)
        if timeout is not None and promise is not None and not promise.done():
            assert self._loop is not None
            item.timer = self._loop.call_later(timeout, expire, item, promise, timeout)


def expire(item: Pending, promise: Promise[Any], timeout: float) -> None:
    """Reject a promise whose time is over; a command that waits is taken back, or its halt ended."""
    if promise.done():
        return
    what, state = item.label or "the command", item.state
    text = f"no outcome of {what} after {timeout} s ({state})"
    if state not in ("pending", "queued"):
        text += (
            f": it goes on; bridge.cancel({item.id}) stops it, bridge.promise({item.id}) waits on"
        )
    promise.set_exception(TimeoutError(text))
    item.take_back()
