"""What is halted in a worker; what its clients see of it stands in client/test_halts.py."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge.decisions import Ignore, Raise, Retry
from asyncbridge.errors import DecisionError, RemoteError
from asyncbridge.protocol.messages import Decide, Payload
from asyncbridge.testing import FakeWorker
from asyncbridge.worker import halting
from asyncbridge.worker.halting import digest, names_in

if TYPE_CHECKING:
    from asyncbridge.client import Bridge, Halt

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]


async def halt(bridge: Bridge) -> Halt:
    """Wait until a command of the bridge is halted."""
    while not bridge.halted:
        await asyncio.sleep(0)
    return bridge.halted[0]


def decide(**fields: Any) -> Decide:
    """Return a decision."""
    return Decide(number=1, error="e-1", kind="retry", **fields)


async def test_a_digest_tells_decisions_apart() -> None:
    """By their code and their values, and by nothing else."""
    header = {"x": {"$": "bytes", "b": 0}}
    several = [
        decide(),
        decide(code=""),
        decide(code="1"),
        decide(values=Payload(header={})),
        decide(values=Payload(header=header, buffers=(b"a",))),
        decide(values=Payload(header=header, buffers=(b"b",))),
    ]
    assert len({digest(each) for each in several}) == len(several)
    assert digest(decide(code="1", epoch=2, newest=3)) == digest(decide(code="1"))


async def test_errors_have_ids_of_their_own() -> None:
    """Over all sessions, and over all incarnations, whose id they begin with."""
    worker = FakeWorker()
    async with worker.connect(halt_on_error=True) as one, worker.connect(halt_on_error=True) as two:
        failed = one.send("1 / 0"), two.send("1 / 0")
        halts = [await halt(one), await halt(two)]
        assert worker.engine is not None
        prefix = worker.engine.incarnation[:8]
        assert {each.error_id for each in halts} == {f"{prefix}-1", f"{prefix}-2"}
        assert [told["session"] for told in worker.engine.halts.info()] == [
            told.session for told in worker._registry.values()
        ]
        for bridge, each in zip((one, two), halts, strict=True):
            await bridge.decide(each, Ignore(each.error_id))
        assert [await promise for promise in failed] == [each.error_id for each in halts]


async def test_decisions_are_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest makes room; one that comes after that is about nothing that is known."""
    monkeypatch.setattr(halting, "REMEMBERED", 1)
    async with FakeWorker().connect(halt_on_error=True) as bridge:
        decided = []
        for _ in range(2):
            failed = bridge.send("1 / 0")
            decided.append(await halt(bridge))
            await bridge.decide(decided[-1], Ignore())
            await failed
        await bridge.decide(decided[1], Ignore())
        with pytest.raises(DecisionError, match="nothing is halted"):
            await bridge.decide(decided[0], Ignore())


async def test_what_began_before_halts_were_wanted_does_not_halt() -> None:
    """Its bindings are gone by then."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        failed = bridge.send("1 / n", {"n": 0})
        while not worker.begin():
            await asyncio.sleep(0)
        bridge.on_error(lambda error: Retry(bindings={"n": 1}))
        await bridge.info()
        worker.run_all()
        with pytest.raises(RemoteError):
            await failed


async def test_what_fails_once_halts_are_not_wanted_any_more_does_not_halt() -> None:
    """And what is halted stays so until it is decided."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect() as bridge:
        bridge.on_error(lambda error: Ignore())
        failed = bridge.send("1 / 0")
        while not worker.begin():
            await asyncio.sleep(0)
        bridge.on_error(None)
        await bridge.info()
        worker.run_all()
        with pytest.raises(RemoteError):
            await failed


async def test_a_cancel_that_comes_too_late_asks_nobody() -> None:
    """The command has failed by itself, and its client wanted it to end."""
    worker = FakeWorker(stepwise=True)
    async with worker.connect(halt_on_error=True) as bridge:
        failed = bridge.send("1 / 0")
        while not worker.begin():
            await asyncio.sleep(0)
        failed.cancel(mode="graceful")
        await bridge.info()
        worker.run_all()
        with pytest.raises(RemoteError):
            await failed
        assert bridge.halted == ()


async def test_room_in_the_queue_is_given_back() -> None:
    """Whatever is decided."""
    worker = FakeWorker()
    async with worker.connect(halt_on_error=True) as bridge:
        for decision in (Ignore(), Raise(), Retry(code="1")):
            failed = bridge.send("1 / 0")
            await bridge.decide(await halt(bridge), decision)
            await asyncio.wait([failed])
            failed.exception()
        assert worker.engine is not None
        assert (worker.engine.queue.count, worker.engine.queue.size) == (0, 0)


async def test_names_are_those_that_there_are() -> None:
    """Of bindings that are none, as a client may send them, there are none."""
    some, none = Payload(header={"x": 1, "y": 2}), Payload(header=5)
    assert names_in(some, None, none, Payload(header={"y": 3, "z": 4})) == ["x", "y", "z"]
