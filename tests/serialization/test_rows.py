from __future__ import annotations

from dataclasses import MISSING, fields, replace
from typing import Any, get_args

import orjson
import pytest

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol import messages as m
from asyncbridge.serialization.rows import (
    MAX_CAUSES,
    TAGS,
    read_row,
    without_surrogates,
    write_row,
)

# As deep as orjson reads, less the levels around it.
DEEP: Any = orjson.loads("[" * 1000 + "]" * 1000)
FAULT = m.Fault(type="E", message="no")
BOOLEANS = frozenset({
    "transient", "aside", "parts", "lacking", "more", "on", "unknown", "asks", "began",
    "references", "debug", "locals", "stopped", "kept",
})  # fmt: skip
SAMPLES: list[m.Message] = [
    m.Hello(oldest=1, newest=2, session="s", client="c", arena="a", references=True, debug=True),
    m.Command(
        id=7,
        code="a",
        bindings=m.Payload(header={"a": 1}),
        lifetime="eternal",
        after=(1, 2),
        label="fit",
        aside=True,
        streams=("x",),
        parts=True,
        uses=(5, 6),
        keep=2,
        sets=("model",),
    ),
    m.Cancel(id=1),
    m.Cancel(id=1, mode="interrupt", lacking=True),
    m.Acknowledge(ids=(1, 2)),
    m.Release(names=("a", "b"), objects=((3, 2), (4, 1)), commands=(5,)),
    m.InfoRequest(id=3),
    m.InfoRequest(id=3, about="memory"),
    m.Keep(id=3),
    m.Kept(id=3, kept=True),
    m.Tie(object=4, lease_ms=300_000),
    m.Tie(name="x"),
    m.Advice(kind="memory", text="much"),
    m.Ping(nonce=2**63),
    m.Join(session="s", incarnation="i", received=3, name="n"),
    m.Claim(id=4),
    m.Detach(reason="r"),
    m.Withheld(id=4, code="dropped", message="why"),
    m.Holding(
        newest=4,
        commands=((3, "fit", "halted", 20), (4, "", "failed", 0)),
        more=True,
        standing=((3, -1, 5, (1, 2)),),
    ),
    m.Joined(incarnation="i", received=2**40, lease_ms=30_000),
    m.Welcome(
        version=1,
        incarnation="i",
        window=2,
        window_bytes=3,
        frame_bytes=4,
        state="ready",
        arena="a",
        proof="p",
    ),
    m.Refused(code="version", message="no"),
    m.StateChanged(state="failed", fault=FAULT),
    m.Accepted(ids=()),
    m.Started(id=1),
    m.Output(id=None, stream="stderr", text="t", dropped=5),
    m.Completed(id=1, value=m.Payload(header=None)),
    m.Completed(id=1, value=m.Payload(header=None), objects=(3, 3), holders=("x is held by y[0]",)),
    m.Failed(
        id=1,
        fault=m.Fault(
            type="A",
            message="b",
            frames=(("f.py", 3, "run", "x = 1"),),
            notes=("n",),
            cause=FAULT,
            subjects=("model",),
            text="all",
        ),
        because=9,
    ),
    m.Cancelled(id=1, began=True),
    m.Info(id=1, info={"queue": [1, {"a": None}]}),
    m.Pong(nonce=0),
    m.Progress(id=1, value=m.Payload(header=None), transient=True),
    m.QueueRequest(id=1),
    m.Prioritize(id=1, priority=-2),
    m.QueueReport(id=1, ahead=(2, 3), others=4),
    m.Goodbye(reason="r"),
    m.Placed(id="1-0", segment="s", offset=64, size=9),
    m.Returned(ids=("1-0", "1-1")),
    m.Recall(id="2-0", kept="1-0"),
    m.Digest(id="2-0", digest="0f"),
    m.Reuse(id="2-0"),
    m.StreamTaken(id=1, stream=0, turn=2, count=3, waits="room"),
    m.StreamItem(id=1, stream=0, turn=2, number=3, value=m.Payload(header=None)),
    m.StreamEnd(id=1, stream=0, turn=2, fault=FAULT),
    m.Halting(on=True, timeout_ms=300_000),
    m.Decide(
        number=3,
        error="0a-1",
        kind="retry",
        epoch=2,
        code="a",
        values=m.Payload(header={"a": 1}),
        newest=9,
    ),
    m.Halted(id=1, error="0a-1", epoch=2, fault=FAULT),
    m.Resumed(id=1, error="0a-1", epoch=2),
    m.Decided(number=3, refusal="no", unknown=True),
    m.Dropped(ids=(2, 3), because=1, error="0a-1"),
    m.Dropped(ids=(), because=1, error="0a-1", asks=True),
]


