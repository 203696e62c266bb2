"""What of a command's bindings travels with it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest

from asyncbridge.client.arguments import named_as
from asyncbridge.client.drafts import Bindings, Unwritten, refusal, split_off, write_bindings
from asyncbridge.client.pending import Pending
from asyncbridge.client.rejections import Rejections
from asyncbridge.errors import BridgeClosed, DependencyError, SerializationError, TooLarge
from asyncbridge.promise import Promise
from asyncbridge.protocol.limits import HEADER_BYTES, Bound
from asyncbridge.protocol.messages import BulkRef, Payload
from asyncbridge.serialization.codec import decode, draft
from asyncbridge.serialization.deferred import Deferred, whole
from asyncbridge.serialization.drafts import Draft
from asyncbridge.testing import FakeWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

pytestmark = pytest.mark.asyncio


@contextmanager
def pending(value: object, code: str = "x") -> Generator[Pending, None, None]:
    """Make a command, whose promise nobody waits for."""
    promise: Promise[object] = Promise()
    bindings = None if value is None else draft({"x": value})
    item = Pending(
        promise, code=code, bindings=bindings, lifetime="command", label="", after=(),
        home=Rejections(), annotate=None, origin="here",
    )  # fmt: skip
    item.id = 7
    yield item
    promise.cancel()


def one_hot() -> object:
    """Make a one-hot matrix that is worth a thread's look."""
    value = np.zeros((3000, 200), np.float32)
    value[:, 3] = 1
    return value


async def test_a_small_value_travels_with_its_command() -> None:
    """As does none."""
    for value in (None, 1):
        with pending(value) as item:
            assert split_off(item, item.bindings) is None
            assert item.bulk == {}


