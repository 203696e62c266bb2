"""What a chain keeps alive, and what it costs to build a long one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref

import pytest

from asyncbridge.promise import Promise
from tests.promise.conftest import Token, add_one, give, never, pending, settled, turns


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
    """It adds no fields, no __init__ and no __new__, so that it costs what a Future costs."""
    assert Promise.__basicsize__ == asyncio.Future.__basicsize__
    assert Promise.__init__ is asyncio.Future.__init__
    assert Promise.__new__ is asyncio.Future.__new__
