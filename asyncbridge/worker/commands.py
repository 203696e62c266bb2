"""The paper's HTTP pair in the worker: commands are posted here, and asked for."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from aiohttp import web

from asyncbridge.protocol.messages import StopMode
from asyncbridge.worker.callback_urls import check_callback, home_of
from asyncbridge.worker.callbacks import Callbacks
from asyncbridge.worker.desk import SESSIONS_OF_DESKS
from asyncbridge.worker.desks import Desks
from asyncbridge.worker.documents import write_document
from asyncbridge.worker.orders import check_name, read_orders
from asyncbridge.worker.problems import Problem
from asyncbridge.worker.tickets import Kept, document_of, error_document
from asyncbridge.worker.verdicts import read_verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.transport.contract import Channel
    from asyncbridge.transport.retries import Patience
    from asyncbridge.worker.halting import Halts
    from asyncbridge.worker.outbox import Outbox
    from asyncbridge.worker.peer import Peer
    from asyncbridge.worker.tickets import Ticket

__all__ = ["INCARNATION_HEADER", "SESSION_HEADER", "Commands"]

SESSION_HEADER: Final = "Asyncbridge-Session"
INCARNATION_HEADER: Final = "Asyncbridge-Incarnation"
DEFAULT_SESSION: Final = "default"
LONGEST_WAIT_S: Final = 60.0
MOMENT_S: Final = 1.0
LAST_WORDS_S: Final = 1.0
"""Seconds for callbacks when the worker ends."""
_MODES: Final = get_args(StopMode)
NOT_KILLED: Final = (
    "mode='kill' would end the worker for all its clients: a command's `run_timeout` does so in its "
    "time, and a second SIGTERM to `asyncbridge worker` at once"
)


class Commands:
    """Routes of ``/v1/commands``, ``/v1/errors`` and ``/v1/decisions``, and the sessions behind them.

    Args:
        outbox: Makes requests to callbacks.
        open_peer: Makes the worker's end of a session, and serves it.
        halts: What is halted in the worker, of all sessions.
        incarnation: Which life of the worker this is.
        callback_hosts: Where callbacks may lead to besides the clients' own addresses.
        patience: How often a callback is tried, and for how long.
        largest: Bytes of the largest bindings, 0 for any.
        kept: The outcomes of all sessions.
    """

    def __init__(
        self,
        outbox: Outbox,
        open_peer: Callable[[Channel], Peer],
        *,
        halts: Halts,
        incarnation: str,
        callback_hosts: frozenset[str],
        patience: Patience,
        largest: int = 0,
        kept: Kept | None = None,
    ) -> None:
        self._callbacks = Callbacks(outbox, patience)
        self._incarnation = incarnation
        self._halts = halts
        self._callback_hosts = callback_hosts
        self._largest = largest
        self._kept = kept or Kept()
        self._desks = Desks(
            open_peer, self._kept, finished=self._finished, halted=self._tell, largest=largest
        )

    def routes(self) -> list[web.RouteDef]:
        """Return what is served."""
        return [
            web.post("/v1/commands", self._post),
            web.get("/v1/commands/{id}", self._get, allow_head=False),
            web.delete("/v1/commands/{id}", self._delete),
            web.get("/v1/errors", self._list_errors, allow_head=False),
            web.post("/v1/decisions", self._decide),
            web.get("/v1/openapi.json", self._describe, allow_head=False),
        ]

    async def close(self) -> None:
        """Let the last outcomes be told."""
        await self._callbacks.close(LAST_WORDS_S)

    # --- the routes ---

    async def _post(self, request: web.Request) -> web.Response:
        self._check_incarnation(request)
        orders, is_list = read_orders(await request.read())
        home = home_of(request)
        for url in {order.callback for order in orders if order.callback}:
            check_callback(url, home, self._callback_hosts)
        desk = await self._desks.open(session_of(request))
        taken = desk.order(orders)
        status = 202 if any(each.is_new for each in taken) else 200
        tickets = [each.ticket for each in taken]
        positions = [each.position for each in taken]
        headers = {INCARNATION_HEADER: self._incarnation}
        if is_list:
            return await answer(status, tickets, positions, headers=headers)
        headers["Location"] = f"/v1/commands/{tickets[0].order.key}"
        return await answer(status, tickets[0], positions, headers=headers)

    async def _get(self, request: web.Request) -> web.Response:
        wait = seconds_of(request.query.get("wait", "0"))
        desk, ticket = self._desks.find(session_of(request), request.match_info["id"])
        await ticket.wait(wait)
        refuse_expired(ticket)
        return await answer(200, ticket, [desk.position(ticket)])

    async def _delete(self, request: web.Request) -> web.Response:
        mode = request.query.get("mode", "auto")
        if mode == "kill":
            raise Problem(400, "BadRequest", NOT_KILLED)
        if mode not in _MODES:
            raise Problem(400, "BadRequest", f"mode={mode!r:.40} is none of {', '.join(_MODES)}")
        desk, ticket = self._desks.find(session_of(request), request.match_info["id"])
        refuse_expired(ticket)
        was_waiting = ticket.state in ("queued", "halted")
        desk.cancel(ticket, cast("StopMode", mode))
        if was_waiting:  # whether it was in time is known in a moment
            await ticket.wait(MOMENT_S, through_halt=mode != "dequeue")
        status = 200 if ticket.is_finished else 202
        return await answer(status, ticket, [desk.position(ticket)])

    async def _list_errors(self, request: web.Request) -> web.Response:
        told = [
            (halt, self._halts.describe(halt), ticket)
            for halt in self._halts.all()
            # What a desk does not know halts is on its way there, or is not to halt.
            if (ticket := self._desks.halted_by(halt.error)) is not None
            or not halt.job.peer.session.startswith(SESSIONS_OF_DESKS)
        ]
        size = sum(len(halt.fault.text) for halt, _, _ in told)
        body = await write_document(lambda: [error_document(*each) for each in told], size)
        return web.Response(body=body, content_type="application/json")

    async def _decide(self, request: web.Request) -> web.Response:
        body = await request.read()
        verdict = await asyncio.to_thread(read_verdict, body, self._largest)
        desk = self._desks.decider(verdict.error)
        ticket = await desk.decide(verdict)
        said = {"error_id": verdict.error, "decision": verdict.kind}

        def make() -> Any:
            if ticket is None:
                return said
            return {**said, "command": document_of(ticket, desk.position(ticket))}

        document = await write_document(make, 0 if ticket is None else ticket.size)
        return web.Response(body=document, content_type="application/json")

    async def _describe(self, request: web.Request) -> web.Response:
        body = files("asyncbridge.worker").joinpath("openapi.json").read_bytes()
        return web.Response(body=body, content_type="application/json")

    def _check_incarnation(self, request: web.Request) -> None:
        """Refuse what was meant for a worker before this one, and may have run there."""
        meant = request.headers.get(INCARNATION_HEADER, self._incarnation)
        if meant != self._incarnation:
            raise Problem(
                410, "AnotherWorker",
                f"this worker's incarnation is {self._incarnation}, not {meant!r:.40}: what the one "
                "before has run is not known here, and its namespace is gone",
            )  # fmt: skip

    # --- what is told ---

    def _finished(self, ticket: Ticket) -> None:
        self._kept.add(ticket)
        self._tell(ticket)

    def _tell(self, ticket: Ticket) -> None:
        if ticket.order.callback is not None:
            self._callbacks.post(ticket)


def refuse_expired(ticket: Ticket) -> None:
    """Say of a command that has finished that its outcome is gone.

    Raises:
        Problem: It is.
    """
    if ticket.state == "expired":
        raise Problem(
            410, "ResultExpired",
            f"command {ticket.order.key!r} has finished, and its outcome had to make room",
        )  # fmt: skip


def session_of(request: web.Request) -> str:
    """Return the name of the session that a request is for.

    Raises:
        Problem: It is none.
    """
    name = request.headers.get(SESSION_HEADER, DEFAULT_SESSION)
    return check_name(name, "the session's name")


async def answer(
    status: int,
    what: Ticket | list[Ticket],
    positions: list[int | None],
    *,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """Return what is known of a command, or of several, as a response."""
    tickets = what if isinstance(what, list) else [what]
    ended = [ticket for ticket in tickets if ticket.is_finished]

    def make() -> Any:
        documents = list(map(document_of, tickets, positions))
        return documents if isinstance(what, list) else documents[0]

    body = await write_document(make, sum(ticket.size for ticket in tickets))
    for ticket in ended:
        ticket.tell()
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def seconds_of(text: str) -> float:
    """Return for how long an answer may be waited for.

    Raises:
        Problem: It is no such number.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_WAIT_S:
        raise Problem(
            400, "BadRequest", f"wait={text!r:.40} is no number of seconds up to {LONGEST_WAIT_S:g}"
        )
    return seconds
