"""Errors that halt, on fake workers: what each decision comes to, and how halts end."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge.decisions import Decision, DropQueue, Ignore, Raise, Replace, Retry
from asyncbridge.errors import (
    BridgeClosed,
    CommandDropped,
    DecisionError,
    DependencyError,
    RemoteError,
    TransferError,
)
from asyncbridge.protocol.limits import BULK_THRESHOLD, Bound
from asyncbridge.remote_errors import remote_class
from asyncbridge.testing import FakeWorker, ManualClock, clock_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from asyncbridge.client import Bridge
    from asyncbridge.promise import Promise

DIVIDED = remote_class("ZeroDivisionError")

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]


async def halt(bridge: Bridge, epoch: int = 1) -> None:
    """Wait until a command of the bridge is halted."""
    while not bridge.halted or bridge.halted[0].epoch < epoch:
        await asyncio.sleep(0)


async def outcomes(*promises: Promise[Any]) -> list[Any]:
    """Return values and errors."""
    return await asyncio.gather(*promises, return_exceptions=True)


async def by_clock(main: Callable[[ManualClock], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on a loop whose timers follow a clock that it sets."""

    def run() -> None:
        clock = ManualClock()
        with asyncio.Runner(loop_factory=lambda: clock_loop(clock)) as runner:
            runner.run(main(clock))

    await asyncio.to_thread(run)


@pytest.mark.parametrize(
    ("decision", "value"),
    [
        (Ignore(), None),
        (Ignore({"loss": 0.5}), {"loss": 0.5}),
        (Replace("n + 40", {"n": 2}), 42),
        (Retry(bindings={"b": 2}), 3),
        (Retry(code="a"), 6),
        (Retry(code="a // c", bindings={"c": 3}), 2),
    ],
    ids=repr,
)
async def test_a_decision_gives_the_command_a_value(decision: Decision, value: object) -> None:
    """Commands behind it run after that, those that depend on it included."""
    async with FakeWorker().connect(halt_on_error=True) as bridge:
        failed = bridge.send("a // b", {"a": 6, "b": 0})
        after = bridge.send("'ran'", after=[failed])
        await halt(bridge)
        assert (failed.state, after.state) == ("halted", "queued")
        await bridge.decide(bridge.halted[0], decision)
        assert await failed == value
        assert await after == "ran"
        assert bridge.halted == ()


@pytest.mark.parametrize("decision", [Raise(), None], ids=repr)
async def test_the_error_may_stand(decision: Decision | None) -> None:
    """It is the very error that was halted at; dependents fail with it, and do not halt."""
    async with FakeWorker().connect(halt_on_error=True) as bridge:
        failed, other = bridge.send("1 / 0", name="half"), bridge.send("2")
        dependent = bridge.send("3", after=[failed])
        await halt(bridge)
        (halted,) = bridge.halted
        assert (halted.command, halted.command_id, halted.epoch) == ("half", failed.command_id, 1)
        await bridge.decide(halted, decision)
        error, two, unrun = await outcomes(failed, other, dependent)
        assert error is halted.error
        assert two == 2
        assert isinstance(unrun, DependencyError)
        assert bridge.halted == ()


async def test_drop_queue_drops_what_was_sent_before() -> None:
    """Also what is still in the client's backlog; nothing that is sent afterwards."""
    worker = FakeWorker(window=Bound(count=2, size=1000))
    async with worker.connect(halt_on_error=True) as bridge:
        failed = bridge.send("1 / 0")
        before = [bridge.send("ran = True", name=f"before {number}") for number in range(5)]
        await halt(bridge)
        decided = bridge.decide(bridge.halted[0], DropQueue())
        behind = bridge.send("'ran' in globals()")
        orphan = bridge.send("1", after=[before[-1]])
        await decided
        error, *dropped = await outcomes(failed, *before)
        assert isinstance(error, RemoteError)
        assert [type(each) for each in dropped] == [CommandDropped] * 5
        assert str(dropped[0]).startswith(
            "before 0 (command 2) was not run: it was queued behind command 1,"
        )
        assert dropped[0].because == 1
        assert await behind is False
        with pytest.raises(DependencyError):
            await orphan
        assert await bridge.send("'as ever'") == "as ever"


