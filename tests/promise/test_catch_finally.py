"""``catch`` and its types, ``finally_`` and what it passes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.promise.conftest import ERROR, never, outcome, pending, raiser, settled, turns


class Halt(BaseException):
    """An exception that is no ``Exception``."""


def kind_of(error: BaseException) -> type[BaseException]:
    """Stand for any handler of an error."""
    return type(error)


@pytest.mark.asyncio
async def test_catch_handles_only_its_types() -> None:
    """Types come one by one, in a tuple or not at all; others pass through."""
    promise = settled("after", KeyError("k"))
    assert await promise.catch(kind_of) is KeyError
    assert await promise.catch(LookupError, kind_of) is KeyError
    assert await promise.catch((OSError, KeyError), kind_of) is KeyError
    assert await promise.catch(OSError, KeyError, kind_of) is KeyError
    assert isinstance(await outcome(promise.catch(OSError, never)), KeyError)
    assert isinstance(await outcome(promise.catch((), never)), KeyError)


@pytest.mark.asyncio
async def test_catch_without_types_is_for_exceptions() -> None:
    """What ends programs passes a bare catch, as it passes ``except Exception``."""
    promise = settled("before", Halt())
    assert isinstance(await outcome(promise.catch(never)), Halt)
    assert await promise.catch(BaseException, lambda _: "caught") == "caught"
    assert await promise.then(None, lambda _: "caught") == "caught"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "arguments",
    [(), (ValueError,), ((ValueError,),), (ValueError, 5), (5, str), ((ValueError, 5), str)],
    ids=repr,
)
async def test_catch_refuses_what_is_no_handler_or_type(arguments: tuple[Any, ...]) -> None:
    """A forgotten handler and a wrong type raise at once."""
    with pytest.raises(TypeError, match=r"catch\(\) takes"):
        pending().catch(*arguments)


@pytest.mark.asyncio
async def test_none_is_a_handler_that_passes_everything() -> None:
    """catch(None) and finally_(None) change nothing."""
    promise = settled("before", ERROR)
    assert await outcome(promise.catch(None)) is ERROR  # type: ignore[call-overload] # pyright: ignore - untyped on purpose
    assert await outcome(promise.finally_(None)) is ERROR
    with pytest.raises(TypeError, match="finally_"):
        promise.finally_(5)  # type: ignore[arg-type] # pyright: ignore - what is tested


@pytest.mark.asyncio
@pytest.mark.parametrize("value", [1, ERROR, asyncio.CancelledError("why")], ids=repr)
async def test_finally_runs_however_the_promise_ends(value: object) -> None:
    """The handler gets no argument, its value is dropped, and the end is passed on."""
    calls: list[str] = []

    async def handler() -> str:
        await asyncio.sleep(0)
        calls.append("async")
        return "dropped"

    plain = settled("after", value).finally_(lambda: calls.append("plain"))
    assert repr(await outcome(plain)) == repr(value)
    assert repr(await outcome(settled("before", value).finally_(handler))) == repr(value)
    assert calls == ["plain", "async"]


@pytest.mark.asyncio
async def test_a_failing_finally_replaces_the_end() -> None:
    """An error or a cancellation of the handler is what the derived promise ends by."""
    for value in (1, OSError(), asyncio.CancelledError()):
        assert await outcome(settled("after", value).finally_(raiser(ERROR))) is ERROR
        cancelled = settled("after", value).finally_(raiser(asyncio.CancelledError("mine")))
        assert repr(await outcome(cancelled)) == "CancelledError('mine')"


@pytest.mark.asyncio
async def test_finally_runs_even_if_its_promise_was_cancelled() -> None:
    """Cleaning up cannot be called off by cancelling the derived promise."""
    calls: list[str] = []
    promise = pending()
    promise.finally_(lambda: calls.append("clean")).cancel()
    promise.then(never).cancel()
    promise.set_result(1)
    await turns()
    assert calls == ["clean"]
