"""Outcomes on their way to callbacks: posted again until somebody says that they have come."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from asyncbridge.tasks import spawn
from asyncbridge.transport.posts import body_of
from asyncbridge.worker.documents import write_document
from asyncbridge.worker.tickets import outcome_of

if TYPE_CHECKING:
    from asyncbridge.transport.retries import Patience
    from asyncbridge.worker.outbox import Outbox
    from asyncbridge.worker.tickets import Ticket

__all__ = ["Callbacks"]

Route = tuple[str, str, bool]
"""A callback's URL, its secret, and whether it takes lists."""

TRY_S: Final = 10.0
"""Seconds for one try."""
MOST: Final = 256
"""Outcomes in one list."""


class Callbacks:
    """Posts outcomes, in their order for each callback.

    Args:
        outbox: Makes the requests.
        patience: How often one is tried again, and for how long.
    """

    def __init__(self, outbox: Outbox, patience: Patience) -> None:
        self._outbox = outbox
        self._patience = patience
        self._waiting: dict[Route, deque[Ticket]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, ticket: Ticket) -> None:
        """Post a command's outcome to its callback."""
        order = ticket.order
        ticket.notified = False
        route = (order.callback, order.callback_token, order.callback_batch)
        waiting = self._waiting.get(route)
        if waiting is not None:
            waiting.append(ticket)
            return
        self._waiting[route] = deque([ticket])
        task = spawn(self._deliver(route), name="asyncbridge-callback")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, seconds: float) -> None:
        """Let what is on its way come there, no longer than so."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()

    # --- inner steps ---

    async def _deliver(self, route: Route) -> None:
        waiting = self._waiting[route]
        try:
            while waiting:
                # Those that are ready in this turn of the loop come along.
                await asyncio.sleep(0)
                count = min(len(waiting), MOST) if route[2] else 1
                batch = [waiting.popleft() for _ in range(count)]
                why = await self._insist(route, batch)
                if why:
                    give_up([*batch, *waiting], why)
                    return
                for ticket in batch:
                    ticket.notified = True
        finally:
            del self._waiting[route]

    async def _insist(self, route: Route, batch: list[Ticket]) -> str:
        """Post until it is acknowledged; return why it never was."""
        size = sum(ticket.size for ticket in batch)
        data = await write_document(partial(notifications, batch, as_list=route[2]), size)
        attempts = self._patience.begin()
        while True:
            await attempts.wait()
            why = await self._try(route, data)
            if not why or attempts.are_over:
                return why

    async def _try(self, route: Route, data: bytes) -> str:
        """Post once; return why it was not acknowledged."""
        url, token, _ = route
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            async with self._outbox.http.post(
                url,
                data=body_of(data),
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=TRY_S),
            ) as answer:
                # Whatever it says beside its status is not read: it may have no end.
                good = answer.status // 100 == 2
                return "" if good else f"it answers with status {answer.status}"
        except TimeoutError:
            return f"it does not answer within {TRY_S:g} s"
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            return str(error) or type(error).__name__


def notification(ticket: Ticket) -> dict[str, Any]:
    """Return what is posted: the paper's *notify* or *notifyError*."""
    event = "notify" if ticket.state == "completed" else "notifyError"
    head = {
        "event": event,
        "session": ticket.session,
        "id": ticket.order.id,
        "state": ticket.state,
    }
    return {**head, **outcome_of(ticket)}


def notifications(tickets: list[Ticket], *, as_list: bool) -> Any:
    """Return what is posted at once."""
    return [notification(each) for each in tickets] if as_list else notification(tickets[0])


def give_up(tickets: list[Ticket], why: str) -> None:
    """Note that a callback will not come by these; they stay to be fetched."""
    for ticket in tickets:
        ticket.callback_error = f"the callback was given up: {why}"
