"""One outcome for two promises."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge.client.shared_outcome import SharedOutcome
from asyncbridge.promise import Promise

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.asyncio


def pair() -> tuple[SharedOutcome, Promise[Any], Promise[Any]]:
    """Return one, and the promises that it settles."""
    loop = asyncio.get_running_loop()
    first, second = Promise[Any](loop=loop), Promise[Any](loop=loop)
    shared = SharedOutcome(first)
    shared.add(second)
    return shared, first, second


async def test_a_value() -> None:
    """Each makes of it what it was told to."""
    shared, first, second = pair()
    first.transform(str)
    shared._settle(3)
    assert (await first, await second, shared.done()) == ("3", 3, True)


@pytest.mark.parametrize(
    "end",
    [
        lambda shared: shared._settle(1),
        lambda shared: shared._settle_cancelled("no"),
        lambda shared: shared.set_exception(ValueError("no")),
    ],
)
async def test_one_that_is_settled_already(end: Callable[[SharedOutcome], object]) -> None:
    """It is left alone; the other one is not."""
    shared, first, second = pair()
    first.set_result("before")
    end(shared)
    assert await first == "before"
    assert second.done()
    await asyncio.wait([second])
    assert second.cancelled() or second.exception() is not None or second.result() == 1


async def test_an_error_is_theirs(caplog: pytest.LogCaptureFixture) -> None:
    """Once they have told it, nothing is left that nobody has taken."""
    shared, first, second = pair()
    shared.set_exception(ValueError("no"))
    for promise in (first, second):
        with pytest.raises(ValueError, match="no"):
            await promise
    del shared
    gc.collect()
    assert caplog.records == []
