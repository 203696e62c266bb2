"""Whether a worker still answers: silence is told, and is never taken for its death."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Heartbeat"]

LOOK_S: Final = 1.0
"""Seconds between two looks; one at which nothing has come asks the worker for a word."""
SILENT_LOOKS: Final = 5
"""Looks without a word, from the question on, until the worker counts as busy."""
PROBE_LOOKS: Final = 10
"""Looks between two tries whether it is only the connection that is dead."""


class _Timer(Protocol):
    def cancel(self) -> None: ...


class Heartbeat:
    """Looks after one session, on its loop.

    A worker whose code keeps the GIL says nothing for as long as that takes, and is well all the
    same; only its parent process knows of its death.

    Args:
        ask: Sends a ping.
        answers: Told when the worker has been silent for long, and when it speaks again.
        probe: Tries another connection beside the present one.
        later: Calls back after some seconds, as ``loop.call_later``.
    """

    def __init__(
        self,
        *,
        ask: Callable[[], None],
        answers: Callable[[bool], None],
        probe: Callable[[], None],
        later: Callable[[float, Callable[[], None]], _Timer],
    ) -> None:
        self._ask = ask
        self._answers = answers
        self._probe = probe
        self._later = later
        self._timer: _Timer | None = None
        self._heard = False
        self._silent = 0

    def start(self) -> None:
        """Begin to look."""
        self._timer = self._later(LOOK_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def heard(self) -> None:
        """Note that the worker has said something."""
        self._heard = True
        if self._silent >= SILENT_LOOKS:
            self._answers(True)
        self._silent = 0

    def _look(self) -> None:
        if self._heard:
            self._heard = False
        else:
            self._wonder()
        self.start()

    def _wonder(self) -> None:
        self._silent += 1
        if self._silent == 1:
            self._ask()
        elif self._silent == SILENT_LOOKS:
            self._answers(False)
        if self._silent >= SILENT_LOOKS and self._silent % PROBE_LOOKS == SILENT_LOOKS:
            self._probe()
