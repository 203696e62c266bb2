"""Making promises, and what one looks like."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge.promise import Promise
from tests.promise.conftest import ERROR, CustomAwaitable, outcome, pending, settled, turns

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.asyncio
async def test_a_promise_has_no_truth_value() -> None:
    """A forgotten await raises, and says what to write."""
    with pytest.raises(TypeError, match="if await promise:"):
        bool(settled("before", 1))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("use", "why"),
    [
        (lambda promise: promise[0], "has no items"),
        (len, "has no length"),
        (lambda promise: promise + 1, "is no number"),
        (lambda promise: 2 * promise, "is no number"),
        (lambda promise: -promise, "is no number"),
        (lambda promise: promise < 1, "has no order"),
        (list, "is no list"),
        (lambda promise: 1 in promise, "is no list"),
    ],
)
async def test_a_promise_is_not_its_value(use: Callable[[Any], object], why: str) -> None:
    """What a forgotten await runs into says what to write."""
    with pytest.raises((TypeError, RuntimeError), match=f"a Promise {why}.*`await promise`"):
        use(pending())


@pytest.mark.asyncio
async def test_the_repr_is_the_futures() -> None:
    """It follows the rules of asyncio.Future, with handlers by name."""
    asyncio.get_running_loop().set_debug(enabled=False)
    promise = pending()
    assert repr(promise) == "<Promise pending>"
    promise.then(len)
    assert repr(promise) == "<Promise pending cb=[then(len, None)()]>"
    finished = pending()
    finished.finally_(list)
    assert repr(finished) == "<Promise pending cb=[finally_(list)()]>"
    promise.set_result([])
    assert repr(promise) == "<Promise finished result=[]>"
    await turns()


@pytest.mark.asyncio
async def test_resolve_and_reject_make_settled_promises() -> None:
    """A plain value or reason settles at once; a promise comes back as it is."""
    assert Promise.resolve(1).result() == 1
    promise = pending()
    assert Promise.resolve(promise) is promise
    promise.cancel()
    assert await Promise.resolve(CustomAwaitable("awaited")) == "awaited"
    assert Promise[int].reject(ERROR).exception() is ERROR
    assert isinstance(Promise[int].reject(OSError).exception(), OSError)  # type: ignore[arg-type] # pyright: ignore - as Future
    with pytest.raises(TypeError):
        Promise[int].reject("text")  # type: ignore[arg-type] # pyright: ignore - what is tested


@pytest.mark.asyncio
async def test_a_cancelled_promise_ignores_its_resolvers() -> None:
    """Who settles it need not know that nobody waits any more."""
    for name in ("resolve", "reject"):
        resolvers = Promise[Any].with_resolvers()
        resolvers.promise.cancel()
        getattr(resolvers, name)(ERROR)
        assert resolvers.promise.cancelled()


@pytest.mark.asyncio
async def test_resolvers_reject() -> None:
    """reject() of the three settles the promise with the exception."""
    promise, _, reject = Promise[int].with_resolvers()
    reject(ERROR)
    assert await outcome(promise) is ERROR


def test_the_makers_need_a_loop() -> None:
    """With no running loop they raise; with_resolvers can be told which."""
    for make in (lambda: Promise.resolve(1), Promise[int].with_resolvers):
        with pytest.raises(RuntimeError, match="no running event loop"):
            make()
    loop = asyncio.new_event_loop()
    assert Promise[int].with_resolvers(loop=loop).promise.get_loop() is loop
    loop.close()


def test_only_the_standard_library_is_imported() -> None:
    """Importing the module loads no third-party package."""
    code = (
        "import sys, asyncbridge.promise;"
        "names = {name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names;"
        "print(*sorted(names - {'asyncbridge', '__main__'}));"
        "assert not {'aiohttp', 'numpy', 'orjson'} & set(sys.modules)"
    )
    command = [sys.executable, "-S", "-c", code]
    root = __file__.rpartition("/tests/")[0]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