@pytest.mark.parametrize("step", [1, 2])
async def test_a_large_array_travels_by_itself(step: int) -> None:
    """The command refers to it, whether it is there already or is made later."""
    with pending(np.zeros(10**6)[::step]) as item:
        assert split_off(item, item.bindings) is None
        assert isinstance(item.bindings, Payload)
        assert item.bindings.buffers == (BulkRef(id="7-0", size=8 * 10**6 // step),)
        assert isinstance(item.bulk["7-0"], Deferred) is (step == 2)
        assert item.command().bindings == item.bindings


async def test_what_is_undecided_is_handed_back() -> None:
    """Looked through, it is split off once more, and counts for as much as before."""
    with pending(one_hot()) as item:
        undecided = split_off(item, item.bindings)
        assert isinstance(undecided, Draft)
        size = item.size
        assert size > 3000 * 200 * 4
        assert split_off(item, undecided.decided()) is None
        assert item.size == size
        assert isinstance(item.bindings, Payload)
        assert item.bindings.buffers[0] is not None
        assert item.bulk == {}


async def test_code_that_is_too_long() -> None:
    """It is refused before it is sent, as are such bindings."""
    with pending(None, "#" * (HEADER_BYTES + 1)) as item, pytest.raises(TooLarge, match="code"):
        split_off(item, item.bindings)
    half = Draft(header=b"#" * (HEADER_BYTES + 1), buffers=(), size=HEADER_BYTES + 1)
    with pending(None) as item, pytest.raises(TooLarge, match="value"):
        split_off(item, half)


async def test_what_a_look_refuses_ends_its_command_alone() -> None:
    """With those that depend on it; nothing of it is sent, and the next command goes."""
    wrong = np.full(10**6, 2, np.uint8).view(np.bool_)
    async with FakeWorker().connect(backlog=Bound(count=3, size=2 * 10**6)) as bridge:
        for _ in range(3):  # the room that it took is free again
            refused = bridge.send("seen = 1", {"x": {"mask": wrong}})
            after = bridge.send("2", after=[refused])
            text = r'^bindings\["x"\]\["mask"\]: ndarray of dtype bool .* got 2 at \[0\]'
            with pytest.raises(SerializationError, match=text):
                await refused
            with pytest.raises(
                DependencyError, match=r"depends on, failed: SerializationError: bindings"
            ):
                await after
            assert await bridge.send("'seen' in globals()") is False


# --- what takes long ---------------------------------------------------------------------

MANY = 10_000


def written(
    bindings: dict[str, Any], *, copy: bool = False, quickly: bool = True, limit: int = 0
) -> Bindings:
    """Write bindings, as a bridge does."""
    return write_bindings(
        bindings, copy=copy, one_hot=True, files=False, limit=limit, quickly=quickly
    )


def read(bindings: Bindings) -> object:
    """Return what written bindings are in the worker."""
    if isinstance(bindings, Unwritten):
        bindings = bindings.decided()
    header = bindings.header
    text = header if isinstance(header, bytes) else orjson.dumps(header)
    buffers = tuple(whole(part) for part in bindings.buffers)  # type: ignore[arg-type]
    return decode(Payload(header=orjson.loads(text), buffers=buffers))


async def test_many_parts_are_for_another_thread() -> None:
    """Unless they are to be copied now, or the caller's thread has no loop."""
    value = {"x": ["x"] * MANY}
    assert isinstance(written({"x": ["x"] * 10}), Payload)
    late = written(value)
    assert isinstance(late, Unwritten)
    assert read(late) == value
    for now in (written(value, copy=True), written(value, quickly=False)):
        assert not isinstance(now, Unwritten)
        assert read(now) == value


@pytest.mark.parametrize(
    "make", [lambda: ["x"] * MANY, lambda: dict.fromkeys(range(MANY)), lambda: set(range(MANY))]
)
async def test_a_container_that_is_emptied_right_after_it_was_sent(
    make: Callable[[], Any],
) -> None:
    """It arrives as it was: its own items are looked at later, of a copy."""
    value = make()
    late = written({"x": value})
    assert isinstance(late, Unwritten)
    value.clear()
    assert read(late) == {"x": make()}


async def test_what_is_found_out_late_says_the_same() -> None:
    """The path as the sender knows it, and the limits."""
    with named_as({"_1": "argument 0"}):
        late = written({"_1": [*["x"] * MANY, object()]})
    assert isinstance(late, Unwritten)
    with pytest.raises(SerializationError, match=rf"^argument 0\[{MANY}\]: object of type object"):
        late.decided()
    late = written({"x": ["x"] * MANY}, limit=MANY)
    assert isinstance(late, Unwritten)
    with pytest.raises(TooLarge, match=r'^bindings\["x"\]: a value of type list with'):
        late.decided()


async def test_until_it_is_written_it_is_a_placeholder() -> None:
    """Which counts for some bytes, and the value for its own then."""
    late = written({"x": ["x"] * MANY})
    with pending(None) as item:
        item.bindings = late
        assert split_off(item, late) is late
        assert item.size == 1 + Unwritten.size
        assert isinstance(late, Unwritten)
        assert split_off(item, late.decided()) is None
        assert isinstance(item.bindings, Payload)
        assert item.size == 1 + item.bindings.size > 4 * MANY


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (BridgeClosed("closed"), BridgeClosed, "^closed$"),
        (RuntimeError("changed size"), SerializationError, r"^bindings: changed while .*size\)"),
        (MemoryError("none"), TooLarge, "no memory to write the bindings: none"),
        (KeyError("x"), SerializationError, r"^bindings: cannot be written: KeyError\('x'\)"),
    ],
)
async def test_what_a_promise_is_rejected_with(
    error: Exception, kind: type[Exception], text: str
) -> None:
    """An error of ours, which has the other as its cause."""
    told = refusal(error)
    assert isinstance(told, kind)
    assert told is error or told.__cause__ is error
    with pytest.raises(kind, match=text):
        raise told


async def test_small_values_beside_a_long_one() -> None:
    """They are those of the call, as they would be by themselves, with what they share."""
    array = np.zeros(10)
    given: dict[str, Any] = {
        "array": array, "again": array, "held": {"k": [1, 2, {3}]}, "raw": bytearray(b"ab"),
        "text": ["x"] * MANY, "lock": memoryview(b"xy"),
    }  # fmt: skip
    late = written(given)
    array[:] = 9
    given["held"]["k"].clear()
    given["raw"][:] = b"zz"
    back: Any = read(late)
    assert back["array"] is back["again"]
    assert back["array"].sum() == 0.0
    assert (back["held"], back["raw"], back["lock"]) == ({"k": [1, 2, {3}]}, b"ab", b"xy")
