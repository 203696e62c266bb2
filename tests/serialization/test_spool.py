"""What waits for its transfer."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import spool
from asyncbridge.serialization.codec import decode, draft, encode
from asyncbridge.serialization.deferred import whole
from asyncbridge.serialization.drafts import Draft
from asyncbridge.serialization.spool import IN_MEMORY, Spool

PART = IN_MEMORY // 4
CONTENT = [bytes([number]) * (PART + number) for number in range(12)]


def read(kept: spool.Kept) -> bytes:
    """Return what is kept."""
    target = bytearray(kept.nbytes)
    kept.write(memoryview(target))
    return bytes(target)


def descriptors() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_it_comes_out_as_it_went_in() -> None:
    """From memory and from the file, in any order, and as often as one likes."""
    kept = list(map(Spool().keep, CONTENT))
    for _ in range(2):
        assert [read(each) for each in reversed(kept)] == CONTENT[::-1]


def test_a_little_needs_no_file() -> None:
    """Most values are small."""
    before = descriptors()
    own = Spool()
    kept = [own.keep(b"x" * PART) for _ in range(4)]
    assert descriptors() == before
    assert sum(each.nbytes for each in kept) == IN_MEMORY


def test_the_file_has_no_name_and_goes_with_what_it_keeps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not with the spool: what it keeps may outlive it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = descriptors()
    kept = list(map(Spool().keep, CONTENT))
    assert descriptors() == before + 1
    assert list(tmp_path.iterdir()) == []
    assert read(kept[-1]) == CONTENT[-1]
    del kept
    assert descriptors() == before


def test_where_no_file_can_be_made_memory_is_what_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A container without a place for files still sends its values."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    kept = list(map(Spool().keep, CONTENT))
    assert [read(each) for each in kept] == CONTENT


def test_a_disk_that_fills_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written stays, what is half written is written over, the rest is in memory."""
    real, room = os.pwrite, [2 * PART + 7]

    def pwrite(file: int, data: memoryview, start: int) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(file, data[: room[0]], start)
        room[0] -= written
        return written

    own = Spool()
    monkeypatch.setattr(os, "pwrite", pwrite)
    kept = list(map(own.keep, CONTENT))
    assert [read(each) for each in kept] == CONTENT


def test_a_file_that_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is an error, and no wrong bytes."""
    opened: list[int] = []
    real = os.dup

    def dup(file: int) -> int:
        opened.append(real(file))
        return opened[-1]

    monkeypatch.setattr(os, "dup", dup)
    kept = list(map(Spool().keep, CONTENT))
    os.ftruncate(opened[0], 10)
    with pytest.raises(OSError, match=r"bytes too few"):
        read(kept[-1])


@pytest.mark.parametrize(
    "value",
    [
        ["text " * 20 + str(number) for number in range(150_000)],
        [{"id": number, "parts": ["é" * 40, number]} for number in range(100_000)],
        "é\ud800x" * 3_000_000,
        [["x" * 100] * 20_000] * 7,
    ],
    ids=["texts", "records", "one text", "lists"],
)
def test_a_value_whose_json_waits_in_a_file(value: Any) -> None:
    """Is the same, and its slices are not in memory meanwhile."""
    before = descriptors()
    made = draft(value)
    assert isinstance(made, Draft)
    assert descriptors() == before + 1
    payload = encode(value)
    assert descriptors() == before + 1  # they are joined at once there
    assert tuple(bytes(whole(each)) for each in made.buffers) == payload.buffers  # type: ignore[arg-type]
    tree = orjson.loads(orjson.dumps(payload.header))
    assert decode(Payload(header=tree, buffers=payload.buffers)) == value
    del made
    assert descriptors() == before
