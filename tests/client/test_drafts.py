"""What of a command's bindings travels with it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import pytest

from asyncbridge.client.drafts import split_off
from asyncbridge.client.pending import Pending
from asyncbridge.client.rejections import Rejections
from asyncbridge.errors import DependencyError, SerializationError, TooLarge
from asyncbridge.promise import Promise
from asyncbridge.protocol.limits import HEADER_BYTES, Bound
from asyncbridge.protocol.messages import BulkRef, Payload
from asyncbridge.serialization.codec import draft
from asyncbridge.serialization.deferred import Deferred
from asyncbridge.serialization.drafts import Draft
from asyncbridge.testing import FakeWorker

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
    with (
        pending([["x" * 1000] * (HEADER_BYTES // 1000), one_hot()]) as item,
        pytest.raises(TooLarge, match="value"),
    ):
        split_off(item, item.bindings)


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
            with pytest.raises(DependencyError, match=r"depends on, failed: bindings"):
                await after
            assert await bridge.send("'seen' in globals()") is False
