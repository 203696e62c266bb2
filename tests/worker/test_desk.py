"""A session of the HTTP pair's clients, over a real peer with a stepped executor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest

from asyncbridge.protocol.limits import DEFAULT_WINDOW, Bound
from asyncbridge.serialization.codec import decode
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import Channel
from asyncbridge.worker.backend import Backend
from asyncbridge.worker.desk import Desk, Taken
from asyncbridge.worker.engine import Engine
from asyncbridge.worker.executor import StepExecutor
from asyncbridge.worker.orders import read_orders
from asyncbridge.worker.peer import Peer
from asyncbridge.worker.problems import Problem
from asyncbridge.worker.registers import Registers
from asyncbridge.worker.tickets import Kept, Ticket
from tests.limits import HANG_S

pytestmark = pytest.mark.asyncio


class Bench:
    """A worker's engine, one desk, and what has finished there."""

    def __init__(self, backlog: Bound) -> None:
        self.executor = StepExecutor()
        self.engine = Engine(
            loop=asyncio.get_running_loop(), executor=self.executor, backend=Backend(None)
        )
        self.engine.start()
        self.executor.run_all()
        self.serving: list[asyncio.Task[None]] = []
        self.finished: list[Ticket] = []
        self.halted: list[Ticket] = []
        self.registry: dict[str, Peer] = {}
        self.registers = Registers(noted=2)
        self.registers.open("d")
        self.desk = Desk(
            "d",
            self.registers,
            self.open,
            finished=self.finished.append,
            halted=self.halted.append,
            backlog=backlog,
        )

    def open(self, channel: Channel) -> Peer:
        """Serve the worker's end."""
        peer = Peer(self.engine, channel, self.registry)
        self.serving.append(spawn(peer.serve(), name="serve"))
        return peer

    def order(self, *bodies: dict[str, Any]) -> list[Taken]:
        """Order commands."""
        return self.desk.order(read_orders(orjson.dumps(bodies))[0])

    async def run(self, ticket: Ticket) -> None:
        """Run commands until this one is over."""
        async with asyncio.timeout(HANG_S):
            while not ticket.is_finished:
                self.executor.run_all()
                await asyncio.sleep(0)


@asynccontextmanager
async def bench(backlog: Bound = DEFAULT_WINDOW) -> AsyncGenerator[Bench, None]:
    """Yield a bench whose session is welcome."""
    made = Bench(backlog)
    async with asyncio.timeout(HANG_S):
        while not made.registry:
            await asyncio.sleep(0)
    for _ in range(4):  # its welcome is on the way
        await asyncio.sleep(0)
    yield made
    await made.desk.close()
    await asyncio.gather(*made.serving)


async def test_large_values_are_handed_over() -> None:
    """Not copied again, and let go of in the peer once they are."""
    async with bench() as made:
        ((ticket, _, _),) = made.order({"id": 1, "code": "__import__('numpy').arange(1e5)"})
        await made.run(ticket)
        assert ticket.value is not None
        tree = orjson.loads(orjson.dumps(ticket.value.header))
        value = decode(replace(ticket.value, header=tree))
        assert np.array_equal(np.asarray(value), np.arange(1e5))
        ((other, _, _),) = made.order({"id": 2, "code": "2"})
        await made.run(other)
        (peer,) = made.registry.values()
        assert not peer.buffers.store._offers
        assert made.finished == [ticket, other]
        assert made.desk.is_idle


async def test_what_has_no_wire_form_stays_nowhere() -> None:
    """It is an error, as no reference is told to those who could not let go of it."""
    async with bench() as made:
        ((ticket, _, _),) = made.order({"id": 1, "code": "object()"})
        await made.run(ticket)
        assert ticket.fault is not None
        assert ticket.fault.type == "asyncbridge.errors.SerializationError"
        assert len(made.engine.lodging.objects) == 0


async def test_beyond_the_window() -> None:
    """Commands wait at the desk, and all of them run in their order."""
    async with bench(Bound(count=5000, size=10**6)) as made:
        taken = made.order(*({"id": n, "code": f"{n}"} for n in range(3000)))
        assert [each.position for each in taken] == list(range(3000))
        await made.run(taken[-1].ticket)
        assert [ticket.number for ticket in made.finished] == list(range(1, 3001))


async def test_priorities() -> None:
    """Places are told by them, of a list and one by one, and commands run so."""
    async with bench() as made:
        first = made.order(*({"id": n, "code": "1", "priority": n % 2} for n in range(4)))
        assert [each.position for each in first] == [2, 0, 3, 1]
        ((last, _, position),) = made.order({"id": "last", "code": "1", "priority": 5})
        assert position == made.desk.position(last) == 0
        assert made.desk.position(first[0].ticket) == 3
        await made.run(first[2].ticket)
        assert [ticket.order.key for ticket in made.finished] == ["last", "1", "3", "0", "2"]


