"""Messages over connections that end: none is lost, none comes twice."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Message, Ping
from asyncbridge.protocol.replay import OWED_COUNT, Gap, Replay


def pings(first: int, count: int) -> list[Message]:
    """Return messages that say which they are."""
    return [Ping(nonce=number) for number in range(first, first + count)]


def test_what_the_other_side_has_is_let_go_of() -> None:
    """And what it has not is there to be written again, with its number."""
    replay = Replay()
    assert replay.write(pings(0, 3)) == 0
    assert replay.write(pings(3, 2)) == 3
    assert replay.missing() == (0, pings(0, 5))
    replay.acknowledge(2)
    assert replay.missing() == (2, pings(2, 3))
    replay.acknowledge(1)  # an older frame, which came late
    assert replay.missing() == (2, pings(2, 3))
    replay.acknowledge(5)
    assert replay.missing() == (5, [])


def test_more_than_there_is() -> None:
    """A peer that claims to have it is not believed."""
    replay = Replay()
    replay.write(pings(0, 3))
    with pytest.raises(DecodeError, match="has read 4 messages of 3"):
        replay.acknowledge(4)


def test_what_comes_twice_is_dropped() -> None:
    """Whole frames, and the beginning of one."""
    replay = Replay()
    assert replay.read(0, pings(0, 3)) == pings(0, 3)
    assert replay.read(0, pings(0, 3)) == []
    assert replay.read(1, pings(1, 4)) == pings(3, 2)
    assert replay.received == 5


def test_what_is_missing_is_noticed() -> None:
    """Nothing of the frame behind it is taken."""
    replay = Replay()
    with pytest.raises(Gap, match="message 2 came where 0 is next"):
        replay.read(2, pings(2, 1))
    assert replay.received == 0


def test_word_is_owed_after_many_messages() -> None:
    """Until it is given, with whatever is written next."""
    replay = Replay()
    replay.read(0, pings(0, OWED_COUNT - 1))
    assert not replay.owes
    replay.read(OWED_COUNT - 1, pings(0, 1))
    assert replay.owes
    assert replay.tell() == OWED_COUNT
    assert not replay.owes


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_any_faults_on_the_way(seed: int, count: int) -> None:
    """Frames that are lost, doubled or swapped, and connections that end: all comes, in order."""
    chance = random.Random(seed)
    here, there = Replay(), Replay()
    got: list[Message] = []
    wire: list[tuple[int, list[Message]]] = []
    sent = 0
    while len(got) < count or sent < count:
        if sent < count:
            some = pings(sent, min(chance.randint(1, 4), count - sent))
            wire.append((here.write(some), some))
            sent += len(some)
        fault = chance.random()
        if fault < 0.2 and wire:
            wire.pop(chance.randrange(len(wire)))
        elif fault < 0.4 and wire:
            wire.append(chance.choice(wire))
        elif fault < 0.6:
            chance.shuffle(wire)
        try:
            for first, messages in wire:
                got += there.read(first, messages)
            wire = []
            if sent == count and len(got) < count:
                raise Gap
        except Gap:  # the connection is given up, and another one goes on from there
            here.acknowledge(there.received)
            wire = [here.missing()]
        if chance.random() < 0.5:
            here.acknowledge(there.tell())
    assert got == pings(0, count)
