"""Outcomes on their way to callbacks, whatever these do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import orjson
import pytest
from aiohttp import web

from asyncbridge.protocol.messages import Fault, Halted
from asyncbridge.serialization.codec import encode
from asyncbridge.transport.retries import Patience
from asyncbridge.worker import callbacks
from asyncbridge.worker.callbacks import Callbacks
from asyncbridge.worker.orders import read_orders
from asyncbridge.worker.outbox import Outbox
from asyncbridge.worker.tickets import Ticket
from tests.limits import HANG_S

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]


class Server:
    """Somebody's callback."""

    def __init__(self, answer: Callable[[int], int]) -> None:
        self.url = ""
        self.bodies: list[bytes] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._answer = answer

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        await self.may_answer.wait()
        return web.Response(status=self._answer(len(self.bodies)), text="x" * 100)


@asynccontextmanager
async def posting(
    answer: Callable[[int], int], patience: Patience
) -> AsyncGenerator[tuple[Server, Callbacks], None]:
    """Yield a server whose n-th answer has the status ``answer(n)``, and what posts to it."""
    server, outbox = Server(answer), Outbox()
    app = web.Application()
    app.add_routes([web.post("/", server.take)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    made = Callbacks(outbox, patience)
    try:
        yield server, made
    finally:
        server.may_answer.set()
        await made.close(HANG_S)
        await outbox.close()
        await runner.cleanup()


def done(number: int, url: str) -> Ticket:
    """Return a command that has completed."""
    body = orjson.dumps({"id": number, "code": "1", "callback": url})
    ((order,), _) = read_orders(body)
    ticket = Ticket(order, "s", number, lambda _: None)
    ticket.value = encode(number)
    ticket.finish("completed")
    return ticket


async def test_the_waits_grow_and_end() -> None:
    """Each is longer than the one before, until the patience is over; then the rest goes, too."""
    waits: list[float] = []
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(seconds)
        now += seconds

    patience = Patience(
        first=0.1, longest=5, whole=10, clock=lambda: now, sleep=sleep, chance=lambda _, high: high
    )
    async with posting(lambda _: 503, patience) as (server, made):
        tickets = [done(number, server.url) for number in range(2)]
        for ticket in tickets:
            made.post(ticket)
        await made.close(HANG_S)
        assert waits == [pytest.approx(0.1 * 2**step) for step in range(6)] + [5.0]
        assert len(server.bodies) == 8
        for ticket in tickets:
            assert ticket.notified is False
            assert ticket.callback_error == (
                "the callback was given up: it answers with status 503"
            )


async def test_one_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A try has its time."""
    monkeypatch.setattr(callbacks, "TRY_S", 0.01)
    async with posting(lambda _: 204, Patience(whole=0)) as (server, made):
        server.may_answer.clear()
        ticket = done(1, server.url)
        made.post(ticket)
        await made.close(HANG_S)
        assert "does not answer within 0.01 s" in ticket.callback_error


async def test_a_halt_that_is_over_is_not_told() -> None:
    """Only what can still be decided is; a halt does not count as the outcome."""
    async with posting(lambda _: 200, Patience(whole=0)) as (server, made):
        tickets = [done(number, server.url) for number in range(2)]
        for epoch, ticket in enumerate(tickets, 1):
            fault = Fault(type="OSError", message="gone")
            ticket.stop_at(Halted(id=1, error="0-1", epoch=epoch, fault=fault))
            made.post(ticket)
        tickets[0].go_on()
        await made.close(HANG_S)
        (body,) = map(orjson.loads, server.bodies)
        assert (body["state"], body["epoch"], body["error"]["message"]) == ("halted", 2, "gone")
        assert not any(ticket.notified for ticket in tickets)


async def test_what_comes_meanwhile_comes_behind() -> None:
    """Each by itself, in order, and a text in the answer is of no matter."""
    async with posting(lambda _: 200, Patience(whole=0)) as (server, made):
        tickets = [done(number, server.url) for number in range(5)]
        for ticket in tickets:
            made.post(ticket)
        await made.close(HANG_S)
        assert [orjson.loads(body)["value"] for body in server.bodies] == list(range(5))
        assert all(ticket.notified for ticket in tickets)


async def test_an_outcome_that_made_room_before_its_turn() -> None:
    """It is not told as another one; its command tells that it is lost, and those behind it come."""
    async with posting(lambda _: 200, Patience(whole=0)) as (server, made):
        tickets = [done(number, server.url) for number in range(3)]
        for ticket in tickets:
            made.post(ticket)
        tickets[1].expire()
        await made.close(HANG_S)
        assert [orjson.loads(body)["value"] for body in server.bodies] == [0, 2]
        assert [ticket.notified for ticket in tickets] == [True, False, True]
        assert tickets[1].callback_error.endswith("the outcome had to make room")
