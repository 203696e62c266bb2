"""What the worker has to tell a client, until it is written: bounded, whatever the client reads."""

from __future__ import annotations

from asyncbridge.protocol.ledger import Ledger
from asyncbridge.protocol.messages import (
    Accepted,
    Cancelled,
    Completed,
    Failed,
    Message,
    Output,
    Progress,
    Welcome,
)
from asyncbridge.protocol.states import ConnectionState

__all__ = ["Notices"]

OUTPUT_KEPT = 1024 * 1024
"""Characters of output held for a client that does not read, before the oldest are dropped."""
PROGRESS_KEPT = 100_000
"""Reports held for a client that does not read, before they are dropped: some 50 MB."""
READ_BYTES = 4 * 1024 * 1024
"""Bytes of outcomes that are read back at once which lie where they take no memory."""


class Notices:
    """One session's notifications.

    Attributes:
        state: Where the connection stands.
        ledger: The session's commands and outcomes.
    """

    def __init__(self) -> None:
        self.state = ConnectionState.IDLE
        self.ledger = Ledger()
        # A number stands for the outcome of that command, which lies elsewhere meanwhile.
        self._outgoing: list[Message | int] = []
        self._elsewhere = False
        self._accepted: list[int] = []
        self._held_output = 0
        self._dropped_output = 0
        self._passing: dict[int, Progress] = {}
        self._held_progress = 0

    @property
    def is_pressed(self) -> bool:
        """Whether more is to be written than that commands have come."""
        return bool(self._outgoing or self._passing)

    def notify(self, message: Message) -> None:
        """Queue any notification; nothing is queued for a client that is gone."""
        if self.state is not ConnectionState.OPEN:
            return
        if isinstance(message, Output):
            message = self._hold_output(message)
        elif isinstance(message, Progress):
            # One that passes waits apart, for the next one takes its place.
            self._passing.pop(message.id, None)
            if message.transient:
                self._passing[message.id] = message
                return
            self._hold_progress()
        self._outgoing.append(message)

    def outgoing(self) -> list[Message]:
        """Return what is to be written now."""
        messages = self._due()
        if self._accepted:
            behind = 1 if messages and isinstance(messages[0], Welcome) else 0
            messages.insert(behind, Accepted(ids=tuple(self._accepted)))
            self._accepted.clear()
        self._held_output = self._held_progress = 0
        messages += self._passing.values()
        self._passing.clear()
        return messages

    def put_away(self, ids: set[int]) -> None:
        """Note that outcomes lie elsewhere; those that wait here are read back when it is time."""
        if self.state is not ConnectionState.OPEN:
            return
        self._outgoing = [
            message.id
            if isinstance(message, Completed | Failed | Cancelled) and message.id in ids
            else message
            for message in self._outgoing
        ]
        self._elsewhere = True

    def _due(self) -> list[Message]:
        """Take out what is to be written; of what has to be read back, some at a time."""
        waiting, self._outgoing = self._outgoing, []
        if not self._elsewhere:
            return waiting  # type: ignore[return-value]  # no numbers: nothing lies elsewhere
        due: list[Message] = []
        size = 0
        for place, item in enumerate(waiting):
            if size > READ_BYTES:
                self._outgoing = waiting[place:]
                return due
            if not isinstance(item, int):
                due.append(item)
            elif (outcome := self.ledger.outcomes.get(item)) is not None:
                due.append(outcome.told())
                size += outcome.size
            else:
                due.append(self.ledger.gone(item))
        self._elsewhere = False
        return due

    def _hold_progress(self) -> None:
        self._held_progress += 1
        if self._held_progress > PROGRESS_KEPT:
            kept: list[Message | int] = [
                message for message in self._outgoing if not isinstance(message, Progress)
            ]
            self._outgoing, self._held_progress = kept, 1

    def _hold_output(self, message: Output) -> Output:
        if self._held_output + len(message.text) > OUTPUT_KEPT:
            self._drop_output()
        self._held_output += len(message.text)
        if not self._dropped_output:
            return message
        dropped, self._dropped_output = self._dropped_output, 0
        return Output(id=message.id, stream=message.stream, text=message.text, dropped=dropped)

    def _drop_output(self) -> None:
        kept: list[Message | int] = []
        for message in self._outgoing:
            if isinstance(message, Output):
                self._dropped_output += len(message.text) + message.dropped
            else:
                kept.append(message)
        self._outgoing = kept
        self._held_output = 0
