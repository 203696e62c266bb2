from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge.client import connect
from asyncbridge.errors import (
    DependencyError,
    IdentifierError,
    QueueFull,
    RemoteError,
    SerializationError,
    WrongLoopError,
)
from asyncbridge.protocol.limits import Bound
from asyncbridge.references import Ref

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.client import Bridge
    from tests.integration.conftest import Gate

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]

MIB = 1024 * 1024


# --- values and order ---


async def test_the_value_is_that_of_the_last_expression(connected: Callable[[], Bridge]) -> None:
    """Statements give None, an expression at the end its value."""
    async with connected() as bridge:
        assert await bridge.send("a + 1", {"a": 41}) == 42
        assert await bridge.send("x = 5\nx * 2") == 10
        assert await bridge.send("y = 1") is None
        assert await bridge.send("") is None
        assert await bridge.send("{'k': [1, 2.5, 'é', None, True, b'raw']}") == {
            "k": [1, 2.5, "é", None, True, b"raw"]
        }


async def test_commands_run_in_the_order_of_send(connected: Callable[[], Bridge]) -> None:
    """Awaiting the last is enough, and each sees what those before it did."""
    async with connected() as bridge:
        bridge.send("seen = []")
        for number in range(200):
            bridge.send("seen.append(n)", {"n": number})
        assert await bridge.send("seen") == list(range(200))


async def test_ten_thousand_commands_of_one_turn_are_all_answered(
    connected: Callable[[], Bridge],
) -> None:
    """What is beyond the worker's window waits in the client, in order."""
    async with connected() as bridge:
        promises = [bridge.send("n + 1", {"n": n}) for n in range(10_000)]
        assert await asyncio.gather(*promises) == list(range(1, 10_001))


async def test_an_async_bridge_refuses_what_its_backlog_cannot_hold_and_drains(
    gate: Gate,
) -> None:
    """QueueFull names the remedy; after ``drain`` there is room again."""
    async with connect(backend=None, backlog=Bound(count=3, size=MIB)) as bridge:
        promises = [bridge.send("1") for _ in range(3)]
        with pytest.raises(QueueFull, match="await bridge.drain"):
            bridge.send("2")
        await bridge.drain()
        promises.append(bridge.send("3"))
        assert await asyncio.gather(*promises) == [1, 1, 1, 3]


async def test_a_binding_larger_than_the_backlog_is_sent_all_the_same(
    no_leaks: None,
) -> None:
    """A bound slows down; it forbids no size."""
    array = np.arange(MIB, dtype=np.uint8)
    async with connect(backend=None, backlog=Bound(count=3, size=1024)) as bridge:
        assert await bridge.send("int(a[-1])", {"a": array}) == int(array[-1])


# --- arrays ---


