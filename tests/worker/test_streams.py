"""Streams as a command's code sees them, with a loop's side that is done by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import (
    Command,
    Fault,
    Message,
    Payload,
    StreamEnd,
    StreamItem,
    StreamTaken,
)
from asyncbridge.protocol.streams import Inflow
from asyncbridge.transport.bulk import BulkStore
from asyncbridge.worker import streams
from asyncbridge.worker.streams import Feed, Feeds, hand_over


class Loop:
    """Does at once what the loop would, and keeps what the client would be told."""

    def __init__(self) -> None:
        self.told: list[Message] = []

    def ask(self, said: Callable[[], Message | None]) -> None:
        """Send a message, if there is one."""
        if (message := said()) is not None:
            self.told.append(message)


def made(**description: Any) -> tuple[Feed, Loop]:
    """Return a stream, and what stands for the loop."""
    loop = Loop()
    return Feed(Inflow(1, 0), {"restarts": True, **description}, loop.ask), loop


def push(feed: Feed, *items: object, turn: int = 0, end: bool = False) -> None:
    """Let items arrive."""
    for number, item in enumerate(items):
        hand_over(
            feed, StreamItem(id=1, stream=0, turn=turn, number=number, value=Payload(header=item))
        )
    if end:
        hand_over(feed, StreamEnd(id=1, stream=0, turn=turn))


def test_nothing_is_asked_for_before_it_is_wanted() -> None:
    """The first turn begins with the first loop."""
    feed, loop = made()
    assert loop.told == []
    iter(feed)
    assert [(m.turn, m.count) for m in loop.told] == [(0, 0)]  # type: ignore[union-attr]


def test_each_loop_begins_a_turn() -> None:
    """What is left of the last one is skipped."""
    feed, loop = made()
    first = iter(feed)
    push(feed, 1, 2)
    assert next(first) == 1
    second = iter(feed)
    push(feed, 9, turn=0)
    push(feed, 3, turn=1, end=True)
    assert list(second) == [3]
    assert list(first) == []
    assert [m.turn for m in loop.told] == [0, 1]  # type: ignore[union-attr]


def test_one_that_cannot_begin_anew_goes_on() -> None:
    """And stays at its end."""
    feed, _ = made(restarts=False)
    turn = iter(feed)
    push(feed, 1, 2, end=True)
    assert next(turn) == 1
    assert [list(feed), list(feed)] == [[2], []]


def test_code_that_waits_for_an_item_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the command's own thread, where nothing else goes on, with all that it has had."""
    monkeypatch.setattr(streams, "TELL_AFTER_S", 0.001)
    feed, loop = made()
    turn = iter(feed)
    push(feed, 1, 2)
    bring = threading.Timer(0.05, hand_over, (feed, StreamEnd(id=1, stream=0, turn=0)))
    bring.start()
    assert list(turn) == [1, 2]
    assert loop.told[1:] == [StreamTaken(id=1, stream=0, turn=0, count=2, waits="item")]


@pytest.mark.parametrize("holds_all", [False, True])
def test_another_thread_may_speak_for_the_command(
    monkeypatch: pytest.MonkeyPatch, holds_all: bool
) -> None:
    """Where it is known that the command waits with it."""
    monkeypatch.setattr(streams, "TELL_AFTER_S", 0.001)
    feed, loop = made()
    feed.holds_all = holds_all
    turn = iter(feed)
    waiting = threading.Thread(target=list, args=(turn,))
    waiting.start()
    waiting.join(0.05)
    feed.close()
    waiting.join(20)
    assert len(loop.told) == 1 + holds_all


def test_the_end_of_the_command_wakes_who_waits() -> None:
    """Also in a thread of a backend that is left over."""
    feed, _ = made()
    turn, found = iter(feed), list[object]()
    waiting = threading.Thread(target=lambda: found.append(list(turn)))
    waiting.start()
    feed.close()
    waiting.join(20)
    assert found == [[]]
    assert feed.was_cut
    assert list(feed) == []


def test_a_client_that_is_gone_is_an_error() -> None:
    """What just ended might be taken for the whole."""
    feed, _ = made()
    turn = iter(feed)
    feed.close(lost=True)
    with pytest.raises(ConnectionError, match="is gone"):
        next(turn)
    assert not feed.was_cut


def test_a_source_that_failed() -> None:
    """Its error is told as text, and nothing comes behind it."""
    feed, _ = made()
    turn = iter(feed)
    fault = Fault(type="OSError", message="gone")
    hand_over(feed, StreamEnd(id=1, stream=0, turn=0, fault=fault))
    with pytest.raises(RuntimeError, match="OSError: gone"):
        next(turn)
    assert list(turn) == []


def test_its_length() -> None:
    """It has one if the client has said so."""
    assert len(made(steps=3)[0]) == 3
    with pytest.raises(TypeError, match="how many items"):
        len(made(steps=True)[0])


def test_what_does_not_belong_to_a_stream() -> None:
    """A description that is none, and an item of a stream that is not under way, are refused."""
    feeds = Feeds(Command(id=1, code="", streams=("x",)), BulkStore(), lambda _: None)
    with pytest.raises(DecodeError, match="the stream x is not described"):
        feeds.bind({"x": 3}, Loop().ask)
    with pytest.raises(DecodeError, match="command 1 has no stream 0 under way"):
        feeds.receive(StreamEnd(id=1, stream=0, turn=0))


def test_a_command_that_ended_before_it_began() -> None:
    """Its streams have nothing to give."""
    feeds = Feeds(Command(id=1, code="", streams=("x",)), BulkStore(), lambda _: None)
    feeds.close()
    bound = feeds.bind({"x": {}, "y": 2}, Loop().ask)
    assert (list(bound["x"]), bound["y"]) == ([], 2)


def test_an_item_that_cannot_be_read() -> None:
    """The error says which item of which stream, and where in it."""
    loop = Loop()
    feed = Feed(Inflow(1, 0), {"restarts": True}, loop.ask, name="x")
    turn = iter(feed)
    push(feed, [0], ["sound", {"$": "eval"}])
    assert next(turn) == [0]
    with pytest.raises(DecodeError, match=r"^item 1 of the stream x\[1\]: unknown tag: str 'eval'"):
        next(turn)
