"""``async with`` of what is in the worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import pytest

from asyncbridge.remote_errors import remote_class
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from tests.references.conftest import Home

pytestmark = pytest.mark.asyncio


class Manager:
    """Notes what it sees; swallows one class of errors."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def __enter__(self) -> int:
        self.seen.append("in")
        return len(self.seen)

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> bool:
        self.seen.append("out" if kind is None else f"{kind.__name__}: {error}")
        return kind is KeyError


async def test_entered_and_left_there(home: Home) -> None:
    """What its ``__enter__`` has comes here."""
    manager = Manager()
    async with home.reference(manager) as value:
        assert (value, manager.seen) == (1, ["in"])
        assert len(home._contexts) == 1
    assert manager.seen == ["in", "out"]
    assert home._contexts == set()
    assert home.sent[0].name == "with Manager"
    assert home.sent[-1].name == "the end of with Manager"


async def test_an_error_in_the_block(home: Home) -> None:
    """It is told over there by class and text, and raised here."""
    manager = Manager()
    with pytest.raises(ValueError, match="mine"):
        async with home.reference(manager):
            raise ValueError("mine")
    assert manager.seen == ["in", "ValueError: mine"]
    assert home._contexts == set()


async def test_an_error_of_a_command_in_the_block(home: Home) -> None:
    """It is told as what it was over there, and swallowed as such."""
    manager = Manager()
    async with home.reference(manager):
        raise remote_class("KeyError")("KeyError", "'x'")
    assert manager.seen == ["in", "KeyError: 'x'"]


async def test_an_error_that_it_swallows(home: Home) -> None:
    """Is over, here as well."""
    manager = Manager()
    async with home.reference(manager):
        raise KeyError("x")
    assert manager.seen[1].startswith("KeyError")  # type: ignore[attr-defined]  # a text


async def test_entering_fails(home: Home) -> None:
    """The block does not begin, and nothing is open."""

    class Closed:
        def __enter__(self) -> Self:
            raise OSError("shut")

        def __exit__(self, *_: object) -> None:
            raise AssertionError

    with pytest.raises(OSError, match="shut"):
        async with home.reference(Closed()):
            raise AssertionError
    assert home._contexts == set()


async def test_one_inside_itself_and_in_several_tasks(home: Home) -> None:
    """Each block leaves what it has entered."""
    manager = Manager()
    reference = home.reference(manager)
    first = asyncio.Event()

    async def task() -> None:
        async with reference, reference:
            first.set()

    running = spawn(task(), name="inside")
    async with reference:
        await first.wait()
    await running
    assert manager.seen.count("in") == manager.seen.count("out") == 3
    assert home._contexts == set()