async def test_other_clients_go_on_and_may_decide() -> None:
    """One of them sees the halt in ``info``, and may drop what is queued behind it."""
    worker = FakeWorker()
    async with worker.connect(halt_on_error=True) as bridge, worker.connect() as other:
        failed, queued = bridge.send("1 / 0", name="half"), bridge.send("2")
        await halt(bridge)
        assert await other.send("40 + 2") == 42
        (told,) = (await other.info()).halted
        assert 299 < told["remaining"] + told["seconds"] < 301
        changing = {"error_id": "", "seconds": 0, "remaining": 0, "session": ""}
        assert {**told, **changing} == {
            **changing, "epoch": 1, "command": 1, "label": "half", "name": "", "default": "raise",
            "type": "ZeroDivisionError", "message": "division by zero", "code": "1 / 0",
            "bindings": [],
        }  # fmt: skip
        assert other.halted == ()
        await other.decide(told["error_id"], DropQueue(), epoch=1)
        error, dropped = await outcomes(failed, queued)
        assert (type(error), type(dropped)) == (DIVIDED, CommandDropped)
        assert (await other.info()).halted == ()
        assert await bridge.send("3") == 3


async def test_drop_queue_by_another_client() -> None:
    """It drops all that was sent before the owner has heard of it, and nothing after that."""
    worker = FakeWorker(window=Bound(count=2, size=1000))
    async with worker.connect(halt_on_error=True) as bridge, worker.connect() as other:
        failed = bridge.send("1 / 0")
        before = [bridge.send("ran = True") for _ in range(50)]
        await halt(bridge)
        await other.decide(bridge.halted[0].error_id, DropQueue())
        with pytest.raises(RemoteError):
            await failed
        behind = bridge.send("'ran' in globals()")
        dropped = await outcomes(*before)
        assert {type(each) for each in dropped} == {CommandDropped}
        assert await behind is False


async def test_two_clients_drop_at_once() -> None:
    """It is the same decision; what each of them had sent stays told apart."""
    worker = FakeWorker(window=Bound(count=2, size=1000))
    async with worker.connect(halt_on_error=True) as bridge, worker.connect() as other:
        failed = bridge.send("1 / 0")
        before = [bridge.send("ran = True") for _ in range(50)]
        await halt(bridge)
        (halted,) = bridge.halted
        both = other.decide(halted.error_id, DropQueue()), bridge.decide(halted, DropQueue())
        behind = bridge.send("'ran' in globals()")
        assert await outcomes(*both) == [None, None]
        error, *dropped = await outcomes(failed, *before)
        assert error is halted.error
        assert {type(each) for each in dropped} == {CommandDropped}
        assert await behind is False


async def test_what_fails_again_halts_again() -> None:
    """In the next epoch, with the edits so far; the error's id stays."""
    async with FakeWorker().connect(halt_on_error=True) as bridge:
        failed = bridge.send("items.append(1); a / b", {"a": 1, "b": 0, "items": []})
        behind = bridge.send("'behind'")
        await halt(bridge)
        (first,) = bridge.halted
        await bridge.decide(first, Retry(bindings={"a": 8}))
        await halt(bridge, epoch=2)
        (second,) = bridge.halted
        assert (second.error_id, second.epoch) == (first.error_id, 2)
        with pytest.raises(DecisionError, match=r"was decided already: by Retry\(\)"):
            await bridge.decide(first, Raise())
        await bridge.decide(
            second, Retry(bindings={"b": 2}, code="items.append(1); (a / b, items)")
        )
        # Small values are as they were sent, whatever the code had done to them.
        assert await outcomes(failed, behind) == [(4.0, [1]), "behind"]


