"""Promises in any order of settling, cancelling, chaining and awaiting do what the model says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from asyncbridge.promise import Promise, Resolvers
from tests.promise.conftest import outcome, settle
from tests.promise.model import Act, Boom, End, Model, Modelled

EXAMPLES = 250
PATIENCE_S = 60.0
STEPS = 40
NUMBERS = st.integers(0, 9)
PLACES = st.integers(0, STEPS)
"""Which promise a handler gives: by its index, among those that there are by then."""
ACTS = st.builds(
    Act,
    does=st.sampled_from(["add", "raise", "cancel", "give"]),
    number=NUMBERS,
    gives=PLACES,
    coroutine=st.booleans(),
)
BLOCKS = st.builds(Act, does=st.sampled_from(["add", "add", "raise"]), number=NUMBERS)
ENDS = st.builds(End, st.just("fulfilled"), NUMBERS) | st.builds(
    End, st.just("rejected"), NUMBERS, st.just(Boom)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A call that derives a promise."""

    method: Literal["then", "catch", "finally_"]
    act: Act
    other: Act
    """The second handler of ``then``."""
    types: tuple[type[BaseException], ...]
    """What ``catch`` handles."""


LINKS = st.builds(
    Link,
    method=st.sampled_from(["then", "then", "catch", "finally_"]),
    act=ACTS,
    other=ACTS,
    types=st.sampled_from([(Exception,), (LookupError,), (Boom, LookupError)]),
)


@dataclass(slots=True, eq=False)
class Subject:
    """A promise and what the model says of it."""

    real: Promise[Any]
    model: Modelled
    resolvers: Resolvers[Any] | None = None


@dataclass(slots=True, eq=False)
class Wait:
    """A task that awaits a promise."""

    task: asyncio.Task[Any]
    subject: Subject
    under_way: bool = False
    end: End | None = None


def number_of(value: object) -> int:
    """Return the number that a value or an error carries; -1 for an error of our own."""
    if isinstance(value, BaseException):
        value = value.args[0] if value.args else -1
    return value if isinstance(value, int) else -1


def end_of(value: object) -> End:
    """Return what a value, or the exception that awaiting raised, says of the end."""
    if isinstance(value, asyncio.CancelledError):
        return End("cancelled", number_of(value))
    if isinstance(value, BaseException):
        return End("rejected", number_of(value), type(value))
    return End("fulfilled", number_of(value))


def perform(act: Act, *args: object) -> int:
    """Do what the act says with the number that comes."""
    if act.does == "raise":
        raise Boom(act.number)
    if act.does == "cancel":
        raise asyncio.CancelledError(act.number)
    return sum(map(number_of, args)) + act.number


def raw(end: End) -> Any:
    """Return the value or the exception that the end is of."""
    return end.number if end.error is None else end.error(end.number)


