"""Errors of a bridge's promises that nobody took."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest

from asyncbridge.client.rejections import UnhandledRejection
from asyncbridge.errors import BridgeClosed, RemoteError
from asyncbridge.promise import Promise
from asyncbridge.testing import FakeWorker
from tests.promise.conftest import add_one, reports, turns

pytestmark = pytest.mark.asyncio


async def told(seen: list[Any], count: int = 1) -> None:
    """Wait until something was reported."""
    while len(seen) < count:
        gc.collect()
        await asyncio.sleep(0)


async def test_a_failed_command_is_reported_with_its_code_and_its_place() -> None:
    """Once: to the loop's handler, as asyncio does, and to the bridge's."""
    logged, seen = reports(), list[UnhandledRejection]()
    async with FakeWorker().connect() as bridge:
        assert bridge.on_unhandled_rejection(seen.append) is not None
        bridge.send("1 / 0", name="division")
        await told(seen)
    (context,), (rejection,) = logged, seen
    assert isinstance(context["exception"], RemoteError)
    assert "1 / 0" in str(context["exception"])
    assert context["message"] == "Promise exception was never retrieved"
    assert context["command"] == "division (number 1)"
    assert context["command_code"] == "1 / 0"
    assert context["command_sent_from"].startswith(f"{__file__}:")
    assert context["source_traceback"]
    assert rejection.error is context["exception"]
    assert (rejection.command, rejection.command_id, rejection.code) == ("division", 1, "1 / 0")
    assert rejection.sent_from == context["command_sent_from"]


async def test_the_leaf_of_a_chain_is_reported_with_the_command_at_its_root() -> None:
    """Whatever went wrong below; what was handled is not."""
    logged, seen = reports(), list[UnhandledRejection]()
    async with FakeWorker().connect() as bridge:
        bridge.on_unhandled_rejection(seen.append)
        bridge.send("1 / 0").then(add_one).catch(str)
        bridge.send("'text'", name="text").then(add_one).then(add_one).finally_(list)
        await told(seen)
    (context,), (rejection,) = logged, seen
    assert isinstance(rejection.error, TypeError)
    assert (rejection.command, rejection.command_id) == ("text", 2)
    assert context["command"] == "text (number 2)"


async def test_the_command_that_failed_is_named() -> None:
    """Not the one before it in the chain; also of one that a combinator was given."""
    reports()
    seen: list[UnhandledRejection] = []
    async with FakeWorker().connect() as bridge:
        bridge.on_unhandled_rejection(seen.append)
        bridge.send("1", name="load").then(lambda _: bridge.send("5 / 0", name="train"))
        await told(seen)
        Promise.all([bridge.send("7 / 0", name="one of all")]).then(str)
        await told(seen, 2)
    assert [(rejection.command, rejection.code) for rejection in seen] == [
        ("train", "5 / 0"),
        ("one of all", "7 / 0"),
    ]


async def test_a_coroutine_function_may_take_them() -> None:
    """It runs as a task, whose own failure is reported as any task's."""
    logged = reports()

    async def handler(rejection: UnhandledRejection) -> None:
        await asyncio.sleep(0)
        raise LookupError(rejection.command)

    async with FakeWorker().connect() as bridge:
        bridge.on_unhandled_rejection(handler)
        bridge.send("1 / 0", name="division")
        await told(logged, 2)
    assert isinstance(logged[1]["exception"], LookupError)


async def test_a_handler_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It takes nothing else along."""
    reports()

    def handler(_: UnhandledRejection) -> None:
        raise LookupError("not this one")

    async with FakeWorker().connect() as bridge:
        bridge.on_unhandled_rejection(handler)
        bridge.send("1 / 0")
        with caplog.at_level(logging.ERROR):
            while "not this one" not in caplog.text:
                gc.collect()
                await asyncio.sleep(0)
        assert await bridge.send("1") == 1


async def test_a_handler_is_replaced_and_taken_out() -> None:
    """The last one counts; None ends it."""
    logged, first, second = reports(), list[Any](), list[Any]()
    async with FakeWorker().connect() as bridge:
        bridge.on_unhandled_rejection(first.append)
        bridge.on_unhandled_rejection(second.append)
        bridge.send("1 / 0")
        await told(second)
        assert bridge.on_unhandled_rejection(None) is None
        bridge.send("1 / 0")
        await told(logged, 2)
        await turns()
    assert (len(first), len(second)) == (0, 1)


async def test_what_is_no_function_is_refused() -> None:
    """And a bridge that is not open takes none."""
    bridge = FakeWorker().connect()
    with pytest.raises(BridgeClosed):
        bridge.on_unhandled_rejection(print)
    async with bridge:
        with pytest.raises(TypeError, match="takes a function or None, not str"):
            bridge.on_unhandled_rejection("print")  # type: ignore[arg-type]