async def test_a_replacement_that_fails_is_what_is_tried_again() -> None:
    """With its own bindings, which go with the command."""
    async with FakeWorker().connect(halt_on_error=True) as bridge:
        failed = bridge.send("1 / 0", {"old": 1})
        await halt(bridge)
        await bridge.decide(bridge.halted[0], Replace("x / y", {"x": 6, "y": 0}))
        await halt(bridge, epoch=2)
        await bridge.decide(bridge.halted[0], Retry(bindings={"y": 3}))
        assert await failed == 2
        assert await bridge.send("{'old', 'x', 'y'} & set(globals())") == set()


async def test_a_decision_twice_is_as_good_as_once() -> None:
    """Another one for the same error is refused, and so is one about none."""
    async with FakeWorker().connect(halt_on_error=True) as bridge:
        failed = bridge.send("1 / 0")
        await halt(bridge)
        (halted,) = bridge.halted
        # The first two are on their way together.
        both = [bridge.decide(halted, Replace("1", {"a": 2})) for _ in range(2)]
        assert await outcomes(*both) == [None, None]
        assert await failed == 1
        await bridge.decide(halted.error_id, Replace("1", {"a": 2}))
        for other in (Replace("2", {"a": 2}), Replace("1", {"a": 3}), Ignore()):
            with pytest.raises(DecisionError, match=r"decided already: by Replace\(\)"):
                await bridge.decide(halted, other)
        with pytest.raises(DecisionError, match="nothing is halted by an error 'e-7'"):
            await bridge.decide("e-7", Ignore())


async def test_an_epoch_that_has_not_come_is_unknown() -> None:
    """The refusal says which one there is."""
    async with FakeWorker().connect(halt_on_error=True) as bridge:
        failed = bridge.send("1 / 0")
        await halt(bridge)
        name = bridge.halted[0].error_id
        with pytest.raises(DecisionError, match="in epoch 2; that error halts in epoch 1 now"):
            await bridge.decide(name, Ignore(), epoch=2)
        await bridge.decide(name, Ignore())
        assert await failed is None


async def test_cancel_ends_a_halt() -> None:
    """The promise is cancelled, what depends on it fails, and the rest runs."""
    async with FakeWorker().connect(halt_on_error=True) as bridge:
        failed, behind = bridge.send("1 / 0"), bridge.send("2")
        dependent = bridge.send("3", after=[failed])
        await halt(bridge)
        (halted,) = bridge.halted
        assert failed.cancel("enough")
        cancelled, two, unrun = await outcomes(failed, behind, dependent)
        assert isinstance(cancelled, asyncio.CancelledError)
        assert (two, type(unrun)) == (2, DependencyError)
        assert bridge.halted == ()
        with pytest.raises(DecisionError, match="decided already: by Cancel"):
            await bridge.decide(halted, Ignore())