async def test_large_arrays_cross_both_ways_several_at_once(
    connected: Callable[[], Bridge],
) -> None:
    """Each comes back as it went, although all are on their way together."""
    arrays = [np.random.default_rng(seed).random(5 * MIB // 8) for seed in range(6)]
    async with connected() as bridge:
        results = await asyncio.gather(*(bridge.send("a * 2", {"a": a}) for a in arrays))
    for array, result in zip(arrays, results, strict=True):
        np.testing.assert_array_equal(result, array * 2)


async def test_many_medium_arrays_cross_in_one_command(connected: Callable[[], Bridge]) -> None:
    """Forty arrays of 60 KiB go together, both ways."""
    arrays = [np.full(60 * 1024 // 4, index, dtype=np.int32) for index in range(40)]
    async with connected() as bridge:
        result = await bridge.send("arrays[::-1]", {"arrays": arrays})
    assert [int(array[0]) for array in result] == list(range(39, -1, -1))
    assert all(array.nbytes == 60 * 1024 for array in result)


async def test_commands_behind_a_large_array_keep_their_order(
    connected: Callable[[], Bridge],
) -> None:
    """A command that is ready sooner waits for the one before it, whose array is on its way."""
    async with connected() as bridge:
        bridge.send("seen = []")
        bridge.send("seen.append(len(a))", {"a": np.zeros(8 * MIB, dtype=np.uint8)})
        bridge.send("seen.append('small')")
        assert await bridge.send("seen") == [8 * MIB, "small"]


# --- bad input ---


async def test_code_that_is_no_python_is_refused_at_the_call(
    connected: Callable[[], Bridge],
) -> None:
    """The SyntaxError has line and caret, and nothing was sent."""
    async with connected() as bridge:
        with pytest.raises(SyntaxError) as caught:
            bridge.send("x = 1\ny = = 2")
        assert caught.value.lineno == 2
        assert caught.value.text is not None
        assert caught.value.text.strip() == "y = = 2"
        assert caught.value.offset == 5
        assert await bridge.send("'x' in globals()") is False


async def test_an_error_shows_the_generated_line_the_caret_and_the_clients_line(
    connected: Callable[[], Bridge],
) -> None:
    """One text tells where it was sent and where it was raised."""
    async with connected() as bridge:
        with pytest.raises(RemoteError) as caught:
            await bridge.send("a = 1\nb = a / (a - 1)", name="division")
        error = caught.value
        text = str(error)
        assert error.type == "ZeroDivisionError"
        assert "division by zero" in error.message
        assert "test_commands.py:" in text
        assert "in test_an_error_shows_the_generated_line" in text
        assert "b = a / (a - 1)" in text
        assert "~~^~~" in text
        assert error.frames[-1][1] == 2
        assert error.frames[-1][3] == "b = a / (a - 1)"


async def test_causes_and_notes_come_along(connected: Callable[[], Bridge]) -> None:
    """``raise … from`` is a ``__cause__`` here too, and ``add_note`` a note."""
    code = (
        "try:\n    {}['k']\nexcept KeyError as e:\n"
        "    f = ValueError('outer')\n    f.add_note('look here')\n    raise f from e"
    )
    async with connected() as bridge:
        with pytest.raises(RemoteError, match="outer") as caught:
            await bridge.send(code)
    cause = caught.value.__cause__
    assert isinstance(cause, RemoteError)
    assert cause.type == "KeyError"
    assert caught.value.__notes__ == ["look here"]


@pytest.mark.parametrize("code", ["import sys; sys.exit(3)", "raise KeyboardInterrupt"])
async def test_an_exit_in_the_code_is_an_error_and_the_worker_lives(
    connected: Callable[[], Bridge], code: str
) -> None:
    """SystemExit and KeyboardInterrupt reject the promise like any other exception."""
    async with connected() as bridge:
        pid = (await bridge.info()).pid
        with pytest.raises(RemoteError, match="SystemExit|KeyboardInterrupt"):
            await bridge.send(code)
        assert await bridge.send("import os\nos.getpid()") == pid


async def test_code_that_asks_for_input_meets_its_end(connected: Callable[[], Bridge]) -> None:
    """Nobody types in a worker; it does not wait for that."""
    async with connected() as bridge:
        with pytest.raises(RemoteError, match="EOFError"):
            await bridge.send("input()")


async def test_a_binding_with_no_wire_form_is_refused_at_the_call(
    connected: Callable[[], Bridge],
) -> None:
    """The text says where in the bindings it stands."""
    async with connected() as bridge:
        with pytest.raises(SerializationError, match=r'bindings\["x"\]\[1\]'):
            bridge.send("x", {"x": [1, object()]})
        assert await bridge.send("1") == 1


async def test_what_of_a_result_has_no_wire_form_comes_as_a_reference(
    connected: Callable[[], Bridge],
) -> None:
    """It stays in the worker, and stands for itself there; its value is refused, and told why."""
    async with connected() as bridge:
        result = await bridge.send("made = {'k': object(), 1: 2}; made")
        assert result[1] == 2
        assert isinstance(result["k"], Ref)
        assert await bridge.send("k is made['k']", {"k": result["k"]}) is True
        with pytest.raises(SerializationError, match="an object of class object stays"):
            await result["k"].value()
        assert await bridge.send("1") == 1


async def test_a_binding_needs_a_plain_name(connected: Callable[[], Bridge]) -> None:
    """Keywords and Python's own names are refused at the call."""
    async with connected() as bridge:
        for name in ("class", "not a name", "__builtins__"):
            with pytest.raises(IdentifierError):
                bridge.send("1", {name: 1})


async def test_a_very_deep_or_very_long_source_is_no_harm(
    connected: Callable[[], Bridge],
) -> None:
    """It is refused at the call or in the worker; the next command works."""
    async with connected() as bridge:
        with pytest.raises((SyntaxError, RecursionError, MemoryError, RemoteError)):
            await bridge.send("(" * 5_000 + ")" * 5_000)
        with pytest.raises((RecursionError, MemoryError, RemoteError)):
            await bridge.send("-" * 100_000 + "1")
        assert await bridge.send("1") == 1


async def test_lone_surrogates_are_refused_in_code_and_cross_in_values(
    connected: Callable[[], Bridge],
) -> None:
    """No source can hold them; a text that has them, such as an odd file name, comes back so."""
    async with connected() as bridge:
        with pytest.raises(SyntaxError):
            bridge.send("x = '\ud800'")
        assert await bridge.send("x + chr(0xd801)", {"x": "\ud800"}) == "\ud800\ud801"


async def test_an_error_whose_str_raises_is_still_told(connected: Callable[[], Bridge]) -> None:
    """Hostile exceptions reject like others."""
    code = "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd"
    async with connected() as bridge:
        with pytest.raises(RemoteError, match="Odd"):
            await bridge.send(code)
        assert await bridge.send("1") == 1


# --- threads and loops ---


async def test_another_thread_is_refused(connected: Callable[[], Bridge]) -> None:
    """An async bridge belongs to its loop; the text names the sync form."""
    async with connected() as bridge:
        with pytest.raises(WrongLoopError, match="sync form"):
            await asyncio.to_thread(bridge.send, "1")
        with pytest.raises(WrongLoopError):
            await asyncio.to_thread(bridge.info)
        with pytest.raises(WrongLoopError):
            await asyncio.to_thread(bridge.close)
        assert await bridge.send("1") == 1


async def test_another_loop_is_refused(connected: Callable[[], Bridge]) -> None:
    """A second loop, in another thread, cannot use the bridge."""
    async with connected() as bridge:

        async def elsewhere() -> None:
            bridge.send("1")

        with pytest.raises(WrongLoopError):
            await asyncio.to_thread(asyncio.run, elsewhere())


async def test_wait_for_value_on_the_loops_own_thread_says_await(
    connected: Callable[[], Bridge],
) -> None:
    """It would block the loop that is to bring the value."""
    async with connected() as bridge:
        promise = bridge.send("1")
        with pytest.raises(WrongLoopError, match="await"):
            promise.wait_for_value()
        assert await promise == 1


# --- cancelling, time limits, dependencies ---


async def test_a_queued_command_can_be_cancelled(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """It never runs; the one that runs goes on."""
    async with connected() as bridge:
        bridge.send("ran = []")
        blocking = bridge.send(gate.code)
        queued = bridge.send("ran.append(1)")
        await gate.reached()
        assert queued.cancel()
        with pytest.raises(asyncio.CancelledError):
            await queued
        gate.open()
        assert await blocking == "passed"
        assert await bridge.send("ran") == []


async def test_a_time_limit_takes_a_queued_command_back(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """The promise is rejected at once, and the command never runs."""
    async with connected() as bridge:
        bridge.send("ran = []")
        blocking = bridge.send(gate.code)
        late = bridge.send("ran.append(1)", timeout=0.01, name="the late one")
        await gate.reached()
        with pytest.raises(TimeoutError, match="the late one after 0.01 s"):
            await late
        await bridge.info()  # the worker has read all that was sent before
        gate.open()
        await blocking
        assert await bridge.send("ran") == []


async def test_a_time_limit_leaves_a_running_command_alone(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """The promise is rejected, the command goes on, and its outcome harms nobody."""
    async with connected() as bridge:
        late = bridge.send(gate.code + "\nended = True", timeout=0.2)
        await gate.reached()
        with pytest.raises(TimeoutError, match="running"):
            await late
        gate.open()
        assert await bridge.send("ended") is True


async def test_dependents_of_a_failed_command_fail_unrun(connected: Callable[[], Bridge]) -> None:
    """They are rejected with its error as cause, theirs likewise, and others go on."""
    async with connected() as bridge:
        bridge.send("ran = []")
        first = bridge.send("1 / 0", name="the first")
        second = bridge.send("ran.append(2)", after=[first], name="the second")
        third = bridge.send("ran.append(3)", after=[second])
        other = bridge.send("ran.append(4)")
        with pytest.raises(RemoteError, match="ZeroDivisionError"):
            await first
        with pytest.raises(
            DependencyError, match=r"the second \(command 3\) was not run, because the first"
        ) as caught:
            await second
        assert isinstance(caught.value.__cause__, RemoteError)
        assert caught.value.__cause__.type == "ZeroDivisionError"
        with pytest.raises(DependencyError):
            await third
        await other
        assert await bridge.send("ran") == [4]


async def test_dependents_of_a_command_that_failed_long_ago_fail_too(
    connected: Callable[[], Bridge],
) -> None:
    """A dependency that is settled already counts as well."""
    async with connected() as bridge:
        first = bridge.send("1 / 0")
        with pytest.raises(RemoteError):
            await first
        with pytest.raises(DependencyError):
            await bridge.send("1", after=[first])


# --- functions and bindings ---


async def test_a_function_runs_in_the_worker(connected: Callable[[], Bridge]) -> None:
    """With the modules and values that it uses, positional and keyword arguments."""
    offset = 10

    def shifted(values: list[float], *, scale: float = 1.0) -> list[float]:
        return [float(np.round(v * scale + offset)) for v in values]

    async with connected() as bridge:
        assert await bridge.run(shifted, [1.0, 2.0], scale=3.0) == [13.0, 16.0]
        names = await bridge.send("[n for n in list(globals()) if not n.startswith('__')]")
        assert "shifted" not in names
        assert "offset" not in names


async def test_bindings_go_with_their_command_unless_eternal(
    connected: Callable[[], Bridge],
) -> None:
    """What the code itself assigns stays."""
    async with connected() as bridge:
        await bridge.send("b = a", {"a": 1})
        assert await bridge.send("'a' in globals()") is False
        assert await bridge.send("b") == 1
        await bridge.send("None", {"c": 3}, lifetime="eternal")
        assert await bridge.send("c") == 3


async def test_a_collected_binding_goes_with_its_owner(connected: Callable[[], Bridge]) -> None:
    """The name is there while the binding is held, and gone after its collection."""
    async with connected() as bridge:
        binding = await bridge.put([1, 2, 3])
        name = str(binding)
        assert await bridge.send(f"sum({binding})") == 6
        del binding
        gc.collect()
        await bridge.info()  # a turn of the worker's loop: the release is queued by now
        assert await bridge.send(f"{name!r} in globals()") is False


async def test_an_eternal_binding_stays(connected: Callable[[], Bridge]) -> None:
    """Nobody has to hold it."""
    async with connected() as bridge:
        await bridge.put(7, name="seven", lifetime="eternal")
        gc.collect()
        assert await bridge.send("seven") == 7


async def test_a_binding_that_is_dropped_before_its_command_ran_goes_too(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """The release stands behind the put, whatever the order of the collection."""
    async with connected() as bridge:
        blocking = bridge.send(gate.code)
        await gate.reached()
        bridge.put(7, name="fleeting")
        behind = bridge.send("1")
        gc.collect()
        gate.open()
        await asyncio.gather(blocking, behind)
        gc.collect()
        await bridge.info()  # the release has gone out ahead of it
        assert await bridge.send("'fleeting' in globals()") is False


# --- the worker's state ---


async def test_info_answers_while_a_command_runs(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """It tells which one, and what waits behind it."""
    async with connected() as bridge:
        blocking = bridge.send(gate.code, name="the gate")
        bridge.send("1")
        await gate.reached()
        info = await bridge.info()
        assert info.running is not None
        assert info.running["label"] == "the gate"
        assert info.running["id"] == blocking.command_id
        assert info.queued == 2
        assert info.state == "ready"
        assert info.backend is None
        assert info.memory > 1024 * 1024
        gate.open()
        assert await blocking == "passed"


async def test_a_promise_tells_how_far_its_command_is(
    connected: Callable[[], Bridge], gate: Gate
) -> None:
    """``pending``, ``queued``, ``running``, then how it ended."""
    async with connected() as bridge:
        running = bridge.send(gate.code)
        queued = bridge.send("1")
        assert running.state == "pending"
        await gate.reached()
        await bridge.info()
        assert (running.state, queued.state) == ("running", "queued")
        gate.open()
        await queued
        assert (running.state, queued.state) == ("fulfilled", "fulfilled")


async def test_threads_and_transforms_of_one_promise(connected: Callable[[], Bridge]) -> None:
    """A transform sees the raw value first, every waiter its result, on the loop's thread."""
    threads: list[int] = []

    def double(value: int) -> int:
        threads.append(threading.get_ident())
        return value * 2

    async with connected() as bridge:
        promise = bridge.send("21", transform=double)
        assert [*await asyncio.gather(promise, promise)] == [42, 42]
    assert threads == [threading.get_ident()]


@pytest.mark.usefixtures("no_blocking")
async def test_nothing_blocks_the_loop(connected: Callable[[], Bridge]) -> None:
    """From the start to the end: no file, no lock, no process is waited for on it."""
    async with connected() as bridge:
        assert await bridge.send("len(a)", {"a": bytes(MIB)}) == MIB
        await bridge.info()
        with pytest.raises(RemoteError):
            await bridge.send("1 / 0")


@pytest.mark.parametrize(
    "code",
    [
        "import os, sys\nos.close(1); sys.stdout.close()\n1",
        "import sys\nclass Odd:\n    def flush(self): raise SystemExit\nsys.stdout = Odd()\n1",
        "import os, sys\npid = os.fork()\nif pid == 0: sys.exit(0)\nos.waitpid(pid, 0)\n1",
    ],
    ids=["closed stdout", "hostile stdout", "forked child"],
)
async def test_whatever_code_leaves_behind_its_outcome_is_told(
    connected: Callable[[], Bridge], code: str
) -> None:
    """And the next command runs, in the same process."""
    async with connected() as bridge:
        pid = (await bridge.info()).pid
        assert await bridge.send(code) == 1
        assert await bridge.send("import os\nos.getpid()") == pid


async def test_a_failure_is_remembered_over_a_whole_window_of_others(
    connected: Callable[[], Bridge],
) -> None:
    """A dependent that was sent long after, in the same turn, does not run."""
    async with connected() as bridge:
        first = bridge.send("1 / 0")
        others = [bridge.send("1 / 0") for _ in range(1_500)]
        last = bridge.send("'ran'", after=[first])
        outcomes = await asyncio.gather(first, *others, last, return_exceptions=True)
        assert isinstance(outcomes[-1], DependencyError)
        assert await bridge.send("1") == 1


async def test_a_large_value_is_freed_when_it_is_dropped(connected: Callable[[], Bridge]) -> None:
    """By its last reference, without the garbage collector's help."""
    async with connected() as bridge:
        await bridge.send("import numpy")
        gc.collect()
        gc.disable()
        try:
            promise = bridge.send("numpy.ones(1_000_000)")
            value = await promise
            held = weakref.ref(value), weakref.ref(promise)
            del value, promise
            for _ in range(1000):  # turns of the loop, for the fetching task to end in
                if held[0]() is None and held[1]() is None:
                    break
                await bridge.info()
            assert [reference() for reference in held] == [None, None]
        finally:
            gc.enable()


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"name": 3}, TypeError),
        ({"timeout": "x"}, TypeError),
        ({"timeout": True}, TypeError),
        ({"timeout": float("nan")}, ValueError),
        ({"timeout": -1}, ValueError),
        ({"lifetime": "collected", "bindings": {"x": 1}}, ValueError),
        ({"lifetime": "for ever"}, ValueError),
    ],
)
async def test_a_wrong_option_is_refused_and_nothing_is_sent(
    connected: Callable[[], Bridge], given: dict[str, Any], error: type[Exception]
) -> None:
    """Where the call stands; the session does not suffer."""
    async with connected() as bridge:
        with pytest.raises(error):
            bridge.send("made = 1", **given)
        assert await bridge.send("'made' in globals()") is False


async def test_a_failure_reaches_those_that_depend_on_dependents(
    connected: Callable[[], Bridge],
) -> None:
    """Also when each is sent after the failure of the one before it is known."""
    async with connected() as bridge:
        promise = bridge.send("1 / 0", name="the first")
        with pytest.raises(RemoteError):
            await promise
        for _ in range(3):
            promise = bridge.send("ran = 1", after=[promise], name="a dependent")
            with pytest.raises(DependencyError):
                await promise
        assert await bridge.send("'ran' in globals()") is False


async def test_collections_pass_over_what_the_worker_has_imported(
    connected: Callable[[], Bridge],
) -> None:
    """A full one held up everything for as long as it takes to look at all of Keras."""
    async with connected() as bridge:
        count = await bridge.send("import gc\n[gc.get_freeze_count(), len(gc.get_objects())]")
    frozen, rest = count
    assert frozen > 10_000 > rest
