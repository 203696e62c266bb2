from __future__ import annotations

import threading

import pytest

from asyncbridge.client.backlog import Backlog
from asyncbridge.errors import BridgeClosed, QueueFull
from asyncbridge.protocol.limits import Bound


class Waiting:
    """A thread that waits for room; ``blocked`` is set when it has to."""

    def __init__(self, backlog: Backlog, size: int) -> None:
        self.blocked = threading.Event()
        self.error: BaseException | None = None
        wait = backlog._room.wait

        def noticed(timeout: float | None = None) -> bool:
            self.blocked.set()
            return wait(timeout)

        backlog._room.wait = noticed  # type: ignore[method-assign]
        self.thread = threading.Thread(target=self._run, args=(backlog, size))
        self.thread.start()

    def _run(self, backlog: Backlog, size: int) -> None:
        try:
            backlog.wait_and_take(size)
        except BridgeClosed as error:
            self.error = error

    def join(self) -> None:
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.mark.parametrize("sizes", [[1, 1, 1], [50, 51]])
def test_what_is_beyond_the_bound_is_refused(sizes: list[int]) -> None:
    """By count and by bytes; the text names the remedy, and nothing of it is counted."""
    backlog = Backlog(Bound(count=2, size=100))
    for size in sizes[:-1]:
        backlog.take(size)
    with pytest.raises(QueueFull, match=r"of 2 commands, .* of 0\.0 MiB\): await bridge.drain"):
        backlog.take(sizes[-1])
    backlog.give(sizes[0])
    backlog.take(sizes[-1])


def test_an_empty_backlog_takes_any_size() -> None:
    """A bound slows down; it forbids no size."""
    backlog = Backlog(Bound(count=2, size=100))
    backlog.take(1_000)
    with pytest.raises(QueueFull):
        backlog.take(1)


def test_who_waits_for_room_gets_it_when_some_is_given() -> None:
    """The thread blocks, and goes on."""
    backlog = Backlog(Bound(count=1, size=100))
    backlog.take(10)
    waiting = Waiting(backlog, 5)
    assert waiting.blocked.wait(10)
    backlog.give(10)
    waiting.join()
    assert waiting.error is None
    with pytest.raises(QueueFull):
        backlog.take(1)


def test_room_that_a_command_does_not_need_after_all() -> None:
    """Who waits for it goes on, and what was counted anew is given back as such."""
    backlog = Backlog(Bound(count=10, size=100))
    backlog.take(90)
    waiting = Waiting(backlog, 50)
    assert waiting.blocked.wait(10)
    backlog.recount(90, 40)
    waiting.join()
    assert waiting.error is None
    backlog.give(40)
    backlog.take(50)


def test_who_waits_when_it_closes_gets_an_error() -> None:
    """And so does who comes later, even when there would be room."""
    backlog = Backlog(Bound(count=1, size=100))
    backlog.take(10)
    waiting = Waiting(backlog, 5)
    assert waiting.blocked.wait(10)
    backlog.close()
    waiting.join()
    assert isinstance(waiting.error, BridgeClosed)
    backlog.give(10)
    with pytest.raises(BridgeClosed):
        backlog.wait_and_take(1)