async def test_a_cancel_while_it_runs_again_cancels_it() -> None:
    """Queued or begun: it is the same command."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect(halt_on_error=True) as bridge:
        for begun in (False, True):
            failed = bridge.send("1 / 0")
            while not bridge.halted:
                worker.step()
                await asyncio.sleep(0)
            await bridge.decide(bridge.halted[0], Retry(code="'ran'"))
            while failed.state != "queued":
                await asyncio.sleep(0)
            if begun:
                while not worker.begin():
                    await asyncio.sleep(0)
            failed.cancel(mode="interrupt")
            await bridge.info()
            worker.run_all()
            with pytest.raises(asyncio.CancelledError):
                await failed


async def test_a_time_limit_ends_a_halt() -> None:
    """Nobody is left who could take the outcome: the error stands, and the rest runs."""

    async def main(clock: ManualClock) -> None:
        left: list[str] = []
        async with FakeWorker().connect(halt_on_error=True) as bridge:
            for handled in (False, True):
                failed, behind = bridge.send("1 / 0", timeout=60), bridge.send("2")
                dependent = bridge.send("3", after=[failed])
                await halt(bridge)
                (halted,) = bridge.halted
                clock.advance(60.1)
                with pytest.raises(TimeoutError, match="halted"):
                    await failed
                assert await behind == 2
                with pytest.raises(DependencyError):
                    await dependent
                assert bridge.halted == ()
                assert left == ["handler"] * handled
                with pytest.raises(DecisionError, match=r"decided already: by Raise\(\)"):
                    await bridge.decide(halted, Ignore())

                @bridge.on_error
                async def slow(error: RemoteError) -> None:
                    try:
                        await asyncio.Event().wait()
                    finally:
                        left.append("handler")

    await by_clock(main)


async def test_what_fails_after_its_time_limit_halts_nothing() -> None:
    """It goes on past it, as any that runs does; then nobody is asked."""

    async def main(clock: ManualClock) -> None:
        worker = FakeWorker(stepwise=True)
        asked: list[RemoteError] = []
        async with worker.connect() as bridge:
            bridge.on_error(asked.append)
            failed, behind = bridge.send("1 / 0", timeout=60), bridge.send("2")
            while not worker.begin():
                await asyncio.sleep(0)
            while failed.state != "running":
                clock.advance(0.001)  # a start is told only of what takes longer
                await asyncio.sleep(0)
            clock.advance(60.1)
            with pytest.raises(TimeoutError, match="running"):
                await failed
            while not behind.done():
                worker.run_all()
                await asyncio.sleep(0)
            assert (behind.result(), asked) == (2, [])

    await by_clock(main)


async def test_a_halt_lasts_so_long() -> None:
    """Then the error stands, and says that nobody has decided; to let it stand was right, too."""

    async def main(clock: ManualClock) -> None:
        async with FakeWorker().connect(halt_on_error=True, halt_timeout=60.0) as bridge:
            failed, behind = bridge.send("1 / 0"), bridge.send("2")
            await halt(bridge)
            (halted,) = bridge.halted
            clock.advance(59.9)
            await bridge.info()
            assert bridge.halted
            clock.advance(0.2)
            error, two = await outcomes(failed, behind)
            assert (error, two) == (halted.error, 2)
            assert error.notes == ("no decision about it came within 60 s, so the error stands",)
            await bridge.decide(halted, Raise())

    await by_clock(main)


async def test_without_halts_nothing_is_asked() -> None:
    """The queue goes on, and dependents alone fail."""
    async with FakeWorker().connect() as bridge:
        failed, behind = bridge.send("1 / 0"), bridge.send("2")
        error, two = await outcomes(failed, behind)
        assert (type(error), two, bridge.halted) == (DIVIDED, 2, ())
        with pytest.raises(DecisionError, match="nothing is halted"):
            await bridge.decide("e-1", Ignore())


async def test_closing_lets_the_error_stand() -> None:
    """Nobody would decide any more; what is queued runs first."""
    async with FakeWorker().connect(halt_on_error=True) as bridge:
        failed, behind = bridge.send("1 / 0"), bridge.send("2")
        again = bridge.send("1 / 0")
        await halt(bridge)
    error, two, other = await outcomes(failed, behind, again)
    assert (type(error), two, type(other)) == (DIVIDED, 2, DIVIDED)
    assert "the bridge was closed while this was halted, so the error stands" in error.__notes__
    assert not hasattr(other, "__notes__")
    with pytest.raises(BridgeClosed):
        bridge.decide("e-1", Ignore())


async def test_the_workers_death_ends_a_halt() -> None:
    """The command had started; what was queued had not."""
    worker = FakeWorker()
    async with worker.connect(halt_on_error=True) as bridge:
        failed, behind = bridge.send("1 / 0"), bridge.send("2")
        await halt(bridge)
        worker.pause()
        answer = bridge.decide(bridge.halted[0], Retry())
        worker.die()
        lost = await outcomes(failed, behind)
        assert [error.phase for error in lost] == ["started", "not_started"]
        assert bridge.halted == ()
        await outcomes(answer)  # which may have come before
        assert answer.done()


async def test_what_was_lost_while_halted_has_its_error_as_the_cause() -> None:
    """It had failed before the worker ended."""
    worker = FakeWorker()
    async with worker.connect(halt_on_error=True) as bridge:
        failed, behind = bridge.send("1 / 0"), bridge.send("2")
        await halt(bridge)
        worker.die()
        lost, other = await outcomes(failed, behind)
        assert isinstance(lost.__cause__, DIVIDED)
        assert other.__cause__ is None


async def test_large_values_of_decisions() -> None:
    """Bindings and values travel as those of commands do."""
    array = np.arange(BULK_THRESHOLD, dtype=np.uint8)
    async with FakeWorker().connect(halt_on_error=True) as bridge:
        failed = bridge.send("x.shape[5]", {"x": array})
        await halt(bridge)
        await bridge.decide(bridge.halted[0], Retry(code="x + y", bindings={"y": array}))
        assert np.array_equal(await failed, array + array)
        failed = bridge.send("1 / 0")
        await halt(bridge)
        await bridge.decide(bridge.halted[0], Ignore(array))
        assert np.array_equal(await failed, array)


# --- handlers ----------------------------------------------------------------------------


async def test_a_handler_is_asked_one_error_at_a_time() -> None:
    """In the order of the errors, plain or a coroutine function; None ends it."""
    asked: list[str] = []
    async with FakeWorker().connect() as bridge:

        @bridge.on_error
        def plain(error: RemoteError) -> Decision:
            asked.append(f"plain {error.type}")
            return Ignore(len(asked))

        assert await outcomes(bridge.send("1 / 0"), bridge.send("[][0]")) == [1, 2]

        @bridge.on_error
        async def patient(error: RemoteError) -> Decision | None:
            asked.append(f"patient {bridge.halted[0].command}")
            await asyncio.sleep(0)
            return Retry(code="7") if error.type == "IndexError" else None

        zero, index = bridge.send("1 / 0", name="a"), bridge.send("[][0]", name="b")
        error, seven = await outcomes(zero, index)
        assert (type(error), seven) == (DIVIDED, 7)
        bridge.on_error(None)
        with pytest.raises(RemoteError):
            await bridge.send("1 / 0")
    assert asked == ["plain ZeroDivisionError", "plain IndexError", "patient a", "patient b"]


async def test_many_errors_and_a_slow_handler() -> None:
    """Each error is asked about once, in its order, and nothing runs while it is."""
    asked: list[int] = []
    async with FakeWorker().connect() as bridge:
        await bridge.send("ran = []")

        @bridge.on_error
        async def slow(error: RemoteError) -> Decision:
            (halted,) = bridge.halted
            assert halted.error is error
            for _ in range(20):
                await asyncio.sleep(0)
            assert bridge.halted == (halted,)
            asked.append(halted.command_id)
            return Retry(code="ran.append(n); n") if len(asked) % 2 else Ignore(-1)

        failing = [bridge.send("1 / 0", {"n": number}) for number in range(100)]
        assert await outcomes(*failing) == [-1 if n % 2 else n for n in range(100)]
        assert asked == [promise.command_id for promise in failing]
        assert await bridge.send("ran") == list(range(0, 100, 2))


async def test_decisions_from_two_sides_at_once() -> None:
    """One of them counts, the other is refused, and the command has that one's value."""
    worker = FakeWorker()
    async with worker.connect(halt_on_error=True) as bridge, worker.connect() as other:
        for number in range(20):
            failed, behind = bridge.send("1 / 0"), bridge.send("n", {"n": number})
            await halt(bridge)
            error_id = bridge.halted[0].error_id
            sides = [("bridge", bridge), ("other", other)]
            if number % 2:
                sides.reverse()
            answers = await outcomes(*[side.decide(error_id, Ignore(name)) for name, side in sides])
            refused = [isinstance(answer, DecisionError) for answer in answers]
            assert sorted(refused) == [False, True]
            assert await failed == sides[refused.index(False)][0]
            assert await behind == number


