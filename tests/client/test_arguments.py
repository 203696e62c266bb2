from __future__ import annotations

from typing import Any

import pytest

from asyncbridge.client.arguments import check_bindings, named_as
from asyncbridge.errors import SerializationError, TooLarge
from asyncbridge.testing import FakeWorker


@pytest.mark.parametrize("bindings", [[1], "x", 3, {1, 2}])
def test_bindings_are_a_dict(bindings: object) -> None:
    """Anything else is refused by the argument's name."""
    with pytest.raises(TypeError, match=r"^bindings= is a dict of values by name, not"):
        check_bindings(bindings)


def test_other_errors_pass_as_they_are() -> None:
    """A refusal of something else than an argument keeps its path."""
    with pytest.raises(SerializationError, match=r'^bindings\["b"\]: no'), named_as({"a": "0"}):
        raise SerializationError("no", path='bindings["b"]')


def first(*values: Any, **named: Any) -> Any:
    """Return what it was given."""
    return values or named


@pytest.mark.asyncio
async def test_a_refused_argument_of_run_is_called_what_the_caller_calls_it() -> None:
    """By its place, or its name, with the way into it."""
    async with FakeWorker().connect() as bridge:
        with pytest.raises(SerializationError, match=r"^argument 1\[0\]: object of type object"):
            bridge.run(first, 1, [object()])
        with pytest.raises(SerializationError, match=r"^argument 'x': object of type object"):
            bridge.run(first, x=object())
        assert await bridge.run(first, 1, 2) == (1, 2)
        assert await bridge.run(first, x=1) == {"x": 1}


@pytest.mark.asyncio
async def test_an_argument_of_run_may_be_in_the_worker() -> None:
    """A binding, a promise or a reference stands for its value, also inside of containers."""
    async with FakeWorker().connect() as bridge:
        binding = await bridge.put(1)
        reference = await bridge.send("object()")
        assert await bridge.run(first, binding, [bridge.send("2")]) == (1, [2])
        assert await bridge.run(first, x={"a": binding}) == {"x": {"a": 1}}
        assert await bridge.run(first, reference, reference) == (reference, reference)


@pytest.mark.asyncio
async def test_an_argument_of_run_that_is_too_large_is_called_so_as_well() -> None:
    """The random name that it would travel by is in no text."""
    async with FakeWorker().connect(largest_value=10_000) as bridge:
        long = [["x" * 1000]] * 20
        with pytest.raises(TooLarge, match=r"^argument 'x': a value of type list with") as caught:
            bridge.run(first, x=long, y=1)
        assert caught.value.path == "argument 'x'"