async def test_places_of_a_list_that_was_known_in_part() -> None:
    """What has run has none."""
    async with bench() as made:
        ((done, _, _),) = made.order({"id": 1, "code": "1"})
        await made.run(done)
        taken = made.order({"id": 1, "code": "1"}, {"id": 2, "code": "2", "priority": 1})
        assert [each.position for each in taken] == [None, 0]
        await made.run(taken[1].ticket)


async def test_a_full_backlog() -> None:
    """A list that does not fit is refused whole, and a later one is taken."""
    async with bench(Bound(count=3, size=10**6)) as made:
        with pytest.raises(Problem) as caught:
            made.order(*({"id": n, "code": "1"} for n in range(4)))
        assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})
        assert made.desk.is_idle
        with pytest.raises(Problem, match="no command '0'"):
            made.desk.find("0")
        taken = made.order(*({"id": n, "code": "1"} for n in range(3)))
        await made.run(taken[-1].ticket)


async def test_one_command_twice_in_a_list() -> None:
    """It is one command."""
    async with bench() as made:
        first, second = made.order({"id": 1, "code": "1"}, {"id": 1, "code": "1"})
        assert (first.is_new, second.is_new) == (True, False)
        assert first.ticket is second.ticket
        await made.run(first.ticket)


async def test_an_outcome_that_was_forgotten() -> None:
    """Its command is not run again: that it was there stays known when nothing else does."""
    async with bench() as made:
        bodies = [{"id": key, "code": f"{key!r}"} for key in (1, "text", 3)]
        kept = Kept(Bound(count=1, size=1000), expired=1)
        tickets = []
        for body in bodies:
            ((ticket, _, _),) = made.order(body)
            await made.run(ticket)
            kept.add(ticket)
            tickets.append(ticket)
        states = [made.order(body)[0].ticket.state for body in bodies[1:]]
        assert states == ["expired", "completed"]
        with pytest.raises(Problem, match="'1' .* not run again") as caught:
            made.order(bodies[0])
        assert (caught.value.status, caught.value.code) == (410, "ResultExpired")
        with pytest.raises(Problem, match="'1' .* had to make room"):
            made.desk.find("1")
        assert made.desk.untold == {tickets[-1]}


async def test_a_session_at_its_end() -> None:
    """What it has taken runs and is told, also when it is posted again; it takes nothing new."""
    async with bench() as made:
        bodies = [{"id": key, "code": "1"} for key in "abc"]
        taken = made.order(*bodies)
        with pytest.raises(Problem, match="at its end") as caught:
            made.order(bodies[0], {"id": 7, "code": "1"})
        assert (caught.value.status, caught.value.code) == (410, "SessionEnded")
        await made.run(taken[-1].ticket)
        again = made.order(*bodies)
        assert [(each.is_new, each.ticket.state) for each in again] == [(False, "completed")] * 3
        with pytest.raises(Problem, match="at its end"):
            made.desk.find("d")


async def test_cancelling_what_has_not_left_the_desk() -> None:
    """It is over at once."""
    async with bench(Bound(count=5000, size=10**6)) as made:
        taken = made.order(*({"id": n, "code": "1"} for n in range(2000)))
        last = taken[-1].ticket
        made.desk.cancel(last, "auto")
        assert (last.state, made.desk.position(last)) == ("cancelled", None)
        made.desk.cancel(last, "auto")  # a second time does nothing
        await made.run(taken[-2].ticket)
        assert made.desk.is_idle


@pytest.mark.parametrize("ahead", [0, 2000])
async def test_what_depends_on_a_cancelled_command(ahead: int) -> None:
    """It fails unrun, and so does what depends on that, whether they have left the desk or not."""
    async with bench(Bound(count=5000, size=10**6)) as made:
        made.order(*({"id": n, "code": "1"} for n in range(ahead)), {"id": "first", "code": "1"})
        first = made.desk.find("first")
        second, third, other = (
            each.ticket
            for each in made.order(
                {"id": "second", "code": "2", "after": ["first"]},
                {"id": "third", "code": "3", "after": ["second"]},
                {"id": "other", "code": "4"},
            )
        )
        for _ in range(4):
            await asyncio.sleep(0)
        made.desk.cancel(first, "auto")
        for _ in range(4):
            await asyncio.sleep(0)
        await made.run(other)
        assert [first.state, second.state, third.state] == ["cancelled", "failed", "failed"]
        assert (second.because, third.because) == ("first", "second")
        assert second.fault is not None
        assert second.fault.type == "CancelledError"