async def test_closing_while_others_decide() -> None:
    """The error stands by the close, or is decided before it: all is settled either way."""
    worker = FakeWorker()
    async with worker.connect() as other:
        for decision in (DropQueue(), Retry(code="'again'")):
            async with worker.connect(halt_on_error=True) as bridge:
                failed, behind = bridge.send("1 / 0"), bridge.send("2")
                await halt(bridge)
                decided = other.decide(bridge.halted[0].error_id, decision)
            await outcomes(decided)
            assert failed.done()
            assert behind.done()
            await outcomes(failed, behind)
        assert (await other.info()).halted == ()


async def test_a_handler_that_comes_late_is_asked_of_what_is_halted() -> None:
    """``halt_on_error`` may have halted a command before it is there."""
    async with FakeWorker().connect(halt_on_error=True) as bridge:
        failed = bridge.send("1 / 0")
        await halt(bridge)
        bridge.on_error(None)  # there is none, and what is halted stays so
        await bridge.info()
        assert bridge.halted
        bridge.on_error(lambda error: Ignore("late"))
        assert await failed == "late"


@pytest.mark.parametrize("said", ["error", "cancelled", "nonsense", "no Python", "no wire form"])
async def test_a_handler_that_fails(said: str, caplog: pytest.LogCaptureFixture) -> None:
    """That is logged, and the error stands, with a note about it."""
    decisions = {
        "nonsense": 5,
        "no Python": Replace("1 +"),
        "no wire form": Retry(bindings={"x": object()}),
    }

    async def handler(error: RemoteError) -> Any:
        if said == "error":
            raise KeyError("loss")
        if said == "cancelled":
            raise asyncio.CancelledError
        return decisions[said]

    async with FakeWorker().connect() as bridge:
        bridge.on_error(handler)
        with caplog.at_level(logging.ERROR), pytest.raises(RemoteError) as caught:
            await bridge.send("1 / 0")
        assert caught.value.__notes__[0].startswith("the handler of errors failed: ")
        assert "the handler of errors failed; it was asked of" in caplog.text
        assert await bridge.send("1") == 1


