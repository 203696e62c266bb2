from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref

import pytest

from asyncbridge.client import current
from asyncbridge.client.bridge import Bridge
from asyncbridge.client.current import current_bridge, enter, leave
from asyncbridge.client.options import Options
from asyncbridge.errors import BridgeClosed
from asyncbridge.promise import Promise
from asyncbridge.testing import FakeWorker
from tests.promise.conftest import add_one


@pytest.fixture(autouse=True)
def none_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin where no bridge is open."""
    monkeypatch.setattr(current, "_open", weakref.WeakSet())


@pytest.fixture
def context() -> contextvars.Context:
    """Return a context in which nothing was entered."""
    return contextvars.Context()


def new_bridge() -> Bridge:
    """Return a bridge that is not open; only its identity matters here."""
    return Bridge(Options())


def test_without_an_open_bridge_there_is_none() -> None:
    """No error: whoever needs one says so in its own words."""
    assert contextvars.Context().run(current_bridge) is None


def test_the_bridge_entered_last_in_this_context_is_current(context: contextvars.Context) -> None:
    """Leaving it makes the former one current again."""
    outer, inner = new_bridge(), new_bridge()
    context.run(enter, outer)
    token = context.run(enter, inner)
    assert context.run(current_bridge) is inner
    context.run(leave, inner, token)
    assert context.run(current_bridge) is outer


def test_in_another_context_the_only_open_one_is_current(context: contextvars.Context) -> None:
    """With two there is no telling, so there is none."""
    one, two = new_bridge(), new_bridge()
    context.run(enter, one)
    elsewhere = contextvars.Context()
    assert elsewhere.run(current_bridge) is one
    context.run(enter, two)
    assert elsewhere.run(current_bridge) is None


def test_a_bridge_that_was_left_elsewhere_is_not_current(context: contextvars.Context) -> None:
    """Also where the context variable still holds it."""
    bridge = new_bridge()
    token = context.run(enter, bridge)
    copy = context.run(contextvars.copy_context)
    contextvars.Context().run(leave, bridge, token)
    assert context.run(current_bridge) is None
    assert copy.run(current_bridge) is None


def test_leaving_in_another_context_spoils_no_entered_one(context: contextvars.Context) -> None:
    """There another bridge stays current."""
    one, two = new_bridge(), new_bridge()
    token = context.run(enter, one)
    other = contextvars.Context()
    other.run(enter, two)
    other.run(leave, one, token)
    assert other.run(current_bridge) is two


def test_bridges_are_left_in_any_order(context: contextvars.Context) -> None:
    """The outer one first: the inner stays current, then there is none."""
    outer, inner = new_bridge(), new_bridge()
    outer_token = context.run(enter, outer)
    inner_token = context.run(enter, inner)
    context.run(leave, outer, outer_token)
    assert context.run(current_bridge) is inner
    context.run(leave, inner, inner_token)
    assert context.run(current_bridge) is None


def test_leaving_without_a_token_takes_it_out_only(context: contextvars.Context) -> None:
    """That is a bridge which was opened, and never entered."""
    bridge = new_bridge()
    context.run(leave, bridge, None)
    assert context.run(current_bridge) is None


def test_a_context_keeps_no_bridge_alive(context: contextvars.Context) -> None:
    """Contexts may live long, in runners and in handles: a forgotten bridge is garbage still."""
    reference = weakref.ref(enter_new(context))
    gc.collect()
    assert reference() is None


def enter_new(context: contextvars.Context) -> Bridge:
    """Enter a bridge that nobody else holds."""
    bridge = new_bridge()
    bridge._token = context.run(enter, bridge)
    return bridge


def test_a_scripts_promises_belong_to_its_bridge() -> None:
    """Its loop runs them; with no bridge they are refused as a Future is."""
    with FakeWorker().connect():
        promise, resolve, _ = Promise[int].with_resolvers()
        makers = [
            Promise.resolve(1).then(add_one),
            Promise.delay(0, 2),
            Promise.all([]).then(lambda _: 2),
            Promise.reject(ValueError()).catch(ValueError, lambda _: 2),
            Promise.resolve(to_two()),
            promise,
        ]
        resolve(2)
        assert [made.wait_for_value(10) for made in makers] == [2] * 6
    for make in (Promise[int].with_resolvers, lambda: Promise.resolve(1), lambda: Promise.delay(1)):
        with pytest.raises(RuntimeError, match="no running event loop"):
            make()


async def to_two() -> int:
    """Return 2."""
    return 2


def test_a_bridge_ends_with_its_loop() -> None:
    """It is current no more, and says what to do; also where the loop was just closed."""
    bridges: list[Bridge] = []

    async def leave_open() -> None:
        bridges.append(await FakeWorker().connect())
        assert current_bridge() is bridges[-1]

    async def use() -> None:
        assert current_bridge() is None
        for bridge in bridges:
            with pytest.raises(BridgeClosed, match="event loop has ended.*open another one there"):
                bridge.send("1")

    with pytest.warns(ResourceWarning, match="was never closed"):
        asyncio.run(leave_open())
    assert bridges[0].state == "closed"
    asyncio.run(use())
