"""Commands of an HTTP session that wait for a decision about their error, and those decisions.

In the worker a session halts as a whole, or not at all. Here each command says for itself whether
it does, and for how long: where one fails that does not, its error is let stand at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncbridge.protocol import messages as m
from asyncbridge.worker.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.worker.tickets import Ticket
    from asyncbridge.worker.verdicts import Verdict

__all__ = ["DeskHalts"]


class DeskHalts:
    """One session's.

    Args:
        send: Takes a message for the worker, which leaves with the next ones.
        say: Has them leave.
        limit: Has the worker let an error stand after so many seconds.
        told: Called with each command that has halted.

    Attributes:
        halted: What is halted, by the error's id.
    """

    def __init__(
        self,
        send: Callable[[m.Message], None],
        say: Callable[[], None],
        *,
        limit: Callable[[m.Halted, float], None],
        told: Callable[[Ticket], None],
    ) -> None:
        self.halted: dict[str, Ticket] = {}
        self._send = send
        self._say = say
        self._limit = limit
        self._told = told
        self._wanting: set[int] = set()
        self._asked: dict[int, asyncio.Future[m.Decided]] = {}
        self._numbers = 0

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits to hear about a decision."""
        return not self._asked

    # --- commands ---

    def begin(self, ticket: Ticket) -> None:
        """Take a command that is about to leave; the worker hears first that it may halt."""
        if ticket.order.halt_timeout:
            if not self._wanting:
                self._send(m.Halting(on=True))
            self._wanting.add(ticket.number)

    def arrived(self, ticket: Ticket, message: m.Halted) -> None:
        """Take a command that has halted."""
        seconds = ticket.order.halt_timeout
        if not seconds:
            self._raise(message)
            return
        ticket.stop_at(message)
        self.halted[message.error] = ticket
        self._limit(message, seconds)
        self._told(ticket)

    def resumed(self, ticket: Ticket) -> None:
        """Note that a command is to run once more."""
        self._lift(ticket)
        ticket.go_on()

    def over(self, ticket: Ticket) -> None:
        """Note that a command has come to its end."""
        self._lift(ticket)
        if ticket.number in self._wanting:
            self._wanting.remove(ticket.number)
            if not self._wanting:  # so that no bindings are kept in vain
                self._send(m.Halting(on=False))

    # --- decisions ---

    def ask(self, verdict: Verdict, newest: int) -> asyncio.Future[m.Decided]:
        """Send a decision; what comes back is the worker's answer.

        Args:
            verdict: What a client has decided.
            newest: The newest command of the session.
        """
        answer: asyncio.Future[m.Decided] = asyncio.get_running_loop().create_future()
        self._asked[self._next()] = answer
        self._send(
            m.Decide(
                number=self._numbers,
                error=verdict.error,
                kind=verdict.kind,
                epoch=verdict.epoch,
                code=verdict.code,
                values=verdict.values,
                newest=newest,
            )
        )
        self._say()
        return answer

    def answered(self, message: m.Decided) -> None:
        """Take the worker's answer."""
        answer = self._asked.pop(message.number, None)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def end(self, reason: str) -> None:
        """Note that the worker is gone: it answers nobody any more."""
        asked, self._asked = self._asked, {}
        for answer in asked.values():
            if not answer.done():
                answer.set_exception(Problem(503, "WorkerLost", reason))

    # --- inner steps ---

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    def _lift(self, ticket: Ticket) -> None:
        if ticket.halt is not None:
            del self.halted[ticket.halt.error]

    def _raise(self, message: m.Halted) -> None:
        """Let an error stand; where somebody else was faster, the worker refuses, and that is well."""
        self._send(
            m.Decide(number=self._next(), error=message.error, kind="raise", epoch=message.epoch)
        )
