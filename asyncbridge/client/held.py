"""Commands that wait for another worker, in the place of the one that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncbridge.codegen.needs import needs_of
from asyncbridge.errors import StateLost, WorkerLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncbridge.client.backlog import Backlog
    from asyncbridge.client.pending import Pending

__all__ = ["Held", "lost_to"]


class Held:
    """What has provably never started, and what was sent since, in the order of ``send``.

    Everything here runs on the bridge's loop.

    Args:
        backlog: Counts them: they have not left the client any more.
    """

    def __init__(self, backlog: Backlog) -> None:
        self._backlog = backlog
        self._items: dict[Pending, bool] = {}

    @property
    def items(self) -> tuple[Pending, ...]:
        """Those that wait."""
        return tuple(self._items)

    def keep(self, item: Pending, *, counted: bool) -> None:
        """Keep a command that the lost worker had, or was to have.

        Args:
            item: The command.
            counted: Whether the backlog counts it still.
        """
        before = item.size
        item.come_back()
        if counted:
            self._backlog.recount(before, item.size)
        else:
            self._backlog.count(item.size)
        self._add(item, was_sent=True)

    def add(self, item: Pending) -> None:
        """Take a command that is sent now; the backlog counts it."""
        self._add(item, was_sent=False)

    def was_sent(self, item: Pending) -> bool:
        """Tell whether a command was sent before the worker ended."""
        return self._items[item]

    def cancel(self, item: Pending) -> bool:
        """Take a command back; tells whether it was here."""
        if item not in self._items:
            return False
        promise, message = item.promise, item.message
        self._drop(item, None)
        promise._settle_cancelled(message)
        return True

    def reject(self, item: Pending, error: Exception) -> None:
        """End a command's promise with an error."""
        promise = item.promise
        self._drop(item, error)
        if not promise.done():
            promise.set_exception(error)

    def reject_all(self, error: Callable[[Pending], Exception]) -> None:
        """End all of them, each with an error of its own."""
        for item in self.items:
            self.reject(item, error(item))

    def let_go(self, item: Pending) -> None:
        """Let a command go to its worker."""
        del self._items[item]
        item.holder = None

    def _add(self, item: Pending, *, was_sent: bool) -> None:
        item.holder = self
        self._items[item] = was_sent

    def _drop(self, item: Pending, reason: Exception | None) -> None:
        self.let_go(item)
        self._backlog.give(item.size)
        item.settled(failed=True, reason=reason)


def lost_to(
    items: Iterable[Pending], lost: WorkerLost, told: Callable[[str], str] = repr
) -> tuple[dict[Pending, StateLost], frozenset[str]]:
    """Return those commands that lean on what was lost with a worker, each with its error.

    A name that one of the others sets, ahead of them, is not lost: that one runs again.

    Args:
        items: Commands that have never started, in their order.
        lost: How the worker ended.
        told: Says what a name stood for.

    Returns:
        Those commands, and the names that the others will set.
    """
    found: dict[Pending, StateLost] = {}
    there = set[str]()
    for item in items:
        needs = needs_of(item.code)
        used = (needs.names - set(item.names)) | set(item.handed)
        missing = sorted(used - there)
        if missing or needs.hides:
            command = item.sent()
            found[item] = StateLost.of(lost, tuple(missing), command=command, told=told)
            continue
        there |= needs.sets
        if item.lifetime == "eternal":
            there |= set(item.names)
    return found, frozenset(there)
