from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.errors import DecodeError
from asyncbridge.transport.records import CHUNK_BYTES, HEAD_BYTES, TEXT_BYTES, Damaged, Head, Kind

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).resolve().parents[1] / "vectors" / "records.json").read_text(encoding="utf-8")
)


def by_hand(kind: int, packed: int = 0, length: int = 0, size: int = 0) -> bytes:
    """Lay out a head, after the documentation."""
    raw = struct.pack("<BBHIQQQ", kind, packed, 0, length, 0, size, 0)
    return raw + struct.pack("<I", zlib.crc32(raw))


@pytest.mark.parametrize("row", VECTORS, ids=lambda row: row["name"])
def test_vectors(row: dict[str, Any]) -> None:
    """Heads are written as their vectors say, and read so."""
    fields: dict[str, Any] = {**row["head"], "kind": Kind[row["head"]["kind"]]}
    head = Head(**fields)
    assert head.pack().hex() == row["record"][: 2 * HEAD_BYTES]
    assert Head.unpack(bytes.fromhex(row["record"])[:HEAD_BYTES]) == head


def test_every_kind_has_a_vector() -> None:
    """The published file shows each of them."""
    assert {row["head"]["kind"] for row in VECTORS} == set(Kind.__members__)


def test_no_flipped_bit_goes_unseen() -> None:
    """Whichever bit of a head is flipped, it is known to be damaged."""
    whole = Head(kind=Kind.CHUNK, length=5, size=5, offset=9, checksum=77).pack()
    for place in range(8 * HEAD_BYTES):
        raw = bytearray(whole)
        raw[place // 8] ^= 1 << place % 8
        with pytest.raises(Damaged):
            Head.unpack(raw)


@pytest.mark.parametrize(
    "raw",
    [
        by_hand(0),
        by_hand(6),
        by_hand(1, packed=1),
        by_hand(3, packed=2, length=1, size=2),
        by_hand(3),
        by_hand(3, length=5, size=6),
        by_hand(3, length=CHUNK_BYTES + 1, size=CHUNK_BYTES + 1),
        by_hand(3, packed=1, length=6, size=6),
        by_hand(3, packed=1, length=0, size=6),
        by_hand(3, packed=1, length=1, size=CHUNK_BYTES + 1),
        by_hand(4, length=1),
        by_hand(1, length=TEXT_BYTES + 1),
    ],
)
def test_a_head_that_no_sender_writes(raw: bytes) -> None:
    """An unknown kind, or a length that cannot be, is refused before anything follows it."""
    with pytest.raises(DecodeError):
        Head.unpack(raw)


@given(st.binary(min_size=HEAD_BYTES, max_size=HEAD_BYTES))
def test_random_bytes(raw: bytes) -> None:
    """Bytes that nobody wrote are damaged, or no head."""
    for head in (raw, raw[:-4] + struct.pack("<I", zlib.crc32(raw[:-4]))):
        try:
            Head.unpack(head)
        except (Damaged, DecodeError):
            continue
