"""``cancel(mode="kill")``: the end of a worker for the sake of one command."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncbridge.client.pending import Pending

__all__ = ["ends_worker"]

LOOK_EVERY_S: Final = 0.5
"""Seconds between two looks whether a command runs by now."""
WAITING: Final = ("pending", "queued", "halted")


def ends_worker(item: Pending) -> bool:
    """End the worker if it runs the command; else look again, until it does or has ended.

    Code that keeps the GIL from its first line on is never told to have begun: that it runs is
    read from the worker's journal.

    Raises:
        ValueError: The command runs, and the worker is not the bridge's own to kill.
    """
    session = item.session
    if session is None or item.id not in session.outcomes.pending:
        return False
    if item.state in WAITING:
        if session.kill is None:
            return False
        if not session.runs(item.id):
            asyncio.get_running_loop().call_later(LOOK_EVERY_S, ends_worker, item)
            return False
        item.times.start()
    if session.kill is None:
        raise ValueError("mode='kill': the worker was started by somebody else")
    session.outcomes.cancelled(item)
    session.kill()
    return True
