from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge import models as keras
from asyncbridge.models.mirrors.attributes import Attribute, RemoteAttribute
from asyncbridge.promise import Promise

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.models.conftest import RecordingBridge


def counted() -> tuple[Attribute, list[Promise[Any]]]:
    """Return an attribute, and the promises that were asked for."""
    asked: list[Promise[Any]] = []

    def ask() -> Promise[Any]:
        asked.append(Promise(loop=asyncio.get_running_loop()))
        asked[-1].set_result(len(asked))
        return asked[-1]

    return Attribute("owner", "size", ask), asked


@pytest.mark.asyncio
async def test_each_await_asks_anew() -> None:
    """Reading the attribute asks nothing; what it is may change from one time to the next."""
    attribute, asked = counted()
    assert asked == []
    assert (await attribute, await attribute) == (1, 2)
    assert await attribute.promise() == 3
    assert await attribute.then(lambda value: value * 10) == 40


@pytest.mark.asyncio
async def test_a_thread_without_a_loop_may_block_for_it() -> None:
    """As with a promise: in a loop's own thread there is only ``await``."""
    attribute, _ = counted()
    promise = attribute.promise()
    blocking = Attribute("owner", "size", lambda: promise)
    assert await asyncio.to_thread(blocking.wait_for_value, 5) == 1


@pytest.mark.parametrize(
    "use",
    [
        bool,
        float,
        int,
        len,
        iter,
        lambda attribute: attribute[-1],
        lambda attribute: attribute(),
        lambda attribute: attribute == (None, 4),
    ],
)
def test_it_is_no_value(use: Callable[[Any], object]) -> None:
    """A forgotten ``await`` is told as such, and nothing is sent."""
    attribute = Attribute("owner", "size", lambda: pytest.fail("nothing is to be sent"))
    with pytest.raises(
        TypeError, match=r"^'size' of 'owner' is known in the worker: write \(await"
    ):
        use(attribute)


def test_it_has_no_attributes_of_the_value() -> None:
    """The error says where those are."""
    attribute: Any = Attribute("owner", "rate", lambda: pytest.fail("nothing is to be sent"))
    with pytest.raises(AttributeError, match=r"write \(await \.\.\.rate\)\.assign"):
        attribute.assign(1)


@pytest.mark.asyncio
async def test_a_property_gives_the_attribute_of_its_name(bridge: RecordingBridge) -> None:
    """Of the class it is itself, with its docstring; of a mirror it asks the worker."""
    assert isinstance(keras.Layer.weights, RemoteAttribute)
    assert keras.Layer.weights.__doc__ == "All weights, as arrays."
    dense = keras.layers.Dense(1)
    assert repr(dense.weights) == "<attribute 'weights' of <Dense units=1>: await it>"
    assert len(bridge.sent) == 1
    dense.weights.promise()
    assert bridge.said(1) == ["worker_models.plain(dense_1.weights)"]


def test_a_property_cannot_be_set() -> None:
    """It is the worker's; what can be set there has a setter of its own."""
    dense: Any = keras.layers.Dense(1)
    with pytest.raises(AttributeError, match=r"^Dense\.weights cannot be set on a mirror"):
        dense.weights = []
