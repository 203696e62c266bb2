from __future__ import annotations

import asyncio
import gc
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge import codegen
from asyncbridge.client.checks import check_source
from asyncbridge.errors import (
    CodegenError,
    DependencyError,
    IdentifierError,
    QueueFull,
    RemoteError,
    SerializationError,
)
from asyncbridge.promise import Promise
from asyncbridge.protocol.limits import Bound
from asyncbridge.testing import FakeWorker, ManualClock, clock_loop

if TYPE_CHECKING:
    from asyncbridge.client import Bridge

pytestmark = pytest.mark.asyncio

MIB = 1024 * 1024


async def settle(bridge: Bridge) -> None:
    """Let everything that is on its way arrive."""
    await bridge.info()


async def test_code_is_text_or_a_node() -> None:
    """Both give the value of the last expression."""
    async with FakeWorker().connect() as bridge:
        assert await bridge.send("6 * 7") == 42
        node = codegen.Name("len").call([1, 2])
        assert await bridge.send(node) == 2


async def test_what_is_wrong_with_a_call_is_raised_by_the_call() -> None:
    """Nothing is sent, and the room that it would have taken is free."""
    async with FakeWorker().connect(backlog=Bound(count=1, size=MIB)) as bridge:
        with pytest.raises(SyntaxError):
            bridge.send("a b")
        with pytest.raises(SyntaxError):
            bridge.send("x\0")
        with pytest.raises(SyntaxError):
            bridge.send("return 1")
        with pytest.raises(IdentifierError):
            bridge.send("1", {"a b": 1})
        with pytest.raises(SerializationError, match="bindings"):
            bridge.send("1", {"a": object()})
        with pytest.raises(ValueError, match="lifetime"):
            bridge.send("1", lifetime="long")  # type: ignore[arg-type]
        for choice in ("writable", "copy", "one_hot"):
            with pytest.raises(TypeError, match=f"{choice}= is True or False, not 'no'"):
                bridge.send("1", **{choice: "no"})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="one_hot= is True or False, not 1"):
            bridge.put(1, one_hot=1)  # type: ignore[arg-type]
        assert await bridge.send("1") == 1


async def test_code_that_python_warns_of_is_sent_all_the_same() -> None:
    """A SyntaxWarning is no error of the call."""
    async with FakeWorker().connect() as bridge:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert await bridge.send("1 is 1") is True


async def test_a_source_is_checked_once() -> None:
    """A loop that sends the same code a thousand times compiles it once."""
    check_source.cache_clear()
    async with FakeWorker().connect() as bridge:
        await asyncio.gather(*(bridge.send("n", {"n": n}) for n in range(50)))
    assert check_source.cache_info().misses == 1


async def test_an_array_may_be_changed_once_its_command_was_accepted() -> None:
    """What was sent is what was there then."""
    worker = FakeWorker(stepwise=True)
    array = np.zeros(100_000)
    async with worker.connect() as bridge:
        promise = bridge.send("float(a.sum())", {"a": array})
        await bridge.drain()
        await settle(bridge)
        array[:] = 1
        worker.run_all()
        assert await promise == 0.0


async def test_a_small_array_may_be_changed_at_once() -> None:
    """So a loop may fill the same one again, without an await."""
    array = np.zeros(100)
    async with FakeWorker().connect() as bridge:
        promises = []
        for number in range(5):
            array[:] = number
            promises.append(bridge.send("float(a[0])", {"a": array}))
        assert await asyncio.gather(*promises) == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("where", ["connect", "send"])
async def test_large_arrays_may_be_changed_at_once_if_they_are_copied(where: str) -> None:
    """By what ``connect`` or ``send`` was told."""
    array = np.zeros(100_000)
    async with FakeWorker().connect(copy=where == "connect") as bridge:
        copy = True if where == "send" else None
        promise = bridge.send("float(a[0])", {"a": array}, copy=copy)
        array[:] = 1
        assert await promise == 0.0


# --- backlog ---


async def test_cancelled_commands_give_their_room_back() -> None:
    """Those that had not left the client."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect(backlog=Bound(count=3, size=MIB)) as bridge:
        for _ in range(10):
            promises = [bridge.send("1") for _ in range(3)]
            with pytest.raises(QueueFull):
                bridge.send("1")
            assert all(promise.cancel() for promise in promises)
        assert bridge._backlog._gauge.count == 0
        assert bridge._backlog._gauge.size == 0


async def test_drain_ends_when_the_backlog_was_cancelled() -> None:
    """There is nothing left to wait for."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        promises = [bridge.send("1") for _ in range(1_100)]  # past the worker's window
        await settle(bridge)
        drained = bridge.drain()
        await settle(bridge)
        assert not drained.done()
        for promise in promises[1_024:]:
            promise.cancel()
        async with asyncio.timeout(2):
            await drained
        for promise in promises:
            promise.cancel()
        worker.run_all()


