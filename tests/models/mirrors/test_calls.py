from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge import models as keras
from asyncbridge.errors import DependencyError, RemoteError, SentCommand
from asyncbridge.models.mirrors.calls import Call
from asyncbridge.models.mirrors.mirror import Mirror
from asyncbridge.promise import Promise

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.models.conftest import RecordingBridge

pytestmark = pytest.mark.asyncio


class Part(Mirror):
    """A mirror with methods, of which the worker tells no facts."""

    keras_name = "keras.Part"

    def __init__(self, inner: Mirror | None = None) -> None:
        self._describe(Part, locals())

    def go(self, other: Mirror | None = None) -> Promise[object]:
        return self._call(Part.go, locals())

    def stop(self) -> Promise[object]:
        return self._call(Part.stop, locals())

    def get_size(self) -> Promise[object]:
        return self._call(Part.get_size, locals())


def after(bridge: RecordingBridge, index: int = -1) -> list[int | None]:
    """Return the ids of the commands that a sent one depends on."""
    return [promise.command_id for promise in bridge.sent[index].after]


def fault() -> RemoteError:
    """Return what the worker raises."""
    return RemoteError("ValueError", "no")


async def test_a_call_depends_on_all_that_is_unsettled(bridge: RecordingBridge) -> None:
    """The mirror's creation and earlier calls, and those of all it is made of, are named."""
    inner = Part()
    outer = Part(inner)
    inner.go()
    outer.go()
    assert after(bridge, 1) == [1]
    assert after(bridge, 2) == [1]
    assert after(bridge) == [1, 3, 2]


async def test_an_arguments_calls_count(bridge: RecordingBridge) -> None:
    """So do those of a mirror that is passed to a method."""
    first, second = Part(), Part()
    second.go()
    first.stop()
    first.go(second)
    assert after(bridge) == [1, 4, 2, 3]


async def test_what_succeeded_is_forgotten(bridge: RecordingBridge) -> None:
    """Once all is done, a new call depends on nothing."""
    part = Part()
    part.go()
    await bridge.work()
    part.go()
    assert after(bridge) == []


async def test_a_failed_creation_poisons_for_ever(bridge: RecordingBridge) -> None:
    """Every later call is rejected with the cause, seen or not; nothing raises at the call."""
    part = Part()
    await bridge.work({"keras.Part": fault()})
    for _ in range(2):
        promise = part.go()
        assert after(bridge) == [1]
        await bridge.work()
        with pytest.raises(DependencyError) as caught:
            await promise
        assert caught.value.cause is not None
        assert caught.value.cause.message == "no"


async def test_an_unseen_failure_fails_the_next_call(bridge: RecordingBridge) -> None:
    """A call on an object whose last call failed is not run."""
    part = Part()
    failed = part.go()
    await bridge.work({"Part.go": fault()})
    following = part.stop()
    assert after(bridge) == [2]
    await bridge.work()
    with pytest.raises(DependencyError):
        await following
    assert failed.exception() is not None


async def test_a_seen_failure_is_forgiven(bridge: RecordingBridge) -> None:
    """Who has awaited the error goes on, as after a try around direct Keras."""
    part = Part()
    failed = part.go()
    await bridge.work({"Part.go": fault()})
    with pytest.raises(RemoteError):
        await failed
    part.stop()
    assert after(bridge) == []


async def test_a_failure_seen_in_a_dependent_is_seen(bridge: RecordingBridge) -> None:
    """The awaited DependencyError holds the cause: its own call is forgiven with it."""
    part = Part()
    part.go()  # nobody holds this promise
    last = part.stop()
    await bridge.work({"Part.go": fault()})
    with pytest.raises(DependencyError):
        await last
    part.go()
    assert after(bridge) == []


async def test_that_holds_from_one_mirror_to_another(bridge: RecordingBridge) -> None:
    """A failure of the inner mirror's, seen through the outer one, is forgiven on both."""
    inner = Part()
    outer = Part(inner)
    inner.go()
    last = outer.stop()
    await bridge.work({"Part.go": fault()})
    with pytest.raises(DependencyError):
        await last
    inner.stop()
    assert after(bridge) == []


async def test_an_unseen_dependent_still_blocks(bridge: RecordingBridge) -> None:
    """A call that was not run, and that nobody knows of, is missing from the object."""
    part = Part()
    first = part.go()
    unseen = part.stop()
    await bridge.work({"Part.go": fault()})
    with pytest.raises(RemoteError):
        await first
    part.go()
    assert after(bridge) == [unseen.command_id]
    assert unseen.exception() is not None
    await bridge.work()
    assert bridge.sent[-1].promise.exception() is not None


async def test_a_cancelled_call_blocks_nothing(bridge: RecordingBridge) -> None:
    """The user took it back himself."""
    part = Part()
    part.go().cancel()
    await bridge.work()
    part.stop()
    assert after(bridge) == []


async def test_a_failed_call_of_a_layer_names_both_lines(bridge: RecordingBridge) -> None:
    """All that builds on it is told where the layer was made, and where it was called."""
    inputs = keras.Input((4,))
    dense = keras.layers.Dense(3)
    tensor = dense(inputs)
    further = keras.ops.relu(tensor)
    model = keras.Model(inputs, further)
    promise = model.predict([[1.0]])
    assert dense._name is not None
    wrong = RemoteError("ValueError", "no", subjects=(dense._name,))
    await bridge.work({"Dense.__call__": wrong})
    for dependent in (tensor, further, model, promise):
        with pytest.raises(RemoteError) as caught:
            await dependent
        assert caught.value.__notes__ == [dense._origin.note(), tensor._origin.note()]
    assert dense._origin.note().startswith("keras.layers.Dense(3) was made at ")
    assert tensor._origin.note().startswith("<Dense units=3>(<KerasTensor>) was called at ")


