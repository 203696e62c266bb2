"""Outcomes and halts on their way to callbacks: posted again until somebody says that they have come."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import aiohttp

from asyncbridge.tasks import spawn
from asyncbridge.transport.posts import body_of
from asyncbridge.worker.documents import write_document
from asyncbridge.worker.tickets import halt_document, outcome_of

if TYPE_CHECKING:
    from yarl import URL

    from asyncbridge.protocol.messages import Halted
    from asyncbridge.transport.retries import Patience
    from asyncbridge.worker.outbox import Outbox
    from asyncbridge.worker.tickets import Ticket

__all__ = ["Callbacks"]

Route: TypeAlias = "tuple[URL, str, bool]"
"""A callback's URL, its secret, and whether it takes lists."""

TRY_S: Final = 10.0
"""Seconds for one try."""
MOST: Final = 256
"""Outcomes in one list."""


class Notice(NamedTuple):
    """What is to be posted of a command.

    Attributes:
        ticket: The command's.
        halt: The halt that is told of; None for the outcome.
    """

    ticket: Ticket
    halt: Halted | None

    @property
    def is_gone(self) -> bool:
        """Whether the outcome had to make room before its turn came."""
        return self.halt is None and self.ticket.state == "expired"

    @property
    def is_of_use(self) -> bool:
        """Whether it is still so: of a halt that is over nobody needs to hear."""
        return not self.is_gone if self.halt is None else self.halt is self.ticket.halt


class Callbacks:
    """Posts what becomes of commands, in its order for each callback.

    Args:
        outbox: Makes the requests.
        patience: How often one is tried again, and for how long.
    """

    def __init__(self, outbox: Outbox, patience: Patience) -> None:
        self._outbox = outbox
        self._patience = patience
        self._waiting: dict[Route, deque[Notice]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, ticket: Ticket) -> None:
        """Post a command's outcome, or its halt, to its callback."""
        order = ticket.order
        assert order.callback is not None, "who calls has looked"
        ticket.notified, ticket.callback_error = False, ""
        notice = Notice(ticket, ticket.halt)
        route = (order.callback, order.callback_token, order.callback_batch)
        waiting = self._waiting.get(route)
        if waiting is not None:
            waiting.append(notice)
            return
        self._waiting[route] = deque([notice])
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
                ready = [waiting.popleft() for _ in range(count)]
                give_up([each for each in ready if each.is_gone], "the outcome had to make room")
                batch = [each for each in ready if each.is_of_use]
                why = await self._insist(route, batch) if batch else ""
                if why:
                    give_up([*batch, *waiting], why)
                    return
                for ticket, halt in batch:
                    ticket.notified = halt is None
                    if halt is None:
                        ticket.tell()
        finally:
            del self._waiting[route]

    async def _insist(self, route: Route, batch: list[Notice]) -> str:
        """Post until it is acknowledged; return why it never was."""
        size = sum(ticket.size for ticket, _ in batch)
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


def notification(notice: Notice) -> dict[str, Any]:
    """Return what is posted: the paper's *notify* or *notifyError*."""
    ticket, halt = notice
    state = ticket.state if halt is None else "halted"
    head = {
        "event": "notify" if state == "completed" else "notifyError",
        "session": ticket.session,
        "id": ticket.order.id,
        "state": state,
    }
    return {**head, **(outcome_of(ticket) if halt is None else halt_document(halt))}


def notifications(notices: list[Notice], *, as_list: bool) -> Any:
    """Return what is posted at once."""
    return [notification(each) for each in notices] if as_list else notification(notices[0])


def give_up(notices: list[Notice], why: str) -> None:
    """Note that a callback will not come by these; they stay to be fetched."""
    for ticket, _ in notices:
        ticket.callback_error = f"the callback was given up: {why}"
