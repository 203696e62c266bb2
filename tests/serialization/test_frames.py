from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.errors import DecodeError, SerializationError, TooLarge
from asyncbridge.protocol import messages as m
from asyncbridge.protocol.limits import FRAME_BYTES
from asyncbridge.serialization import MAX_MESSAGES, decode, encode, pack, unpack
from asyncbridge.serialization.frames import Place, place_of

BINARY = st.binary(max_size=40)
IDS = st.integers(0, 2**63)
PAYLOADS = st.builds(
    lambda tree, buffers: encode([tree, *buffers]),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
    ),
    st.lists(BINARY, max_size=3),
)
MESSAGES = st.lists(
    st.one_of(
        st.builds(m.Completed, id=IDS, value=PAYLOADS),
        st.builds(
            m.Command,
            id=IDS,
            code=st.text(max_size=9),
            bindings=st.none() | PAYLOADS,
            after=st.lists(IDS, max_size=3).map(tuple),
        ),
        st.builds(m.Accepted, ids=st.lists(IDS, max_size=5).map(tuple)),
        st.builds(m.Output, id=st.none() | IDS, stream=st.just("stdout"), text=st.text()),
        st.builds(m.Ping, nonce=IDS),
    ),
    max_size=5,
)


def content(message: m.Message) -> Any:
    """Return what two messages share when they say the same: decoded payloads, other fields."""
    if isinstance(message, m.Completed):
        return message.id, meaning(message.value)
    if isinstance(message, m.Command):
        bindings = None if message.bindings is None else meaning(message.bindings)
        return message.id, message.code, bindings, message.after
    return message


def meaning(payload: m.Payload) -> object:
    """Decode a payload, one that was just encoded too."""
    (back,) = unpack(pack([m.Completed(id=0, value=payload)]))
    assert isinstance(back, m.Completed)
    return decode(back.value)


@given(MESSAGES)
def test_any_messages_come_back(messages: list[m.Message]) -> None:
    """A frame holds its messages in their order, with all that stands in them."""
    frame = pack(messages)
    back = unpack(frame)
    assert [type(message) for message in back] == [type(message) for message in messages]
    assert list(map(content, back)) == list(map(content, messages))


@given(MESSAGES)
def test_a_frame_that_was_read_is_packed_to_the_same_bytes(messages: list[m.Message]) -> None:
    """Packing is the inverse of unpacking, byte for byte."""
    frame = pack(messages)
    assert pack(unpack(frame)) == frame


def frame_of(
    header: bytes, *buffers: bytes, sizes: tuple[int, ...] | None = None, pad: bytes = b"\0"
) -> bytes:
    """Lay out a frame by hand, after the documentation."""
    lengths = tuple(map(len, buffers)) if sizes is None else sizes
    rest = struct.pack(f"<IIQQ{len(lengths)}I", len(header), len(lengths), 0, 0, *lengths) + header
    for buffer in buffers:
        rest += pad * (-len(rest) % 8) + buffer  # the prefix before it has 8 bytes
    return sealed(rest)


def sealed(rest: bytes) -> bytes:
    """Put magic, format and checksum in front."""
    return b"ABF\x03" + struct.pack("<I", zlib.crc32(rest)) + rest