async def test_a_dependents_note_tells_what_failed(bridge: RecordingBridge) -> None:
    """The note of a DependencyError is about the mirror whose command failed."""
    inner = Part()
    promise = Part(inner).go()
    bridge.sent[0].annotate(error := fault())
    error.command = SentCommand(id=1)
    bridge.sent[0].promise.set_exception(error)
    bridge._faults[1] = error
    await bridge.work()
    with pytest.raises(DependencyError) as caught:
        await promise
    assert [note.partition(" was made")[0] for note in caught.value.__notes__] == ["keras.Part()"]


async def test_a_dependent_has_the_advice(bridge: RecordingBridge) -> None:
    """What to do stands in the error that is awaited, once: its cause may have it already."""
    promise = Part().go()
    cause = RemoteError("ValueError", "You must call `compile()` before using the model.")
    error = DependencyError(cause.type, cause.message, cause=cause)
    bridge.sent[-1].annotate(error)
    assert [note for note in error.__notes__ if note.startswith("write model.compile(")]
    bridge.sent[0].annotate(cause)
    again = DependencyError(cause.type, cause.message, cause=cause)
    bridge.sent[-1].annotate(again)
    assert not hasattr(again, "__notes__")
    await bridge.work()
    await promise


async def test_a_failure_is_reported_once(bridge: RecordingBridge) -> None:
    """Of a whole chain that nobody looked at, asyncio reports the end alone."""
    reports = collect_reports()
    part = Part()
    part.go()
    part.stop()
    await bridge.work({"keras.Part": fault()})
    bridge.forget()
    del part
    gc.collect()
    assert [type(report) for report in reports] == [DependencyError]


async def test_a_lone_failed_creation_is_reported(bridge: RecordingBridge) -> None:
    """A mirror that nobody used fails no call, so asyncio reports its creation, once."""
    reports = collect_reports()
    part = Part()
    await bridge.work({"keras.Part": fault()})
    bridge.forget()
    del part
    gc.collect()
    assert [str(report) for report in reports] == ["ValueError: no"]


async def test_a_seen_chain_is_not_reported(bridge: RecordingBridge) -> None:
    """Who has awaited the end of a chain has seen all of it."""
    reports = collect_reports()
    part = Part()
    part.go()
    last = part.stop()
    await bridge.work({"keras.Part": fault()})
    with pytest.raises(DependencyError):
        await last
    bridge.forget()
    del part, last
    gc.collect()
    assert reports == []


async def test_a_long_chain_is_not_kept(bridge: RecordingBridge) -> None:
    """Calls that are settled hold neither their causes nor what they named."""
    part = Part()
    for _ in range(5):
        part.go()
    creation = part._ledger.creation
    assert creation is not None
    await bridge.work()
    assert (creation.promise, creation.holds, creation.causes) == (None, (), ())


async def test_what_waits_is_told_with_its_place(bridge: RecordingBridge) -> None:
    """The last call that is not done, its state, and how many commands come before it."""
    part = Part()
    ledger = part._ledger
    part.go()
    part.stop()
    bridge.sent[1].ahead, bridge.sent[2].ahead = 1, 2
    assert ledger.waiting() == "[Part.stop queued, 2 ahead]"
    bridge.sent[2].promise.set_result(None)
    bridge.sent[1].state = "running"
    assert ledger.waiting() == "[Part.go running]"
    await bridge.work()
    assert ledger.waiting() == ""


@pytest.mark.parametrize(
    "end",
    [
        lambda promise: promise.set_result(1),
        lambda promise: promise.set_exception(fault()),
        lambda promise: promise.cancel(),
    ],
)
async def test_a_call_holds_until_it_is_settled(
    bridge: RecordingBridge, end: Callable[[Promise[Any]], object]
) -> None:
    """Success, failure and cancellation let go of what was named, and of the transform."""
    promise: Promise[Any] = Promise(loop=asyncio.get_running_loop())
    promise.transform(lambda raw: raw)
    call = Call(None, [Part()])
    call.started(promise)
    held = [len(call.holds)]
    end(promise)
    await asyncio.sleep(0)
    assert [*held, len(call.holds)] == [1, 0]
    assert promise._transforms is None
    assert promise.cancelled() or promise.exception() is None or call.failed


def collect_reports() -> list[Any]:
    """Return the list of exceptions that asyncio will report as never retrieved."""
    reports: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reports.append(context.get("exception")))
    return reports


async def test_what_only_reads_fails_alone(bridge: RecordingBridge) -> None:
    """Nothing depends on it, and it depends on what changes the object."""
    part = Part()
    part.go()
    part.get_size()
    assert after(bridge) == [1, 2]
    part.stop()
    assert after(bridge) == [1, 2]
    await bridge.work({"Part.get_size": fault()})
    assert [item.promise.state for item in bridge.sent] == [
        "fulfilled",
        "fulfilled",
        "rejected",
        "fulfilled",
    ]
    with pytest.raises(RemoteError):
        await bridge.sent[2].promise


async def test_a_dependent_names_the_line_of_the_call_that_failed(bridge: RecordingBridge) -> None:
    """Nobody awaited that one: its line is told by those that fail with it."""
    part = Part()
    part.go()
    promise = part.stop()
    await bridge.work({"Part.go": fault()})
    with pytest.raises(DependencyError) as caught:
        await promise
    assert any(
        note.startswith("Part.go was sent from ") and "in test_a_dependent_names" in note
        for note in caught.value.__notes__
    )
