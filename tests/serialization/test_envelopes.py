"""Messages as JSON envelopes: every kind comes back, and whatever is none is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from asyncbridge.errors import DecodeError, TooLarge
from asyncbridge.protocol.messages import (
    Command,
    Completed,
    Failed,
    Fault,
    Join,
    Message,
    Output,
    Started,
)
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.serialization.envelopes import Envelope, read_envelope, write_envelopes
from asyncbridge.serialization.frames import Place

PLACE = Place(first=7, received=3)


def through(*messages: Message, **more: Any) -> list[Envelope]:
    """Write messages, and read what was written."""
    data = write_envelopes(4, messages, PLACE, extra={}, **more)
    return [read_envelope(each) for each in data]


def test_messages_come_back() -> None:
    """With their order, their number and their place in the session."""
    messages: list[Message] = [
        Join(session="s"),
        Started(id=1),
        Output(id=None, stream="stdout", text="x"),
        Failed(id=2, fault=Fault(type="E", message="m", cause=Fault(type="C", message="n"))),
    ]
    (envelope,) = through(*messages)
    assert list(envelope.messages) == messages
    assert (envelope.number, envelope.place) == (4, PLACE)


def test_values_come_back() -> None:
    """Buffers travel as base64 beside the rows."""
    value: dict[str, Any] = {"x": np.arange(5.0), "b": b"\x00\xff", "n": [1, None, "two"]}
    (envelope,) = through(
        Command(id=1, code="x", bindings=encode(value)), Completed(id=1, value=encode(value))
    )
    command, completed = envelope.messages
    assert isinstance(command, Command)
    assert isinstance(completed, Completed)
    assert command.bindings is not None
    for payload in (command.bindings, completed.value):
        result = decode(payload)
        assert isinstance(result, dict)
        assert np.array_equal(result.pop("x"), value["x"])
        assert result == {"b": b"\x00\xff", "n": [1, None, "two"]}


def test_it_is_plain_json() -> None:
    """Any JSON library reads it."""
    (data,) = write_envelopes(0, [Started(id=9)], PLACE, extra={"callback": "http://x"})
    assert json.loads(data) == {
        "number": 0, "first": 7, "received": 3, "messages": [[36, 9]],
        "callback": "http://x",
    }  # fmt: skip


def test_what_is_too_long_is_split() -> None:
    """Messages go in several envelopes, whose numbers and places go on."""
    messages = [Output(id=number, stream="stdout", text="x" * 50) for number in range(9)]
    envelopes = through(*messages, max_bytes=300)
    assert len(envelopes) > 2
    assert [message for each in envelopes for message in each.messages] == messages
    assert [each.number for each in envelopes] == list(range(4, 4 + len(envelopes)))
    first = PLACE.first
    for each in envelopes:
        assert each.place == Place(first, PLACE.received)
        first += len(each.messages)


def test_one_message_that_is_too_long() -> None:
    """It is refused where it is written."""
    with pytest.raises(TooLarge, match="up to 100"):
        through(Output(id=1, stream="stdout", text="x" * 200), max_bytes=100)


def test_lone_surrogates() -> None:
    """Undecodable output goes as its escapes."""
    (envelope,) = through(Output(id=1, stream="stderr", text="a\udc80"))
    assert envelope.messages == (Output(id=1, stream="stderr", text="a\\udc80"),)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"[]", "a JSON object"),
        (b"{", "is no JSON"),
        (b'{"number": 0, "number": 1, "messages": []}', "twice"),
        (b'{"number": 0}', "'messages'"),
        (b'{"end": 1, "number": 0, "messages": []}', "'end'"),
        (b'{"number": true, "messages": []}', "'number'"),
        (b'{"number": -1, "messages": []}', "'number'"),
        (b'{"number": 0, "messages": [[999]]}', "unknown message tag"),
        (b'{"number": 0, "messages": [], "buffers": ["AA=="]}', "no message uses 1"),
        (b'{"number": 0, "messages": [], "buffers": ["A"]}', "no base64"),
        (b'{"number": 0, "messages": [], "buffers": [1]}', "no base64"),
    ],
)
def test_what_is_no_envelope(document: bytes, message: str) -> None:
    """The error names what is wrong."""
    with pytest.raises(DecodeError, match=message):
        read_envelope(document)


def test_the_limits_hold() -> None:
    """Neither too many bytes nor too many messages are read."""
    (data,) = write_envelopes(0, [Started(id=1), Started(id=2)], PLACE, extra={})
    with pytest.raises(DecodeError, match="at most 10 are read"):
        read_envelope(data, max_bytes=10)
    with pytest.raises(DecodeError, match="at most 1 messages"):
        read_envelope(data, max_messages=1)