def test_the_layout_is_the_documented_one() -> None:
    """Magic, format, sizes, header, then each buffer at a multiple of 8 bytes."""
    array = np.arange(3, dtype="<i2")
    messages: Sequence[m.Message] = [
        m.Completed(id=1, value=encode({"x": array, "y": b"abc"})),
        m.Ping(nonce=5),
    ]
    header = (
        b'[[38,1,[{"x":{"$":"array","t":"<i2","s":[3],"o":"C","b":0},'
        b'"y":{"$":"bytes","b":1}},[0,1]]],[7,5]]'
    )
    assert pack(messages) == frame_of(header, array.tobytes(), b"abc")
    assert pack([m.Ping(nonce=5)]) == sealed(b"\x07" + bytes(23) + b"[[7,5]]")
    placed = pack([m.Ping(nonce=5)], place=Place(first=2**40, received=3))
    first, received = b"\0\0\0\0\0\1\0\0", b"\3" + bytes(7)
    assert placed == sealed(b"\x07" + bytes(7) + first + received + b"[[7,5]]")
    assert place_of(placed) == Place(first=2**40, received=3)
    assert pack([]) == frame_of(b"[]")
    assert unpack(frame_of(b"[]")) == []


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_buffers_are_slices_of_the_frame(kind: type) -> None:
    """Inline buffers are aligned views of the frame, writable where the frame is."""
    frame = kind(pack([m.Completed(id=1, value=encode([b"a", b"bc"]))]))
    (message,) = unpack(frame)
    assert isinstance(message, m.Completed)
    whole = np.frombuffer(frame, np.uint8)
    for buffer in message.value.buffers:
        assert isinstance(buffer, memoryview)
        assert buffer.readonly is (kind is not bytearray)
        part = np.frombuffer(buffer, np.uint8)
        assert np.shares_memory(whole, part)
        assert (part.ctypes.data - whole.ctypes.data) % 8 == 0
    assert decode(message.value) == [b"a", b"bc"]


