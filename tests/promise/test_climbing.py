"""Cancelling what is derived from a command's promise: when it reaches the command."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from asyncbridge.promise import Promise
from asyncbridge.tasks import spawn
from tests.promise.conftest import Token, add_one, never, outcome, pending, reports, turns
from tests.promise.test_source import Owner

pytestmark = pytest.mark.asyncio


def commanded() -> tuple[Promise[Any], Owner]:
    """Return a command's promise, and what is asked to cancel it."""
    promise, owner = pending(), Owner()
    promise._attach(owner)
    return promise, owner


@pytest.mark.parametrize("chain", ["then", "catch", "finally_", "tap"])
async def test_the_sole_consumer_takes_the_command_along(chain: str) -> None:
    """However it was derived; it is cancelled itself at once, whatever the command does."""
    promise, owner = commanded()
    derived = getattr(promise, chain)(lambda *_: None)
    assert derived.cancel("why", mode="interrupt")
    assert owner.asked == [(promise, "why", "interrupt")]
    assert derived.cancelled()
    assert not promise.done()
    promise._settle("partial")
    await turns()


async def test_one_of_several_leaves_the_command_alone() -> None:
    """Until the last of them goes."""
    promise, owner = commanded()
    first, second = promise.then(add_one), promise.then(add_one)
    first.cancel()
    assert owner.asked == []
    second.cancel()
    assert owner.asked == [(promise, None, None)]


@pytest.mark.parametrize("consumer", ["task", "callback", "gather", "all"])
async def test_any_other_consumer_counts(consumer: str) -> None:
    """Tasks that wait, callbacks, asyncio's and our own combinators."""
    promise, owner = commanded()

    async def wait() -> object:
        return await promise

    other: asyncio.Future[Any] | None = None
    if consumer == "task":
        other = spawn(wait(), name="waiter")
        await turns(1)
    elif consumer == "callback":
        promise.add_done_callback(lambda _: None)
    elif consumer == "gather":
        other = asyncio.gather(promise)
    else:
        other = Promise.all([promise])
    promise.then(add_one).cancel()
    assert owner.asked == []
    promise._settle(1)
    if other is not None:
        await other


async def test_it_climbs_a_whole_chain() -> None:
    """Without recursion; what is between follows the command's own end."""
    promise, owner = commanded()
    links = [promise]
    for _ in range(10_000):
        links.append(links[-1].then(add_one))
    links[-1].cancel()
    assert owner.asked == [(promise, None, None)]
    assert not any(link.done() for link in links[:-1])
    promise._settle_cancelled()
    assert isinstance(await outcome(links[-2]), asyncio.CancelledError)


async def test_a_branch_on_the_way_stops_it() -> None:
    """Somebody else waits for what the command leads to."""
    promise, owner = commanded()
    middle = promise.then(add_one)
    leaf, other = middle.then(add_one), middle.then(add_one)
    leaf.cancel()
    assert owner.asked == []
    promise._settle(1)
    assert await other == 3


async def test_it_climbs_to_what_a_handler_returned() -> None:
    """A derived promise that waits for another command's is that one's consumer."""
    first, first_owner = commanded()
    second, second_owner = commanded()
    derived = first.then(lambda _: second)
    first._settle(1)
    await turns()
    derived.cancel()
    assert (first_owner.asked, second_owner.asked) == ([], [(second, None, None)])
    second._settle(2)
    await turns()


async def test_a_cancelled_link_is_taken_off_its_source() -> None:
    """A long command keeps nothing of those that gave up; a finally_ runs all the same."""
    promise, owner = commanded()
    before = len(promise._callbacks or ())
    promise.add_done_callback(lambda _: None)
    ran: list[str] = []
    for _ in range(100):
        promise.then(never).cancel()
        promise.catch(never).cancel()
    promise.finally_(lambda: ran.append("finally")).cancel()
    assert (len(promise._callbacks), owner.asked) == (before + 2, [])
    promise._settle(1)
    await turns()
    assert ran == ["finally"]


async def test_a_rejected_promise_of_a_class_of_its_own_is_finalized_as_that_has_it() -> None:
    """Ours does not take the place of a subclass's finalizer."""
    gone: list[str] = []

    class Mine(Promise[Any]):
        def __del__(self) -> None:
            gone.append(type(self).__name__)

    promise = Mine(loop=asyncio.get_running_loop())
    owner = Owner()
    promise._attach(owner)
    promise.set_exception(LookupError())
    reports()
    del promise
    gc.collect()
    assert gone == ["Mine"]
    assert len(owner.unhandled_errors) == 1


async def test_without_a_command_nothing_climbs() -> None:
    """A bare promise, and what is derived from it, are cancelled as a Future is."""
    promise = pending()
    derived = promise.then(never)
    assert derived.cancel()
    assert not promise.done()


async def test_a_settled_chain_lets_go_of_what_came_before() -> None:
    """A derived promise that is kept keeps no value of those above it."""

    async def coroutine(_: object) -> int:
        return 1

    gc.disable()
    try:
        for handler in (add_one_to_none, coroutine):
            promise, _ = commanded()
            value = Token()
            seen = weakref.ref(value)
            derived = promise.then(handler).finally_(list).tap(list_of_none)
            promise._settle(value)
            del promise, value, _
            assert await derived == 1
            assert seen() is None
    finally:
        gc.enable()


def add_one_to_none(_: object) -> int:
    """Return 1, whatever is given."""
    return 1


def list_of_none(_: object) -> None:
    """Do nothing with the value."""


async def test_from_another_thread_it_is_asked_on_the_loop() -> None:
    """Who waits is known there alone."""
    promise, owner = commanded()
    derived = promise.then(add_one)
    assert await asyncio.get_running_loop().run_in_executor(None, derived.cancel)
    await turns()
    assert owner.asked == [(promise, None, None)]
    assert derived.cancelled()
