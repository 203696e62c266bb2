"""Keys that stand twice in one object of JSON."""

from __future__ import annotations

import json
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Completed, Payload
from asyncbridge.serialization import codec, unpack
from asyncbridge.serialization.frames import pack
from asyncbridge.serialization.unique_keys import loads

TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("document", "key"),
    [
        (b'{"a":1,"a":2}', "a"),
        (b'{"a":1,"a":1}', "a"),
        (b'[0,{"x":{"b":[],"c":0,"b":[]}}]', "b"),
        (b'{ "a" : 1 , "b" : 2, "a" : 1e5 }', "a"),
        (b'{"a":1,"\\u0061":2}', "a"),
        ('{"é":1,"\\u00e9":2}'.encode(), "é"),
        (b'{"":1,"":2}', ""),
        (b'{"$":"int","v":"1","v":"2"}', "v"),
    ],
)
def test_one_that_stands_twice(document: bytes, key: str) -> None:
    """However it is written."""
    with pytest.raises(DecodeError, match=rf"^it has the key '{key}' twice in one object"):
        loads(document, "it")


@pytest.mark.parametrize(
    "document",
    [
        b'[{"a":1},{"a":1}]',
        b'{"a":{"a":1}}',
        b'{"a": 1, "b": 2}',
        b'{"a":"\\u0061","A":0}',
        b'{"a":1E4}',
        b'{"a":' + b"9" * 300 + b"}",
        b'"{\\"a\\":1,\\"a\\":2}"',
    ],
)
def test_those_that_do_not(document: bytes) -> None:
    """They are read, also as others write JSON."""
    assert loads(document, "it") == orjson.loads(document)


@given(tree=TREES, indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_any_writer_is_read(tree: Any, indent: int | None, ascii_only: bool) -> None:
    """Spaces, escapes and the order of keys are each writer's own."""
    text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only)
    try:
        document = text.encode()
        wanted = orjson.loads(document)
    except (UnicodeEncodeError, orjson.JSONDecodeError):
        return  # lone surrogates
    assert loads(document, "it") == wanted


@pytest.mark.parametrize("depth", [200, 300, 900, 1000, 5000])
def test_deep_ones(depth: int) -> None:
    """What is deeper than is written is looked through, or refused."""
    document = b'{"a":' * depth + b"1" + b"}" * depth
    twice = document.replace(b'"a":1}', b'"a":1,"a":1}')
    assert document != twice
    with pytest.raises(DecodeError, match=r"no JSON|twice|too deeply"):
        loads(twice, "it")
    if depth < 254:
        assert loads(document, "it") == orjson.loads(document)


def test_in_a_frame() -> None:
    """The whole frame is refused, and the key is named."""
    payload = Payload(header=orjson.Fragment(b'{"a":1,"b":2}'), size=13)
    frame = pack([Completed(id=1, value=payload)])
    unpack(frame)
    rest = frame[8:].replace(b'"b":2', b'"a":2')
    with pytest.raises(DecodeError, match="the frame's header has the key 'a' twice"):
        unpack(frame[:4] + zlib.crc32(rest).to_bytes(4, "little") + rest)


def test_in_a_slice() -> None:
    """The place of the list is named, too."""
    document = b'[{"a":1,"a":2}]'
    payload = Payload(header={"x": {"$": "slices", "b": 0, "n": [15]}}, buffers=(document,))
    with pytest.raises(DecodeError, match=r'value\["x"\]: a slice .* has the key \'a\' twice'):
        codec.decode(payload)
