"""A value in parts, with a session that is done by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from asyncbridge.errors import RemoteProtocolError
from asyncbridge.protocol.messages import Message, StreamItem, StreamTaken
from asyncbridge.protocol.streams import SMALL_AHEAD
from asyncbridge.serialization.deferred import Outgoing, whole
from asyncbridge.worker import parts
from asyncbridge.worker.parts import PartsOut
from asyncbridge.worker.results import Held
from asyncbridge.worker.stopping import CommandStopped


class Home:
    """A session that keeps what it is given."""

    largest = 0

    def __init__(self) -> None:
        self.told: list[Message] = []
        self.held: set[int] = set()
        self.count = 0

    def place(self, buffer: Outgoing) -> Held:
        """Copy a buffer."""
        return whole(buffer)

    def offer_part(self, bulk: dict[str, Held]) -> int:
        """Hold a part's buffers."""
        self.count += 1
        self.held.add(self.count)
        return self.count

    def drop_part(self, number: int) -> None:
        """Let go of them."""
        self.held.remove(number)

    def notify(self, message: Message) -> None:
        """Keep a message."""
        self.told.append(message)


def post(work: Callable[[], None]) -> None:
    """Do at once what the loop would."""
    work()


def taken(count: int) -> StreamTaken:
    """Return what a client says."""
    return StreamTaken(id=1, stream=0, turn=0, count=count)


def test_parts_are_held_until_they_are_taken() -> None:
    """Their buffers can be fetched so long."""
    home = Home()
    out = PartsOut(1, home)
    for number in range(3):
        out.give(number, post)
    assert [m.number for m in home.told if isinstance(m, StreamItem)] == [0, 1, 2]
    assert not out.idle
    out.taken(taken(2))
    assert home.held == {3}
    out.taken(taken(3))
    assert out.idle


def test_a_command_that_is_to_stop_gives_no_more() -> None:
    """Also one that waits for room."""
    out = PartsOut(1, Home())
    for number in range(SMALL_AHEAD.count):
        out.give(number, post)
    out.close()
    with pytest.raises(CommandStopped, match="not wanted"):
        out.give(0, post)


def test_code_that_waits_for_room_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, with what the client was known to have taken."""
    monkeypatch.setattr(parts, "TELL_AFTER_S", 0.001)
    home, said = Home(), threading.Event()
    out = PartsOut(1, home)

    def tell(work: Callable[[], None]) -> None:
        work()
        if any(isinstance(message, StreamTaken) for message in home.told):
            said.set()

    for number in range(SMALL_AHEAD.count):
        out.give(number, post)
    giving = threading.Thread(target=out.give, args=(0, tell))
    giving.start()
    assert said.wait(20)
    out.taken(taken(8))
    giving.join(20)
    told = [message for message in home.told if isinstance(message, StreamTaken)]
    assert told == [StreamTaken(id=1, stream=0, turn=0, count=0, waits="room")]


def test_a_client_cannot_take_what_was_not_given() -> None:
    """It does not keep to the protocol."""
    out = PartsOut(1, Home())
    out.give(0, post)
    with pytest.raises(RemoteProtocolError, match="2 items taken, 1 were sent"):
        out.taken(taken(2))


def test_code_gives_parts_where_they_are_wanted() -> None:
    """Elsewhere it is told that nobody does."""
    given: list[object] = []
    assert not parts.are_wanted()
    with pytest.raises(RuntimeError, match="nobody wants"):
        parts.give(1)
    with parts.giving(given.append):
        assert parts.are_wanted()
        parts.give(2)
    assert (given, parts.are_wanted()) == ([2], False)
