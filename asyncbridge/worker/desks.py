"""The sessions of the HTTP pair in one worker: begun by commands, found by questions."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from asyncbridge.worker.desk import Desk
from asyncbridge.worker.problems import Problem
from asyncbridge.worker.registers import Registers

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.transport.contract import Channel
    from asyncbridge.worker.peer import Peer
    from asyncbridge.worker.tickets import Kept, Ticket

__all__ = ["Desks"]

SESSIONS: Final = 256
"""Sessions of the HTTP pair in one worker."""


class Desks:
    """All of them, by name.

    Args:
        open_peer: Makes the worker's end of a session, and serves it.
        kept: The outcomes of all sessions.
        finished: Called with each command that has come to an outcome.
        halted: Called with each that waits for a decision.
        largest: Bytes of the largest bindings, 0 for any.
    """

    def __init__(
        self,
        open_peer: Callable[[Channel], Peer],
        kept: Kept,
        *,
        finished: Callable[[Ticket], None],
        halted: Callable[[Ticket], None],
        largest: int = 0,
    ) -> None:
        self._open_peer = open_peer
        self._kept = kept
        self._finished = finished
        self._halted = halted
        self._largest = largest
        self._registers = Registers()
        # The one that was used last stands last.
        self._desks: OrderedDict[str, Desk] = OrderedDict()
        self._decider: Desk | None = None
        self._left = 0

    async def open(self, name: str) -> Desk:
        """Return a session that takes commands, and begin it if need be.

        Raises:
            Problem: It takes none any more, or there is no room for one more session.
        """
        desk = self._desks.get(name)
        if desk is not None and not desk.is_open:  # the worker's end of it has gone
            await self._leave(desk)
            desk = None
        if desk is None:
            leaving = self._leaving()
            self._registers.open(name)
            if leaving is not None:
                await self._leave(leaving)
            desk = self._desks[name] = self._make(name)
        self._desks.move_to_end(name)
        return desk

    def find(self, name: str, key: str) -> tuple[Desk, Ticket]:
        """Return a command, and the session that it is of.

        Raises:
            Problem: There is none, or none any more.
        """
        desk = self._desks.get(name)
        if desk is None:
            raise self._registers.why_unknown(name, key)
        ticket = desk.find(key)
        self._desks.move_to_end(name)
        return desk, ticket

    def decider(self, error: str) -> Desk:
        """Return the session by which an error is decided about.

        That of its command, which knows what it has sent: for `drop`. Where there is none, for the
        error may be a bridge's, one without commands.
        """
        owner = next((desk for desk in self._desks.values() if desk.halted_by(error)), None)
        if owner is not None:
            return owner
        if self._decider is None or not self._decider.is_open:
            self._decider = self._make("")
        return self._decider

    def halted_by(self, error: str) -> Ticket | None:
        """Return the command that is halted by an error, if it is of one of the sessions here."""
        tickets = (desk.halted_by(error) for desk in self._desks.values())
        return next((ticket for ticket in tickets if ticket is not None), None)

    # --- inner steps ---

    def _make(self, name: str) -> Desk:
        return Desk(
            name,
            self._registers,
            self._open_peer,
            finished=self._finished,
            halted=self._halted,
            largest=self._largest,
            life=self._left,
        )

    def _leaving(self) -> Desk | None:
        """Return the session that makes room for another one, if there are too many.

        One whose outcomes somebody has had, if there is any: what is lost otherwise is lost to its
        client.
        """
        if len(self._desks) < SESSIONS:
            return None
        idle = [desk for desk in self._desks.values() if desk.is_idle]
        if not idle:
            raise Problem(
                429, "TooManySessions", f"{SESSIONS} sessions have commands under way",
                headers={"Retry-After": "1"},
            )  # fmt: skip
        return next((desk for desk in idle if not desk.untold), idle[0])

    async def _leave(self, desk: Desk) -> None:
        del self._desks[desk.name]
        self._left += 1
        self._kept.drop(desk.tickets.values())
        self._registers.close(desk.name)
        await desk.close()