async def test_the_room_of_what_has_left_is_free_again() -> None:
    """Count and bytes are back at nothing, arrays included."""
    async with FakeWorker().connect() as bridge:
        await asyncio.gather(*(bridge.send("len(a)", {"a": bytes(200_000)}) for _ in range(20)))
        assert (bridge._backlog._gauge.count, bridge._backlog._gauge.size) == (0, 0)


# --- dependencies ---


async def test_dependents_of_a_command_cancelled_in_the_queue_fail() -> None:
    """The worker had taken it back."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        first = bridge.send("1")
        dependent = bridge.send("2", after=[first])
        await settle(bridge)
        assert first.cancel()
        await settle(bridge)
        worker.run_all()
        with pytest.raises(DependencyError):
            await dependent


async def test_dependents_of_a_command_cancelled_in_the_client_fail_too() -> None:
    """That it never left the client makes no difference to them."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        first = bridge.send("1")
        dependent = bridge.send("2", after=[first])
        assert first.cancel()
        await settle(bridge)
        worker.run_all()
        with pytest.raises((DependencyError, asyncio.CancelledError)):
            await dependent


async def test_dependents_that_wait_in_the_worker_are_told_the_reason() -> None:
    """The client does not take them back when it hears of the failure ahead of them."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        first = bridge.send("1 / 0")
        dependent = bridge.send("2", after=[first])
        await settle(bridge)
        worker.step()
        with pytest.raises(RemoteError, match="ZeroDivisionError"):
            await first
        await settle(bridge)
        worker.run_all()
        with pytest.raises(DependencyError, match="ZeroDivisionError"):
            await dependent


async def test_what_depends_on_a_cancelled_promise_fails() -> None:
    """Also when it is sent afterwards."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        first = bridge.send("1")
        assert first.cancel()
        dependent = bridge.send("2", after=[first])
        await settle(bridge)
        worker.run_all()
        with pytest.raises((DependencyError, asyncio.CancelledError)):
            await dependent


async def test_a_dependency_on_a_chained_promise_counts() -> None:
    """A promise of ``then`` fails its dependents, or is refused at the call."""
    async with FakeWorker().connect() as bridge:
        await bridge.send("ran = []")
        chained = bridge.send("1 / 0").then(lambda value: value)
        try:
            dependent = bridge.send("ran.append(1)", after=[chained])
        except (TypeError, ValueError):
            pass
        else:
            with pytest.raises(DependencyError):
                await dependent
        with pytest.raises(RemoteError):
            await chained


async def test_a_dependency_on_another_bridges_command_is_refused() -> None:
    """Its id means another command here."""
    async with FakeWorker().connect() as one, FakeWorker().connect() as two:
        foreign = one.send("1")
        with pytest.raises(ValueError, match="bridge"):
            two.send("1", after=[foreign])


# --- functions ---


async def test_a_function_is_shipped_with_its_arguments() -> None:
    """Those by name as well; the command is called after it."""

    def area(width: int, *, height: int = 2) -> int:
        return width * height

    async with FakeWorker().connect() as bridge:
        assert await bridge.run(area, 3) == 6
        assert await bridge.run(area, 3, height=5) == 15
        with pytest.raises(RemoteError, match=r"area was sent from .*test_bridge\.py"):
            await bridge.run(area, None)


async def test_what_cannot_be_shipped_is_refused_at_the_call() -> None:
    """A function of C has no source."""
    async with FakeWorker().connect() as bridge:
        with pytest.raises((CodegenError, TypeError)):
            bridge.run(dict.fromkeys)


# --- bindings ---


async def test_a_binding_is_known_by_its_name() -> None:
    """Given, or random; in code it stands for itself."""
    async with FakeWorker().connect() as bridge:
        binding = await bridge.put(5, name="five")
        assert (str(binding), repr(binding)) == ("five", "<Binding five collected>")
        other = await bridge.put(6)
        assert other.name != (await bridge.put(6)).name
        assert await bridge.send(f"{binding} * {other}") == 30


async def test_a_name_in_the_worker_is_a_binding_without_a_command() -> None:
    """``binding`` names what is there; a name that Python refuses is refused."""
    async with FakeWorker().connect() as bridge:
        binding = bridge.binding("made_there")
        assert (str(binding), binding.lifetime) == ("made_there", "eternal")
        with pytest.raises(IdentifierError):
            bridge.binding("not a name")


async def test_a_binding_outlives_its_command_or_is_refused() -> None:
    """``put`` has no command to outlive."""
    async with FakeWorker().connect() as bridge:
        with pytest.raises(ValueError, match="collected or eternal"):
            bridge.put(1, lifetime="command")
        with pytest.raises(ValueError, match="lifetime"):
            bridge.put(1, lifetime="brief")  # type: ignore[arg-type]
        with pytest.raises(SerializationError):
            bridge.put(object())


async def test_names_go_with_the_objects_that_they_are_tied_to() -> None:
    """In one batch, after what was sent before."""

    class Owner:
        pass

    worker = FakeWorker()
    async with worker.connect() as bridge:
        owners = []
        for name in ("a", "b"):
            owners.append(Owner())
            bridge.tie(owners[-1], name)
            bridge.send(f"{name} = 1")
        await settle(bridge)
        assert worker.engine is not None
        assert {"a", "b"} <= set(worker.engine.namespace.names())
        owners.clear()
        gc.collect()
        await asyncio.sleep(0)
        await settle(bridge)
        await bridge.send("1")
        assert not {"a", "b"} & set(worker.engine.namespace.names())


