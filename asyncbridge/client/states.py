"""A bridge's state in a word, and its changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from asyncbridge.promise.log import Log, LogReader

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = ["BridgeState", "StateReader", "States"]

BridgeState = Literal[
    "new", "connecting", "open", "busy-unresponsive", "reconnecting", "closing", "closed", "lost"
]
KEPT: Final = 1000
"""Changes that are kept for a reader that does not read."""
_TAKES_COMMANDS: Final = frozenset[str]({"open", "busy-unresponsive", "reconnecting", "closing"})
_OPEN: Final = frozenset[str]({"open", "busy-unresponsive", "reconnecting"})


class StateReader(LogReader[BridgeState]):
    """An iterator of states: ``async for`` in a coroutine, ``for`` in a script.

    It begins with the state of now, and ends with the bridge.
    """

    def __init__(self, log: Log[BridgeState], loop: AbstractEventLoop) -> None:
        super().__init__(log, loop)
        self._place = log.count - 1


class States:
    """What a bridge is, and was.

    Attributes:
        now: The present state.
    """

    def __init__(self) -> None:
        self.now: BridgeState = "new"
        self._log = Log[BridgeState](count=KEPT)
        self._log.add(self.now)
        self._connected = self._answers = True

    @property
    def takes_commands(self) -> bool:
        """Whether commands may be sent."""
        return self.now in _TAKES_COMMANDS

    @property
    def is_open(self) -> bool:
        """Whether the bridge is open, and nobody is closing it."""
        return self.now in _OPEN

    def become(self, state: BridgeState) -> None:
        """Change; on the bridge's loop."""
        if state == self.now:
            return
        self.now = state
        self._log.add(state)
        if state == "closed":
            self._log.end()

    def opened(self) -> None:
        """Note that there is a worker, which answers."""
        self._connected = self._answers = True
        self.become("open")

    def connected(self, connected: bool) -> None:
        """Note that the connection is there, or is not."""
        self._connected = connected
        self._link()

    def answers(self, answers: bool) -> None:
        """Note that the worker says something, or has been silent for long."""
        self._answers = answers
        self._link()

    def reader(self, loop: AbstractEventLoop) -> StateReader:
        """Return an iterator of the states from now on."""
        return StateReader(self._log, loop)

    def _link(self) -> None:
        if not self.is_open:
            return
        if not self._connected:
            self.become("reconnecting")
        else:
            self.become("open" if self._answers else "busy-unresponsive")