def parsed(message: m.Message) -> Any:
    """Return a message's row as a reader gets it."""
    return orjson.loads(orjson.dumps(write_row(message, [])))


def test_every_message_has_one_tag_and_one_sample() -> None:
    """The tags are those of the protocol's messages, and differ."""
    classes = set(get_args(m.Message))
    assert set(TAGS) == classes == {type(sample) for sample in SAMPLES}
    assert len(set(TAGS.values())) == len(TAGS)


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back_equal(message: m.Message) -> None:
    """Every field comes back with its value, tuples as tuples."""
    back = read_row(parsed(message), [])
    assert back == message
    assert type(back) is type(message)
    assert hash(repr(back)) == hash(repr(message))


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_trailing_defaults_are_left_off(message: m.Message) -> None:
    """A row ends at its last field that is not at its default, and the reader fills the rest."""
    bare = replace(
        message,
        **{f.name: f.default for f in fields(message) if f.default is not MISSING},
    )
    row = parsed(bare)
    assert len(row) == 1 + sum(field.default is MISSING for field in fields(message))
    assert read_row(row, []) == bare


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_surplus_fields_are_ignored(message: m.Message) -> None:
    """Fields that a later version puts last do not hurt this one."""
    row = parsed(message)
    row += [None] * (1 + len(fields(message)) - len(row))
    known = parsed(message)
    row[: len(known)] = known
    for place, field in enumerate(fields(message), 1):
        if row[place] is None and field.default is not MISSING:
            row[place] = list(field.default) if isinstance(field.default, tuple) else field.default
    assert read_row([*row, "later", {"x": 1}], []) == message


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_a_missing_field_is_a_decode_error(message: m.Message) -> None:
    """A row without one of its required fields names the class."""
    required = sum(field.default is MISSING for field in fields(message))
    if required:
        with pytest.raises(DecodeError, match=type(message).__name__):
            read_row(parsed(message)[:required], [])


@pytest.mark.parametrize("wrong", [1.5, True, {"a": []}, [[]], [None, None]], ids=repr)
@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_a_field_of_another_type_is_a_decode_error(message: m.Message, wrong: object) -> None:
    """A value that does not fit a field is refused, with the field's name."""
    for place, field in enumerate(fields(message), 1):
        row = parsed(message)
        if place >= len(row) or fits(message, field.name, wrong):
            continue
        row[place] = wrong
        with pytest.raises(DecodeError, match=f"{type(message).__name__}|Fault"):
            read_row(row, [])


def fits(message: m.Message, name: str, wrong: object) -> bool:
    """Whether one of the wrong values is a right one after all."""
    if name == "info":
        return isinstance(wrong, dict)
    if name in BOOLEANS:
        return isinstance(wrong, bool)
    # A payload's tree may be anything, so a list of one is a payload.
    return (
        name in ("value", "values", "bindings")
        and isinstance(wrong, list)
        and wrong != [None, None]
    )


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        {},
        "x",
        [True, 1],
        [1.0, 1],
        [0, 1],
        ["3", 1],
        [[3], 1],
        [-1],
        [34, "asleep"],
        [33, "other", "m"],
        [37, 1, "stdin", "t"],
        [37, True, "stdout", "t"],
        [39, 1, []],
        [39, 1, ["T"]],
        [39, 1, None],
        [39, 1, ["T", "m", [["f", 1, "g"]]]],
        [39, 1, ["T", "m", [["f", "1", "g", "s"]]]],
        [39, 1, ["T", "m", [], [1]]],
        [39, 1, ["T", "m", [], [], ["T"]]],
        [39, 1, ["T", "m", [], [], 1]],
        [35, [1, None]],
        [5, ["a", 1]],
        [5, "ab"],
        [38, 1, []],
        [38, 1, {}],
        [38, 1, [1, None]],
        [38, 1, [1, [0]]],
        [38, 1, [1, [-1]]],
        [38, 1, [1, [True]]],
        [38, 1, [1, [["id"]]]],
        [38, 1, [1, [["id", -1]]]],
        [38, 1, [1, [["id", 1.0]]]],
        [38, 1, [1, [[1, 1]]]],
        [DEEP],
        [3, DEEP],
        [34, DEEP],
        [39, 1, DEEP],
        [38, 1, [1, [DEEP]]],
        [38, 1, [1, DEEP]],
    ],
    ids=lambda row: type(row).__name__,
)
def test_a_malformed_row_is_a_decode_error(row: object) -> None:
    """Unknown tags, choices and shapes are refused."""
    with pytest.raises(DecodeError):
        read_row(row, [])


