"""Commands that wait for another worker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncbridge.client.backlog import Backlog
from asyncbridge.client.held import Held, lost_to
from asyncbridge.client.pending import Pending
from asyncbridge.client.rejections import Rejections
from asyncbridge.errors import WorkerLost
from asyncbridge.promise import Promise
from asyncbridge.protocol.limits import Bound
from asyncbridge.serialization.codec import encode

pytestmark = pytest.mark.asyncio

LOST = WorkerLost("it died", signal="SIGKILL")


def pending(
    code: str = "1", bindings: dict[str, object] | None = None, lifetime: str = "command"
) -> Pending:
    """Return a command."""
    promise: Promise[Any] = Promise()
    item = Pending(
        promise,
        code=code,
        bindings=None if bindings is None else encode(bindings),
        lifetime=lifetime,
        label="",
        after=(),
        home=Rejections(),
        annotate=None,
        origin="",
        names=tuple(bindings or ()),
    )
    promise._attach(item)
    return item


class Rig:
    """What is held, and the room that it takes."""

    def __init__(self) -> None:
        self.backlog = Backlog(Bound(count=100, size=10_000))
        self.held = Held(self.backlog)

    @property
    def taken(self) -> tuple[int, int]:
        """How many commands the backlog counts, and their bytes."""
        return self.backlog._gauge.count, self.backlog._gauge.size


async def test_what_had_left_counts_again() -> None:
    """What had not is counted already."""
    rig, left, waiting, new = Rig(), pending("left"), pending("waiting"), pending("new")
    rig.backlog.take(waiting.size)
    rig.backlog.take(new.size)
    rig.held.keep(left, counted=False)
    rig.held.keep(waiting, counted=True)
    rig.held.add(new)
    assert rig.taken == (3, len("left" + "waiting" + "new"))
    assert rig.held.items == (left, waiting, new)
    assert [rig.held.was_sent(item) for item in rig.held.items] == [True, True, False]


async def test_a_command_comes_back_as_it_was_given() -> None:
    """With the bindings of the beginning, whatever had been split off them."""
    rig, item = Rig(), pending("x", {"x": b"y" * 100_000})
    given, size = item.original, item.size
    item.bindings = None
    item.bulk = {"1-0": b"y"}
    rig.held.keep(item, counted=False)
    assert (item.bindings, item.bulk, item.session, item.size) == (given, {}, None, size)
    assert rig.taken == (1, size)


async def test_one_is_cancelled_while_it_waits() -> None:
    """Its promise is, and its room is there again; a second time there is nothing to cancel."""
    rig, item = Rig(), pending()
    rig.held.keep(item, counted=False)
    promise = item.promise
    assert promise.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await promise
    assert (rig.taken, rig.held.items) == ((0, 0), ())
    assert not rig.held.cancel(item)


async def test_all_are_rejected_each_with_its_own() -> None:
    """Two promises never share an exception, whose traceback would be both's."""
    rig, items = Rig(), [pending(), pending()]
    for item in items:
        rig.held.keep(item, counted=False)
    promises = [item.promise for item in items]
    rig.held.reject_all(lambda item: LOST.at_phase("not_started", item.sent()))
    errors = [promise.exception() for promise in promises]
    assert errors[0] is not errors[1]
    assert all(isinstance(error, WorkerLost) for error in errors)
    assert rig.taken == (0, 0)


async def test_one_whose_time_is_over_is_taken_back() -> None:
    """Its promise was rejected before."""
    rig, item = Rig(), pending()
    rig.held.keep(item, counted=False)
    promise = item.promise
    promise.set_exception(TimeoutError("late"))
    item.take_back()
    assert rig.held.items == ()
    assert isinstance(promise.exception(), TimeoutError)


@pytest.mark.parametrize(
    ("codes", "lost"),
    [
        (["x"], {0: ("x",)}),
        (["x = 1", "x"], {}),
        (["x", "x = 1"], {0: ("x",)}),
        (["y = x", "y"], {0: ("x",), 1: ("y",)}),
        (["a + b"], {0: ("a", "b")}),
        (["eval('x')"], {0: ()}),
    ],
)
async def test_what_leans_on_what_was_lost(
    codes: list[str], lost: dict[int, tuple[str, ...]]
) -> None:
    """And on what such a one would have made; not on what others make ahead of it."""
    items = [pending(code) for code in codes]
    refused, there = lost_to(items, LOST)
    assert {items.index(item): error.names for item, error in refused.items()} == lost
    assert ("x" in there) == any(code == "x = 1" for code in codes)


async def test_bindings_that_stay_are_there_for_those_behind() -> None:
    """Those of a single command are its own."""
    stays, passes = pending("1", {"x": 1}, "eternal"), pending("y", {"y": 1})
    refused, there = lost_to([stays, passes, pending("x"), last := pending("y")], LOST)
    assert list(refused) == [last]
    assert there == {"x"}