async def test_a_decision_that_cannot_be_done_lets_the_error_stand(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Such as a retry of a command whose data has flowed by."""
    from asyncbridge.streams import stream  # noqa: PLC0415 - beside its only use

    async with FakeWorker(threaded=True).connect() as bridge:
        bridge.on_error(lambda error: Retry())
        with caplog.at_level(logging.ERROR), pytest.raises(RemoteError) as caught:
            await bridge.send("next(iter(x)) / 0", {"x": stream([1, 2])})
        assert "cannot be retried: what has flowed into it" in caught.value.__notes__[0]
        bridge.on_error(lambda error: Replace("'instead'"))
        assert await bridge.send("next(iter(x)) / 0", {"x": stream([1, 2])}) == "instead"


async def test_a_handler_is_left_when_somebody_else_decides() -> None:
    """Its coroutine is cancelled: it has nothing to decide any more."""
    left = asyncio.Event()
    worker = FakeWorker()
    async with worker.connect() as bridge, worker.connect() as other:

        @bridge.on_error
        async def slow(error: RemoteError) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                left.set()

        failed = bridge.send("1 / 0")
        await halt(bridge)
        await other.decide(bridge.halted[0], Ignore("other"))
        assert await failed == "other"
        await left.wait()


async def test_a_handler_goes_on_while_its_bridge_closes() -> None:
    """The bridge waits for what is unfinished."""
    async with FakeWorker().connect() as bridge:

        @bridge.on_error
        async def slow(error: RemoteError) -> Decision:
            while bridge.state != "closing":
                await asyncio.sleep(0)
            return Ignore("in time")

        failed = bridge.send("1 / 0")
    assert failed.result() == "in time"


async def test_a_failure_of_the_fake_worker_halts_as_any_other() -> None:
    """And what fails once can be tried again."""
    worker = FakeWorker()
    async with worker.connect() as bridge:
        bridge.on_error(lambda error: Retry() if error.message == "no memory" else None)
        worker.fail("MemoryError", "no memory")
        assert await bridge.send("40 + 2") == 42


async def test_a_large_value_that_cannot_be_sent() -> None:
    """The decision fails, and another one may be made."""
    array = np.ones(BULK_THRESHOLD, np.uint8)
    async with FakeWorker().connect(halt_on_error=True) as bridge:
        failed = bridge.send("1 / 0")
        await halt(bridge)
        bridge._opened()._transfers.upload = lambda buffers: None  # type: ignore[method-assign]
        decided = bridge.decide(bridge.halted[0], Ignore(array))
        bridge._opened()._not_sent("d1-0", TransferError("too many open files"))
        with pytest.raises(TransferError):
            await decided
        await bridge.decide(bridge.halted[0], Ignore("small"))
        assert await failed == "small"


@pytest.mark.parametrize(
    ("retry", "refusal"),
    [
        (Retry(bindings={"pats": 4}), "gives 'pats', which command 1 does not use; its bindings "),
        (
            Retry(bindings={"parts": 4, "whole": 2, "x": 1}),
            "its bindings are 'whole', 'parts'. For",
        ),
    ],
)
async def test_a_retry_with_a_name_that_is_none_is_refused(
    retry: Retry, refusal: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The refusal names what there is; of a handler's decision that lets the error stand."""
    async with FakeWorker().connect(halt_on_error=True) as bridge:
        failed = bridge.send("whole / parts", {"whole": 2, "parts": 0})
        await halt(bridge)
        with pytest.raises(DecisionError, match=refusal):
            await bridge.decide(bridge.halted[0], retry)
        with caplog.at_level(logging.ERROR):
            bridge.on_error(lambda error: retry)
            (error,) = await outcomes(failed)
        assert isinstance(error, DIVIDED)
        assert refusal in error.__notes__[0]


async def test_a_retry_may_give_what_its_code_reads() -> None:
    """A name that was missing, or any one of new code."""
    async with FakeWorker().connect() as bridge:
        bridge.on_error(lambda error: Retry(bindings={"parts": 4}))
        assert await bridge.send("whole / parts", {"whole": 2}) == 0.5
        bridge.on_error(lambda error: Retry(bindings={"n": 4}, code="n"))
        assert await bridge.send("1 / 0") == 4


async def test_each_attempt_is_counted() -> None:
    """By the error that a handler gets, and by the one that stands, halted or not."""
    async with FakeWorker().connect() as bridge:
        seen: list[int] = []

        @bridge.on_error
        def thrice(error: RemoteError) -> Decision | None:
            seen.append(error.attempt)
            return Retry() if error.attempt < 3 else None

        (error,) = await outcomes(bridge.send("1 / 0"))
        assert (seen, error.attempt) == ([1, 2, 3], 3)

        @bridge.on_error
        def once(error: RemoteError) -> Decision:
            bridge.on_error(None)
            return Retry()

        first, other = await outcomes(bridge.send("1 / 0"), bridge.send("1 / 0"))
        assert (first.attempt, other.attempt) == (2, 1)


async def test_endless_retries_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """At each power of ten."""
    async with FakeWorker().connect() as bridge:
        bridge.on_error(lambda error: Retry() if error.attempt < 120 else Ignore())
        with caplog.at_level(logging.WARNING):
            await bridge.send("1 / 0", name="half")
    told = [each.getMessage() for each in caplog.records if each.name.endswith("halts")]
    assert [text.partition(":")[0] for text in told] == [
        "half has failed 10 times, and is tried again",
        "half has failed 100 times, and is tried again",
    ]


async def test_what_was_dropped_names_what_had_failed() -> None:
    """By its name and its number."""
    async with FakeWorker().connect() as bridge:
        bridge.on_error(lambda error: DropQueue())
        _, dropped = await outcomes(bridge.send("1 / 0", name="half"), bridge.send("2"))
        assert str(dropped).startswith(
            "command 2 was not run: it was queued behind half (command 1)"
        )
