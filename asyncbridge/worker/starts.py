"""That commands have begun: told of those that last, for the value of a short one tells it, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.worker.queue import Job

__all__ = ["Starts"]

LOOK_SECONDS: Final = 0.001
"""How long a command may run before its client is told that it does."""


class Starts:
    """Looks which command runs, while the GPU thread is busy; on the loop.

    A message for each start would wake the loop in the midst of every command.

    Args:
        running: Returns the command that runs now, once all that ended before it was told.
        busy: Whether there may be one soon, where there is none.
        later: Calls back after some seconds.
    """

    def __init__(
        self,
        *,
        running: Callable[[], Job | None],
        busy: Callable[[], bool],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._running = running
        self._busy = busy
        self._later = later
        self._looks = False

    def look_soon(self) -> None:
        """Look in a moment; to be called when a command comes, and when one has ended."""
        if not self._looks:
            self._looks = True
            self._later(LOOK_SECONDS, self._look)

    def tell(self, job: Job) -> None:
        """Tell that a command has begun, if it has, and that was not told."""
        if job.untold:
            job.untold = False
            job.peer.started(job.command.id)

    def look(self) -> bool:
        """Tell of the command that runs now, if one does; return whether."""
        job = self._running()
        if job is not None:
            self.tell(job)
        return job is not None

    def _look(self) -> None:
        self._looks = False
        if not self.look() and self._busy():
            self.look_soon()