def test_payload_buffers_ride_inline_or_go_by_reference() -> None:
    """An inline buffer becomes its index in the frame, a bulk one its id and size."""
    inline: list[m.Buffer] = [b"earlier"]
    value = m.Payload(header=1, buffers=(b"abc", m.BulkRef(id="b-1", size=9), b"de"))
    row = orjson.loads(orjson.dumps(write_row(m.Completed(id=1, value=value), inline)))
    assert row == [38, 1, [1, [1, ["b-1", 9], 2]]]
    assert inline == [b"earlier", b"abc", b"de"]


def test_a_read_payload_counts_its_buffers() -> None:
    """The size is that of the buffers, bulk ones as declared; the tree's is not counted."""
    slots: list[memoryview | None] = [memoryview(b"abc")]
    message = read_row([38, 1, ["x" * 50, [0, ["b", 9]]]], slots)
    assert isinstance(message, m.Completed)
    assert message.value.size == 12
    assert message.value.buffers == (memoryview(b"abc"), m.BulkRef(id="b", size=9))
    assert slots == [None]


def test_an_inline_buffer_is_used_once() -> None:
    """Two payloads never share memory."""
    with pytest.raises(DecodeError, match="used twice"):
        read_row([38, 1, [1, [0, 0]]], [memoryview(b"a")])


def chain(length: int) -> m.Fault:
    """Make a fault with causes of causes."""
    fault = FAULT
    for _ in range(length - 1):
        fault = m.Fault(type="E", message="no", cause=fault, text="t")
    return fault


def test_a_long_chain_of_causes_is_cut_by_the_writer() -> None:
    """A fault with too many causes is still sent, without the deepest ones."""
    back = read_row(parsed(m.Failed(id=1, fault=chain(500))), [])
    assert isinstance(back, m.Failed)
    length, fault = 0, back.fault
    while fault is not None:
        length, fault = length + 1, fault.cause  # type: ignore[assignment]  # None ends the loop
    assert length == MAX_CAUSES
    exact = m.Failed(id=1, fault=chain(MAX_CAUSES))
    assert read_row(parsed(exact), []) == exact


def test_a_long_chain_of_causes_is_refused_by_the_reader() -> None:
    """Causes are counted in a loop, before the interpreter's stack is at stake."""
    row: list[object] = ["E", "m"]
    for _ in range(900):
        row = ["E", "m", [], [], row]
    with pytest.raises(DecodeError, match="at most 32 causes"):
        read_row([39, 1, row], [])


def test_no_message_is_refused() -> None:
    """Only the protocol's own classes are written."""
    with pytest.raises(SerializationError, match="Fault is no message"):
        write_row(FAULT, [])  # type: ignore[arg-type]  # the mistake under test


def test_a_parsed_payload_can_be_sent_on() -> None:
    """A payload that was read is written again as it was, at any depth that is read."""
    tree: object = 1
    for _ in range(200):
        tree = [tree]
    row = parsed(m.Completed(id=1, value=m.Payload(header=tree)))
    assert row == [38, 1, [tree]]
    with pytest.raises(SerializationError, match="JSON does not carry"):
        write_row(m.Completed(id=1, value=m.Payload(header=object())), [])


def test_surrogates_become_escapes() -> None:
    """Text, in any nesting, keeps everything but its lone surrogates."""
    tree = ["a\udc80", ("\u00e9", 1, None), {"k\ud800": ["\udfff"]}]
    expected = ["a\\udc80", ["\u00e9", 1, None], {"k\\ud800": ["\\udfff"]}]
    assert without_surrogates(tree) == expected
