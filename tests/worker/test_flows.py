from __future__ import annotations

import pytest

from asyncbridge.errors import RemoteProtocolError
from asyncbridge.protocol.messages import Command, Message, StreamTaken
from asyncbridge.transport.bulk import BulkStore
from asyncbridge.worker import parts
from asyncbridge.worker.flows import Flows, flows_of
from asyncbridge.worker.results import Held


class Nowhere:
    """A session to which nothing is sent."""

    largest = 0

    def place(self, buffer: object) -> Held:
        raise NotImplementedError

    def offer_part(self, bulk: dict[str, Held]) -> int:
        raise NotImplementedError

    def drop_part(self, number: int) -> None:
        raise NotImplementedError

    def notify(self, message: Message) -> None:
        raise NotImplementedError


def made(command: Command) -> Flows | None:
    """Return the flows of a command."""
    return flows_of(command, Nowhere(), BulkStore(), lambda _: None)


def test_most_commands_have_none() -> None:
    """Nothing is made for them."""
    assert made(Command(id=1, code="")) is None


def test_streams_stand_in_the_places_of_their_descriptions() -> None:
    """Other bindings are as they were; no parts are wanted."""
    flows = made(Command(id=1, code="", streams=("x",)))
    assert flows is not None
    with flows.flowing({"x": {"steps": 4}, "y": 1}, lambda _: None) as bound:
        assert (len(bound["x"]), bound["y"]) == (4, 1)
        assert not parts.are_wanted()


def test_parts_that_nobody_asked_for_are_not_taken() -> None:
    """Nor those of a second turn: they come once."""
    without = made(Command(id=1, code="", streams=("x",)))
    wanted = made(Command(id=1, code="", parts=True))
    assert without is not None
    assert wanted is not None
    assert without.idle
    assert wanted.idle
    with pytest.raises(RemoteProtocolError, match="gives no parts of turn 0"):
        without.receive(StreamTaken(id=1, stream=0, turn=0, count=0))
    with pytest.raises(RemoteProtocolError, match="gives no parts of turn 1"):
        wanted.receive(StreamTaken(id=1, stream=0, turn=1, count=0))