DAMAGED = {
    "empty": b"",
    "short prefix": sealed(b"\0\0\0\0\0\0\0"),
    "other magic": b"XYZ" + frame_of(b"[]")[3:],
    "older format": b"ABF\x01\x02\0\0\0\0\0\0\0[]",
    "other format": b"ABF\x02" + frame_of(b"[]")[4:],
    "other checksum": frame_of(b"[]")[:4] + bytes(4) + frame_of(b"[]")[8:],
    "cut": frame_of(b"[]")[:-1],
    "header cut": sealed(frame_of(b"[]")[8:-1]),
    "surplus byte": frame_of(b"[]") + b"\0",
    "surplus sealed byte": sealed(frame_of(b"[]")[8:] + b"\0"),
    "header size lies": sealed(b"\xff\xff\xff\xff" + bytes(20) + b"[]"),
    "count lies": sealed(b"\x02\0\0\0\xff\xff\xff\xff" + bytes(16) + b"[]"),
    "buffer size lies": frame_of(b"[[38,1,[1,[0]]]]", b"abc", sizes=(2**32 - 1,)),
    "buffer cut": sealed(frame_of(b"[[38,1,[1,[0]]]]", b"abc")[8:-1]),
    "buffer missing": frame_of(b"[[38,1,[1,[0]]]]", sizes=(0, 0, 1)),
    "surplus after a buffer": sealed(frame_of(b"[[38,1,[1,[0]]]]", b"abc")[8:] + b"\0"),
    "padding": frame_of(b"[[38,1,[1,[0]]] ]", b"abc", pad=b"x"),
    "unused buffer": frame_of(b"[[7,5]]", b"abc"),
    "buffer out of range": frame_of(b"[[38,1,[1,[1]]]]", b"abc"),
    "buffer used twice": frame_of(b"[[38,1,[1,[0]]],[38,2,[1,[0]]]]", b"abc"),
    "no JSON": frame_of(b"[[7,5]"),
    "empty header": frame_of(b""),
    "no UTF-8": frame_of(b'[[64,"\xff"]]'),
    "lone surrogate": frame_of(b'[[64,"\\ud800"]]'),
    "NaN": frame_of(b"[[7,NaN]]"),
    "too deep": frame_of(b"[" * 2000 + b"]" * 2000),
    "no list": frame_of(b'{"a":1}'),
    "no row": frame_of(b"[7,5]"),
    "large integer": frame_of(b"[[7,18446744073709551616]]"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_frame_is_a_decode_error(name: str) -> None:
    """Cut, padded, lying or otherwise malformed frames are refused with one error type."""
    with pytest.raises(DecodeError):
        unpack(DAMAGED[name])


def test_the_padding_case_has_padding() -> None:
    """The frame with bad padding is a good one but for that."""
    rest = DAMAGED["padding"][8:]
    assert len(unpack(sealed(rest.replace(b"xx", b"\0\0").replace(b"x", b"\0")))) == 1


@pytest.mark.parametrize(
    "message",
    [m.Ping(nonce=5), m.Completed(id=1, value=encode({"x": np.arange(3), "y": b"abc"}))],
    ids=["without buffers", "with buffers"],
)
def test_no_flipped_bit_goes_unseen(message: m.Message) -> None:
    """Whichever bit of a frame is flipped, the reader refuses it: there is no wrong value."""
    frame = pack([message])
    for place in range(8 * len(frame)):
        damaged = bytearray(frame)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(DecodeError):
            unpack(bytes(damaged))


def test_damage_is_named() -> None:
    """The error says that the bytes changed on their way, and not what they happen to spell."""
    frame = bytearray(pack([m.Ping(nonce=5)]))
    frame[-2] ^= 1
    with pytest.raises(DecodeError, match="a frame of 39 bytes was damaged or cut on its way"):
        unpack(frame)


def test_limits_hold_on_both_sides() -> None:
    """Frames over a limit are refused before they are sent, and before they are parsed."""
    messages = [m.Ping(nonce=1), m.Ping(nonce=2)]
    frame = pack(messages)
    assert pack(messages, max_bytes=len(frame)) == frame
    assert unpack(frame, max_bytes=len(frame), max_messages=2) == messages
    with pytest.raises(TooLarge, match=f"reads up to {len(frame) - 1}"):
        pack(messages, max_bytes=len(frame) - 1)
    with pytest.raises(DecodeError, match="at most"):
        unpack(frame, max_bytes=len(frame) - 1)
    with pytest.raises(DecodeError, match="at most 1 messages"):
        unpack(frame, max_messages=1)
    with pytest.raises(TooLarge, match="65537 messages"):
        pack([messages[0]] * (MAX_MESSAGES + 1))
    with pytest.raises(TooLarge):
        pack([m.Completed(id=1, value=encode(bytes(FRAME_BYTES)))])


def test_text_with_lone_surrogates_does_not_hold_up_a_frame() -> None:
    """Output and faults with undecodable bytes arrive, the surrogates spelled as escapes."""
    fault = m.Fault(type="E", message="b\udcff", frames=(("f\udc80", 1, "g", "s"),))
    output = m.Output(id=1, stream="stdout", text="\u00e9\udc80")
    value = encode(["\ud800", b"x"])
    messages: list[m.Message] = [
        output,
        m.Failed(id=2, fault=fault),
        m.Completed(id=3, value=value),
    ]
    one, two, three = unpack(pack(messages))
    assert one == m.Output(id=1, stream="stdout", text="\u00e9\\udc80")
    assert isinstance(two, m.Failed)
    assert two.fault.message == "b\\udcff"
    assert two.fault.frames == (("f\\udc80", 1, "g", "s"),)
    assert isinstance(three, m.Completed)
    assert decode(three.value) == ["\ud800", b"x"]


def test_a_message_that_is_no_json_is_refused() -> None:
    """A field that JSON cannot carry is the sender's error, not the reader's."""
    with pytest.raises(SerializationError, match="JSON does not carry"):
        pack([m.Info(id=1, info={"x": object()})])
    strided = m.Payload(header=1, buffers=(memoryview(b"abcd")[::2],))
    with pytest.raises(SerializationError, match="contiguous"):
        pack([m.Completed(id=1, value=strided)])


@given(BINARY)
def test_random_bytes_are_a_decode_error(data: bytes) -> None:
    """Bytes that nobody packed raise nothing else, with or without the right beginning."""
    for frame in (data, b"ABF\x03" + data, sealed(data), frame_of(data)):
        try:
            unpack(frame)
        except DecodeError:
            continue


@given(MESSAGES, st.data())
def test_a_damaged_frame_is_messages_or_a_decode_error(
    messages: list[m.Message], data: st.DataObject
) -> None:
    """A real frame with bits flipped, cut or repeated never raises anything but DecodeError."""
    frame = bytearray(pack(messages))
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    if data.draw(st.booleans()):
        del frame[data.draw(st.integers(0, len(frame))) :]
    try:
        received = unpack(sealed(bytes(frame[8:])))  # or the checksum would tell at once
        for message in received:
            if isinstance(message, m.Completed):
                decode(message.value)
    except DecodeError:
        return