class Promises(RuleBasedStateMachine):
    """A loop that turns only when a rule says, several promises on it, and their model."""

    deferreds = Bundle("deferreds")
    bares = Bundle("bares")
    derived = Bundle("derived")
    waits = Bundle("waits")
    subjects = deferreds | bares | derived

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda *_: None)  # errors that nobody takes, on purpose
        self.model = Model()
        self.all: list[Subject] = []
        self.all_waits: list[Wait] = []
        self.calls: list[tuple[int, bool]] = []
        self.tag = 0

    def teardown(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self._turn()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    # --- the loop ------------------------------------------------------------------------

    def _turn(self) -> None:
        """Let the loop turn until it has nothing more to do."""
        while self.loop._ready:  # type: ignore[attr-defined] # pyright: ignore - not public
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def _in_a_thread(self, function: Callable[[], Any], *then: Callable[[], object]) -> Any:
        """Call the function in another thread while the loop runs; return its outcome.

        What was due has happened before, and what comes of it has afterwards. Meanwhile the loop
        does what is to happen ``then``.
        """

        async def call() -> Any:
            called = self.loop.run_in_executor(None, function)
            for each in then:
                self.loop.call_soon(each)
            return await outcome(called)

        self.turn()
        return self.loop.run_until_complete(call())

    @rule()
    def turn(self) -> None:
        """Everything that is due happens."""
        self._turn()
        self.model.run()
        for wait in self.all_waits:
            wait.under_way = True
            wait.end = wait.end or wait.subject.model.end

    # --- making --------------------------------------------------------------------------

    def _add(
        self, real: Promise[Any], model: Modelled, resolvers: Resolvers[Any] | None = None
    ) -> Subject:
        self.all.append(Subject(real, model, resolvers))
        return self.all[-1]

    @initialize(target=deferreds)
    def first(self) -> Subject:
        """There is always a promise."""
        return self._deferred()

    @rule(target=deferreds)
    def deferred(self) -> Subject:
        """Make a promise with its two functions."""
        return self._deferred()

    def _deferred(self) -> Subject:
        resolvers = Promise[Any].with_resolvers(loop=self.loop)
        return self._add(resolvers.promise, self.model.add(), resolvers)

    @rule(target=bares)
    def bare(self) -> Subject:
        """Make a promise as a loop's ``create_future`` would."""
        return self._add(Promise(loop=self.loop), self.model.add(shared=False))

    def _handler(self, act: Act) -> tuple[Act, Callable[..., Any]]:
        """Return the act with the promise that it gives pinned, and a handler that does it."""
        act = replace(act, gives=act.gives % len(self.all))
        given, tag = self.all[act.gives].real, self.tag

        def plain(*args: object) -> Any:
            self.calls.append((tag, act.coroutine))
            return given if act.does == "give" else perform(act, *args)

        async def coroutine(*args: object) -> Any:
            value = plain(*args)
            return await value if isinstance(value, Promise) else value

        return act, coroutine if act.coroutine else plain

    @rule(target=derived, source=subjects, links=st.lists(LINKS, min_size=1, max_size=4))
    def chain(self, source: Subject, links: list[Link]) -> MultipleResults[Subject]:
        """Derive a promise from it, another from that one, and so on."""
        derived = []
        for link in links:
            source = self._derive(source, link)
            derived.append(source)
        return multiple(*derived)

    @rule(target=derived, source=subjects, link=LINKS)
    def chain_in_a_thread(self, source: Subject, link: Link) -> Subject:
        """Derive a promise from another thread than the loop's."""
        got = self._in_a_thread(lambda: [self._derive(source, link)])
        self.turn()
        subject: Subject = got[0]
        return subject

    def _derive(self, source: Subject, link: Link) -> Subject:
        self.tag += 1
        act, handler = self._handler(link.act)
        other, handler_of_errors = self._handler(link.other)
        real, model = source.real, self.model
        if link.method == "then":
            derived = real.then(handler, handler_of_errors)
            modelled = model.then(source.model, act, other, BaseException, self.tag)
        elif link.method == "catch":
            derived = real.catch(link.types, handler)
            modelled = model.then(source.model, None, act, link.types, self.tag)
        else:
            derived = real.finally_(handler)
            modelled = model.finally_(source.model, act, self.tag)
        return self._add(derived, modelled)

    @rule(subject=subjects, block=BLOCKS)
    def transform(self, subject: Subject, block: Act) -> None:
        """Add a transform block, which a settled promise refuses."""
        function = partial(perform, block)
        if subject.model.end is None:
            assert subject.real.transform(function) is subject.real
            subject.model.blocks.append(block)
        else:
            with pytest.raises(asyncio.InvalidStateError):
                subject.real.transform(function)

    # --- ending --------------------------------------------------------------------------

    @rule(subject=subjects, end=ENDS)
    def settle_and_turn(self, subject: Subject, end: End) -> None:
        """Settle it, and let everything happen."""
        self.settle(subject, end)
        self.turn()

    @rule(subject=subjects, end=ENDS)
    def settle(self, subject: Subject, end: End) -> None:
        """Settle it as a future; a second time is an error."""
        if subject.model.end is None:
            settle(subject.real, raw(end))
            self.model.settle(subject.model, end)
        else:
            with pytest.raises(asyncio.InvalidStateError):
                settle(subject.real, raw(end))

    @rule(subject=deferreds, x=ENDS | subjects, thread=st.booleans())
    def resolve(self, subject: Subject, x: End | Subject, thread: bool) -> None:
        """Call one of its two functions: only the very first call counts."""
        assert subject.resolvers is not None
        _, resolve, reject = subject.resolvers
        value = x.real if isinstance(x, Subject) else raw(x)
        call: Callable[[Any], None] = reject if isinstance(x, End) and x.error else resolve
        if thread:
            self._in_a_thread(partial(call, value))
        else:
            call(value)
        resolve(-1)
        reject(Boom(-1))
        if not subject.model.resolved:
            subject.model.resolved = True
            self.model.resolve(subject.model, x.model if isinstance(x, Subject) else x)
        if thread:
            self.turn()

    @rule(subject=subjects, number=NUMBERS)
    def cancel(self, subject: Subject, number: int) -> None:
        """Cancel it; what it was derived from goes on."""
        assert subject.real.cancel(number) is (subject.model.end is None)
        self.model.settle(subject.model, End("cancelled", number))

    @rule(subject=subjects, number=NUMBERS)
    def cancel_in_a_thread(self, subject: Subject, number: int) -> None:
        """Cancel it from another thread than the loop's."""
        could = self._in_a_thread(partial(subject.real.cancel, number))
        assert could is (subject.model.end is None)
        self.model.settle(subject.model, End("cancelled", number))
        self.turn()

    # --- waiting -------------------------------------------------------------------------

    @rule(target=waits, subject=subjects, turn=st.booleans())
    def wait(self, subject: Subject, turn: bool) -> Wait:
        """Start a task that awaits it, or is about to."""
        wait = Wait(self.loop.create_task(outcome(subject.real)), subject)
        self.all_waits.append(wait)
        if turn:
            self.turn()
        return wait

    @rule(wait=consumes(waits), number=NUMBERS)
    def cancel_wait(self, wait: Wait, number: int) -> None:
        """Cancel the task: the promise lives on, unless it is a bare one."""
        if not wait.under_way or wait.end is not None:
            return
        wait.task.cancel(number)
        ended = wait.subject.model.end
        # As with any future: where the promise was cancelled in this turn, the task gets that.
        wait.end = ended if ended and ended.state == "cancelled" else End("cancelled", number)
        if not wait.subject.model.shared:
            self.model.settle(wait.subject.model, wait.end)

    @rule(subject=subjects)
    def block(self, subject: Subject) -> None:
        """Block another thread for its value, with no time if it is pending."""
        self.turn()
        end = subject.model.end
        timeout = 0 if end is None else PATIENCE_S
        got = self._in_a_thread(partial(subject.real.wait_for_value, timeout))
        assert isinstance(got, TimeoutError) if end is None else end_of(got) == end

    @rule(subject=subjects, end=ENDS)
    def settle_while_blocked(self, subject: Subject, end: End) -> None:
        """Another thread that waits gets the end that comes meanwhile."""
        self.turn()
        then = () if subject.model.end else (partial(settle, subject.real, raw(end)),)
        got = self._in_a_thread(partial(subject.real.wait_for_value, PATIENCE_S), *then)
        self.model.settle(subject.model, end)
        assert end_of(got) == subject.model.end
        self.turn()

    # --- what holds ----------------------------------------------------------------------

    @invariant()
    def each_state_is_the_models(self) -> None:
        """States agree after every step, whether or not the loop has turned."""
        for subject in self.all:
            assert subject.real.state == subject.model.state

    @invariant()
    def each_end_is_the_models(self) -> None:
        """So do values, errors and the messages of cancellations."""
        for subject in self.all:
            if subject.model.end is not None:
                try:
                    got: object = subject.real.result()
                except BaseException as error:
                    got = error
                assert end_of(got) == subject.model.end

    @invariant()
    def handlers_ran_as_in_the_model(self) -> None:
        """Each that should have run once the loop is idle has, once, and no other."""
        if self.loop._ready or self.model._due:  # type: ignore[attr-defined] # pyright: ignore - not public
            return
        assert sorted(self.calls) == sorted(self.model.calls)

    @invariant()
    def each_wait_ends_as_its_promise(self) -> None:
        """A task that awaited has the promise's end, or its own cancellation."""
        for wait in self.all_waits:
            if wait.task.done():
                assert end_of(wait.task.result()) == wait.end


def test_promises_do_what_the_model_says() -> None:
    """In any order of what can be done to promises, on the loop's thread and from others."""
    examples = max(EXAMPLES, settings().max_examples // 2)  # the nightly profile asks for more
    run_state_machine_as_test(
        Promises, settings=settings(max_examples=examples, stateful_step_count=STEPS)
    )