async def test_a_binding_that_is_put_again_survives_the_former_owner() -> None:
    """A name that stands for something new is not taken away by the old binding's end."""
    async with FakeWorker().connect() as bridge:
        binding = await bridge.put(1, name="again")
        binding = await bridge.put(2, name="again")
        gc.collect()
        await asyncio.sleep(0)
        await settle(bridge)
        assert await bridge.send("again") == 2
        assert str(binding) == "again"


# --- errors that nobody expects ---


async def test_annotate_sees_the_error_first() -> None:
    """What it adds is there when the promise is rejected."""
    async with FakeWorker().connect() as bridge:
        with pytest.raises(RemoteError) as caught:
            await bridge.send("1 / 0", annotate=lambda error: error.add_note("mine"))
        assert caught.value.__notes__ == ["mine"]


async def test_annotate_that_fails_spoils_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The promise is rejected with the error of the code all the same."""

    def fail(error: RemoteError) -> None:
        raise KeyError

    async with FakeWorker().connect() as bridge:
        with pytest.raises(RemoteError, match="ZeroDivisionError"):
            await bridge.send("1 / 0", annotate=fail)
        assert await bridge.send("1") == 1
    assert "annotate=" in caplog.text


async def test_a_transform_that_fails_rejects() -> None:
    """With its own error; the bridge goes on."""

    def fail(value: object) -> object:
        raise LookupError(value)

    async with FakeWorker().connect() as bridge:
        with pytest.raises(LookupError):
            await bridge.send("1", transform=fail)
        assert await bridge.send("2") == 2


async def test_a_rejection_that_nobody_sees_is_logged_once_by_asyncio(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As with any future: never silent."""
    async with FakeWorker().connect() as bridge:
        bridge.send("1 / 0")
    gc.collect()
    await asyncio.sleep(0)
    assert sum("never retrieved" in record.getMessage() for record in caplog.records) == 1


# --- time ---


async def test_a_time_limit_follows_the_loops_clock() -> None:
    """It strikes when its time has come, not before; the command is taken back."""
    clock = ManualClock()
    worker = FakeWorker(stepwise=True)

    async def main() -> None:
        async with worker.connect() as bridge:
            promise: Any = bridge.send("1", timeout=5, name="the slow one")
            await settle(bridge)
            clock.advance(4.9)
            await settle(bridge)
            assert not promise.done()
            clock.advance(0.2)
            with pytest.raises(TimeoutError, match=r"the slow one after 5 s \(queued\)"):
                await promise
            await settle(bridge)
            assert (await bridge.info()).queued == 0

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: clock_loop(clock)) as runner:
            runner.run(main())

    await asyncio.to_thread(run)


async def test_a_time_limit_ends_with_its_command() -> None:
    """No timer is left of it."""
    async with FakeWorker().connect() as bridge:
        promise = bridge.send("1", timeout=1000)
        timer = promise._source.timer  # type: ignore[union-attr]
        assert await promise == 1
        assert timer.cancelled()


# --- what is told of what ---


async def test_a_promise_shows_which_command_it_is() -> None:
    """By its number and its name, with its state; what ``then`` returned has no command."""
    asyncio.get_running_loop().set_debug(enabled=False)
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        first, second = bridge.send("1", name="my night job"), bridge.send("2")
        while second.state != "queued":
            await asyncio.sleep(0)
        assert repr(first) == "<Promise queued command=1 'my night job'>"
        worker.run_all()
        await second
        assert repr(first) == "<Promise finished result=1 command=1 'my night job'>"
        assert repr(second) == "<Promise finished result=2 command=2>"
        assert repr(second.then(str)) == "<Promise pending>"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["x"], "after= takes promises of commands, not 'x'"),
        ("x", "after= takes a list of promises of commands, not 'x'"),
        (5, "after= takes a list of promises of commands, not 5"),
        (None, "after= takes a list of promises of commands, not None"),
        (Promise, "after= takes a list of promises of commands, not <Promise"),
    ],
)
async def test_what_is_no_list_of_promises_is_refused(given: Any, told: str) -> None:
    """One promise alone, too; of none there are none."""
    async with FakeWorker().connect() as bridge:
        if given is Promise:
            given = bridge.send("0")
        with pytest.raises(TypeError, match=re.escape(told)):
            bridge.send("1", after=given)
        assert await bridge.send("2", after=[]) == 2


@pytest.mark.parametrize("code", [None, b"1", len])
async def test_what_is_no_code_is_refused(code: Any) -> None:
    """Nothing is sent, and the bridge goes on."""
    async with FakeWorker().connect() as bridge:
        with pytest.raises(TypeError, match="^code is "):
            bridge.send(code)
        assert await bridge.send("2") == 2
