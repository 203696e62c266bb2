"""The queue's face: how commands stand, by their ids, and what may be done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncbridge.client.checks import check_priority
from asyncbridge.client.life import BridgeLife
from asyncbridge.client.standing import CommandInfo
from asyncbridge.promise import Promise
from asyncbridge.promise.source import check_mode

if TYPE_CHECKING:
    from asyncbridge.client.endings import CommandOutcome
    from asyncbridge.client.pending import Pending
    from asyncbridge.promise.source import CancelMode

__all__ = ["Queueing"]


class Queueing(BridgeLife):
    """Adds to a bridge what concerns commands that were sent, by id or by promise.

    All of it is done while a command runs, however many others wait.
    """

    def queue(self) -> Promise[list[CommandInfo]]:
        """Return a promise of this bridge's unfinished commands, as they will be run.

        The running one comes first; those in the backlog are among them, and those that earlier
        processes have left in a session with a name. Of other clients' commands only their number
        is told.
        """
        self._usable_loop()
        return self._promise_of(self._queue, "asyncbridge-queue")

    def command(self, command: int | Promise[Any], /) -> Promise[CommandInfo]:
        """Return a promise of how one command stands; one that has an outcome is ``done``.

        Then its ``outcome`` says which, if that is known here. The promise is rejected with ``ValueError`` if no such command was ever sent here.

        Args:
            command: Its id, or its promise.
        """
        self._usable_loop()
        return self._promise_of(lambda: self._command(command), "asyncbridge-command")

    def cancel(
        self, command: int | Promise[Any], /, msg: object = None, *, mode: CancelMode | None = None
    ) -> Promise[bool]:
        """Cancel a command, as its promise's ``cancel`` does.

        That is any of those that ``queue`` tells: also one whose promise was rejected for its
        ``timeout``, and one of an earlier process, whose outcome, ``cancelled``, is then held.

        Args:
            command: Its id, or its promise.
            msg: For the ``CancelledError``.
            mode: How one that runs is stopped.

        Returns:
            A promise that tells whether that may yet come about: not when the command is done. It
            is rejected with ``ValueError`` if no such command was ever sent here, or as
            ``promise.cancel`` refuses it.
        """
        check_mode(mode)
        self._usable_loop()

        async def cancel() -> bool:
            item = self._unfinished(command)
            if item is None:
                return self._held is None and self._opened().cancel_held(self._id_of(command), mode)
            promise = item.promise
            # One whose time was over is settled; its command goes on, and can be stopped.
            return (
                item.cancel(promise, msg, mode)
                if promise.done()
                else promise.cancel(msg, mode=mode)
            )

        return self._promise_of(cancel, "asyncbridge-cancel")

    def prioritize(self, command: int | Promise[Any], priority: int, /) -> Promise[bool]:
        """Give a command that waits another priority.

        Among those of the same priority it stands where ``send`` has put it.

        Args:
            command: Its id, or its promise.
            priority: As of ``send``.

        Returns:
            A promise that tells whether it still waits, as far as is known here. It is rejected
            with ``ValueError`` if no such command was ever sent here.
        """
        check_priority(priority)
        self._usable_loop()

        async def prioritize() -> bool:
            item = self._unfinished(command)
            if self._held is not None:
                if item is not None:
                    item.priority = priority
                return item is not None
            session = self._opened()
            if item is None:
                return session.prioritize_held(self._id_of(command), priority)
            return session.prioritize(item, priority)

        return self._promise_of(prioritize, "asyncbridge-prioritize")

    async def _queue(self) -> list[CommandInfo]:
        return await self._asked(lambda session: session.queue())

    async def _command(self, command: int | Promise[Any]) -> CommandInfo:
        command_id = self._id_of(command)
        for info in await self._queue():
            if info.id == command_id:
                return info
        session = self._opened()
        if (held := session.inherited.info(command_id)) is not None:
            return held
        known = session.has_had(command_id)
        outcome = self._rejections.endings.of(command_id) if known else ""
        return done_info(command_id, command, outcome)

    def _unfinished(self, command: int | Promise[Any]) -> Pending | None:
        """Return a command that has no outcome; on the loop."""
        command_id = self._id_of(command)
        if self._held is not None:
            return next((item for item in self._held.items if item.id == command_id), None)
        return self._opened().pending(command_id)

    def _id_of(self, command: int | Promise[Any]) -> int:
        """Return the id of a command of this bridge; on the loop, where each has one."""
        if isinstance(command, Promise):
            wanted = "a command is named by its id or by its promise"
            command_id: int = self._tools().command_behind(command, self._rejections, wanted).id
            return command_id
        if type(command) is not int:
            raise TypeError(f"a command is named by its id or its promise, not by {command!r}")
        newest = self._opened().newest
        if not 1 <= command <= newest:
            known = f"the newest is {newest}" if newest else "none was sent yet"
            raise ValueError(f"this bridge has no command {command}: {known}")
        return command


def done_info(command_id: int, command: int | Promise[Any], outcome: CommandOutcome) -> CommandInfo:
    """Describe a command that has an outcome; only a promise still knows more of it."""
    source = command._source if isinstance(command, Promise) else None
    if source is None:
        return CommandInfo(id=command_id, outcome=outcome)
    ran_for = source.times.ran_for or 0.0
    return CommandInfo(id=command_id, name=source.label, seconds=ran_for, outcome=outcome)
