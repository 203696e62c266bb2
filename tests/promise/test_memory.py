"""What a chain keeps alive, and what it costs to build a long one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import struct
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from asyncbridge.promise import Promise
from asyncbridge.tasks import spawn
from tests.promise.conftest import (
    Token,
    add_one,
    bare,
    give,
    never,
    outcome,
    pending,
    settled,
    turns,
)
from tests.promise.test_source import Owner


def test_a_deep_chain_resolves_and_goes_without_recursion() -> None:
    """100,000 thens, built first: a value runs down, and an unsettled chain can be dropped."""

    async def main() -> object:
        first = last = pending()
        unsettled = bottom = pending()
        for _ in range(100_000):
            last = last.then(add_one)
            bottom = bottom.then()
        assert repr(unsettled) == "<Promise pending cb=[then(None, None)()]>"
        first.set_result(0)
        return await last

    assert asyncio.run(main(), debug=False) == 100_000


@pytest.mark.asyncio
async def test_a_rolling_chain_keeps_few_promises() -> None:
    """Settled links of ``p = p.then(f)`` are freed at once, and hold no values."""
    promise = settled("before", 0)
    links = weakref.WeakSet([promise])
    tokens: weakref.WeakSet[Token] = weakref.WeakSet()
    gc.disable()
    try:
        for _ in range(200):
            token = Token()
            tokens.add(token)
            promise = promise.then(give(token))
            links.add(promise)
            await turns(2)
            assert len(links) <= 3
            assert len(tokens) <= 4
    finally:
        gc.enable()


def live_promises() -> int:
    """Count the promises that there are."""
    return sum(type(each) is Promise for each in gc.get_objects())


@pytest.mark.parametrize(
    "links", [10_000, pytest.param(1_000_000, marks=[pytest.mark.nightly, pytest.mark.slow])]
)
def test_a_rolling_chain_of_any_length_keeps_few_promises(links: int) -> None:
    """Of ``p = p.then(f)`` on a loop that turns, three are alive: with no collection's help."""

    async def main() -> object:
        others = live_promises()
        promise = settled("before", 0)
        for link in range(links):
            promise = promise.then(add_one)
            await asyncio.sleep(0)
            if link % (links // 5) == 0:
                assert live_promises() - others <= 3
        assert live_promises() - others <= 3
        return await promise

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(main(), debug=False) == links
    finally:
        gc.enable()


@pytest.mark.parametrize("make", [bare, pending, lambda: bare().then(add_one)])
def test_a_pending_promise_is_small(make: Callable[[], Promise[Any]]) -> None:
    """It takes 1 KiB at most: alone, made for work, or derived, with its source and its handler."""

    async def main() -> float:
        kept: list[Promise[Any] | None] = [None] * 1_000
        make()  # what is made once for all
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for index in range(len(kept)):
                kept[index] = make()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return (after - before) / len(kept)

    assert asyncio.run(main(), debug=False) <= 1_024


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("derive", [Promise.resolve, Promise.then], ids=["the promise", "derived"])
async def test_a_hundred_waiters_of_which_one_stays(
    derive: Callable[[Promise[Any]], Promise[Any]], seed: int
) -> None:
    """99 are cancelled or time out, in any order: the last gets the value, and no callback stays."""
    chance = random.Random(seed)
    source = pending()
    promise = derive(source)
    scopes: dict[asyncio.Task[Any], asyncio.Timeout] = {}

    async def wait() -> object:
        async with asyncio.timeout(None) as scope:
            task = asyncio.current_task()
            assert task is not None
            scopes[task] = scope
            return await promise

    tasks = [spawn(outcome(wait()), name="waiter") for _ in range(100)]
    await turns(chance.randrange(1, 3))
    chance.shuffle(tasks)
    last = tasks.pop()
    for task in tasks:
        if task in scopes and chance.random() < 0.5:
            scopes[task].reschedule(0)  # long ago: it is over at the loop's next turn
        else:
            task.cancel()
        await turns(chance.randrange(3))
    assert {type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)} == {
        TimeoutError,
        asyncio.CancelledError,
    }
    assert promise.state == "pending"
    assert len(promise._callbacks) == 1
    source.set_result("value")
    assert await last == "value"


@pytest.mark.asyncio
async def test_a_promise_needs_no_dictionary_of_attributes() -> None:
    """Neither when shared nor with a command behind it, for to make that takes time."""
    command = bare()
    command._attach(Owner())
    assert command.command_id == 7
    for promise in (bare(), pending(), command):
        assert not any(isinstance(each, dict) for each in gc.get_referents(promise))


@pytest.mark.asyncio
async def test_a_rejected_chain_leaves_no_cycle() -> None:
    """Neither the error's traceback nor the handlers keep the promises alive."""

    def handler(_: object) -> None:
        raise LookupError

    async def coroutine(_: object) -> None:
        raise LookupError

    gc.disable()
    try:
        for fail in (handler, coroutine):
            promise = settled("before", 1)
            chain = [promise, promise.then(fail), promise.finally_(list).transform(handler)]
            chain += [chain[1].catch(KeyError, never), chain[1].finally_(list)]
            refs = [weakref.ref(each) for each in chain]
            for _ in range(4):
                with contextlib.suppress(LookupError):
                    await chain.pop()
            del promise, chain
            await turns()
            assert [ref() for ref in refs] == [None] * 5
    finally:
        gc.enable()


def test_a_bare_promise_is_laid_out_as_a_future() -> None:
    """It adds one word, no __init__ and no __new__, so that it costs what a Future costs."""
    word = struct.calcsize("P")
    assert Promise.__basicsize__ == asyncio.Future.__basicsize__ + word
    assert Promise.__init__ is asyncio.Future.__init__
    assert Promise.__new__ is asyncio.Future.__new__
