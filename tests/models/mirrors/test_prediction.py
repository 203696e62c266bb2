"""Predictions in parts, of a worker whose model is some lines of code."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import numpy as np
import pytest

from asyncbridge.client import Bridge
from asyncbridge.errors import RemoteError
from asyncbridge.models.mirrors.prediction import Prediction
from asyncbridge.testing import FakeWorker
from tests.limits import HANG_S

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]

CODE = """
import numpy as np
from asyncbridge.worker import parts
whole = np.arange(10)
def predict(fails):
    if not parts.are_wanted():
        return {"one": whole, "two": [whole]}
    for start in range(0, 10, 4):
        parts.give(whole[start:start + 4])
    if fails:
        raise ValueError("no more")
"""


def predict(bridge: Bridge, *, fails: bool = False) -> Prediction:
    """Send what stands for a prediction."""
    factory = partial(Prediction, batch_size=4)
    promise: Any = bridge.send(f"predict({fails})", promise_factory=factory)
    assert isinstance(promise, Prediction)
    return promise


async def test_parts_as_they_come() -> None:
    """The promise's value is None then, and they are had once."""
    async with FakeWorker(threaded=True).connect() as bridge:
        bridge.send(CODE)
        promise = predict(bridge)
        assert [part.tolist() async for part in promise] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert await promise is None
        with pytest.raises(RuntimeError, match="gone through already"):
            await anext(aiter(promise))


async def test_a_whole_value_is_cut() -> None:
    """Into as many rows as a batch has, in its own structure."""
    async with FakeWorker(threaded=True).connect() as bridge:
        bridge.send(CODE)
        promise = predict(bridge)
        whole = await promise
        parts = [part async for part in promise]
        assert [len(part["one"]) for part in parts] == [4, 4, 2]
        assert np.array_equal(np.concatenate([part["two"][0] for part in parts]), whole["one"])


async def test_an_error_is_raised_in_the_loop() -> None:
    """Behind the parts that came before it."""
    got: list[int] = []
    async with FakeWorker(threaded=True).connect() as bridge:
        bridge.send(CODE)
        with pytest.raises(RemoteError, match="no more"):
            async for part in predict(bridge, fails=True):
                got.append(len(part))  # noqa: PERF401 - what came before the error counts
    assert got == [4, 4, 2]


async def test_leaving_the_loop_stops_it() -> None:
    """The command gives no more, and its promise is cancelled or done."""
    async with FakeWorker(threaded=True).connect() as bridge:
        bridge.send(CODE.replace("range(0, 10, 4)", "iter(int, 1)"))
        promise = predict(bridge)
        async for _ in promise:
            break
        async with asyncio.timeout(HANG_S):
            await asyncio.wait([promise])
        assert promise.cancelled()
        assert await bridge.send("1 + 1") == 2
