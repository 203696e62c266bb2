"""Both ends of a stream, without any I/O."""

from __future__ import annotations

import pytest

from asyncbridge.errors import RemoteProtocolError
from asyncbridge.protocol.messages import Payload, StreamEnd, StreamItem, StreamTaken
from asyncbridge.protocol.streams import AHEAD, LARGE_ITEM, SMALL_AHEAD, Inflow, Outflow, Tally

LARGE = Payload(header=0, size=SMALL_AHEAD.size)
SMALL = Payload(header=0, size=10)


def begun() -> tuple[Outflow, Inflow]:
    """Return two ends of one stream, in their first turn."""
    sender, receiver = Outflow(7, 1), Inflow(7, 1)
    assert sender.taken(receiver.begin())
    return sender, receiver


def item(number: int, *, turn: int = 0) -> StreamItem:
    """Return an item as a peer may send it."""
    return StreamItem(id=7, stream=1, turn=turn, number=number, value=SMALL)


def test_large_items_are_three_ahead() -> None:
    """The fourth waits until one was taken."""
    sender, receiver = begun()
    for _ in range(AHEAD.count):
        assert sender.has_room
        assert receiver.arrived(sender.item(LARGE))
    assert not sender.has_room
    assert not sender.taken(receiver.take())
    assert sender.has_room


def test_small_items_are_more_ahead() -> None:
    """As many as a mebibyte holds, up to a bound by count."""
    sender, _ = begun()
    for _ in range(SMALL_AHEAD.count):
        assert sender.has_room
        sender.item(SMALL)
    assert not sender.has_room


def test_one_item_of_any_size_is_sent() -> None:
    """A bound by bytes slows down, it does not forbid."""
    sender, _ = begun()
    sender.item(Payload(header=0, size=10 * AHEAD.size))
    assert not sender.has_room


def test_items_are_numbered_in_each_turn() -> None:
    """A new turn counts from 0 again, and what is on the way of the last one counts no more."""
    sender, receiver = begun()
    late = [sender.item(LARGE) for _ in range(AHEAD.count)]
    assert sender.taken(receiver.begin())
    assert sender.has_room
    assert [receiver.arrived(each) for each in late] == [False] * AHEAD.count
    assert sender.item(SMALL) == item(0, turn=1)


def test_a_late_word_of_an_old_turn_changes_nothing() -> None:
    """It crossed with the beginning of the next."""
    sender, receiver = begun()
    receiver.arrived(sender.item(LARGE))
    late = receiver.take()
    sender.taken(receiver.begin())
    sender.item(LARGE)
    assert not sender.taken(late)


def test_the_end_is_of_one_turn() -> None:
    """Nothing comes behind it; the next turn is open again."""
    sender, receiver = begun()
    assert sender.end() == StreamEnd(id=7, stream=1, turn=0)
    assert receiver.arrived(sender.end())
    with pytest.raises(RemoteProtocolError, match="turn 0 is not open"):
        receiver.arrived(item(0))
    receiver.begin()
    assert receiver.arrived(item(0, turn=1))


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (item(1), "item 1 came in the place of 0"),
        (item(0, turn=1), "turn 1 is not open"),
        (StreamEnd(id=7, stream=1, turn=3), "turn 3 is not open"),
    ],
)
def test_what_has_no_place_is_refused(message: StreamItem | StreamEnd, error: str) -> None:
    """The peer does not keep to the protocol."""
    with pytest.raises(RemoteProtocolError, match=f"stream 1 of command 7: {error}"):
        begun()[1].arrived(message)


def test_more_than_was_asked_for_is_refused() -> None:
    """A sender that does not wait cannot fill the receiver's memory with small items."""
    _, receiver = begun()
    for number in range(SMALL_AHEAD.count):
        receiver.arrived(item(number))
    with pytest.raises(RemoteProtocolError, match="more items came than were asked for"):
        receiver.arrived(item(SMALL_AHEAD.count))


@pytest.mark.parametrize("count", [2, -1])
def test_what_was_not_sent_cannot_be_taken(count: int) -> None:
    """Nor can what was taken be given back."""
    sender, _ = begun()
    sender.item(SMALL)
    with pytest.raises(RemoteProtocolError, match="1 were sent"):
        sender.taken(StreamTaken(id=7, stream=1, turn=0, count=count))


def test_small_items_are_told_of_together() -> None:
    """Each eighth brings a message; a large one brings it at once, and the end what is left."""
    tally = Tally()
    assert [tally.add(10) for _ in range(9)] == [0] * 7 + [8, 0]
    assert tally.add(LARGE_ITEM) == 2
    assert (tally.add(1), tally.due(), tally.due()) == (0, 1, 0)


def test_what_was_not_told_of_leaves_room() -> None:
    """So a receiver that keeps seven small items to itself waits for no one in vain."""
    sender, receiver = begun()
    largest = Payload(header=0, size=LARGE_ITEM - 1)
    for _ in range(7):
        assert receiver.arrived(sender.item(largest))
    assert sender.has_room
    for _ in range(3):
        sender.item(SMALL)
    assert sender.room == 8


def test_who_waits_says_what_it_knows() -> None:
    """The other side can tell whether that is still so."""
    sender, receiver = Outflow(7, 1), Inflow(7, 1)
    sender.taken(receiver.begin())
    receiver.arrived(sender.item(Payload(header=None)))
    waiting = receiver.waiting(1)
    assert (waiting.count, waiting.waits) == (1, "item")
    assert sender.has_sent(waiting)
    sender.item(Payload(header=None))
    assert not sender.has_sent(waiting)
    sender.taken(waiting)
    room = sender.waiting()
    assert (room.count, room.waits) == (1, "room")
    assert receiver.has_told(room)
    receiver.take()
    assert not receiver.has_told(room)
