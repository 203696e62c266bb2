"""What travels: commands that use one another's values leave together, in one frame."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge import connect
from asyncbridge import models as keras
from asyncbridge.protocol.messages import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from asyncbridge.client import Bridge
    from asyncbridge.protocol.messages import Message

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]


class Frames:
    """Notes what a bridge writes, and holds back all that comes behind the first command.

    Args:
        bridge: It.
        held: Whether nothing more is written until ``free`` is set.
    """

    def __init__(self, bridge: Bridge, monkeypatch: pytest.MonkeyPatch, *, held: bool) -> None:
        self.with_commands: list[list[str]] = []
        self.free = asyncio.Event()
        if not held:
            self.free.set()
        channel = bridge._opened()._link.channel
        write = channel.write

        async def noted(messages: Sequence[Message]) -> None:
            if self.with_commands:
                await self.free.wait()
            codes = [each.code for each in messages if isinstance(each, Command)]
            if codes:
                self.with_commands.append(codes)
            await write(messages)

        monkeypatch.setattr(channel, "write", noted)


def train() -> Iterator[Any]:
    """Make a model, train and try it; yield what can be awaited of each step."""
    x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
    layer = keras.layers.Dense(1)
    yield layer
    model = keras.Sequential([keras.Input((2,)), layer])
    yield model
    yield model.compile(loss="mse", optimizer="sgd")
    yield model.fit(x, y, epochs=2, verbose=0)
    yield model.evaluate(x, y, verbose=0)
    yield model.predict(x)


@pytest.mark.tensorflow
@pytest.mark.asyncio
async def test_a_training_costs_one_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    """One frame has all of it: what would be written after that is not needed for the last outcome."""
    async with connect() as bridge:
        await keras.utils.set_random_seed(1)
        with monkeypatch.context() as patched:
            frames = Frames(bridge, patched, held=True)
            *_, losses, predicted = train()
            assert (await predicted).shape == (8, 1)
            assert await losses > 0
            frames.free.set()
        assert len(frames.with_commands) == 1
        with monkeypatch.context() as patched:
            frames = Frames(bridge, patched, held=False)
            for step in train():
                await step
        assert len(frames.with_commands) == 6


@pytest.mark.asyncio
async def test_values_of_libraries_in_one_frame(
    connected: Callable[[], Bridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls on calls, assignments and what uses them leave together, and their values stay there."""
    async with connected() as bridge:
        xp = bridge.module("numpy")
        await xp.pi
        with monkeypatch.context() as patched:
            frames = Frames(bridge, patched, held=True)
            drawn = bridge.send("x.random.default_rng(7).normal(size=1000)", {"x": xp}, keep=True)
            total = bridge.send("x.sum() - y", {"x": drawn, "y": drawn.attr("mean")() * 1000})
            assert abs(await total) < 1e-6
            frames.free.set()
        assert len(frames.with_commands) == 1
