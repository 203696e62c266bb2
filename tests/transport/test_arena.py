"""The pool of segments: what is used again, what makes room, and what there is no room for."""

from __future__ import annotations

import logging
import os
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.serialization.deferred import DEFERRED_ABOVE, LaterBytes
from asyncbridge.transport import arena as arena_module
from asyncbridge.transport.arena import Arena, ArenaFigures, Segment, open_arena, rounded
from asyncbridge.transport.copying import copy_into
from asyncbridge.transport.leases import Lease, user_folder
from asyncbridge.transport.origins import origin_of

MIB = 1024 * 1024


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    """An arena of 4 MiB."""
    made = Arena(Lease(str(tmp_path)), 4 * MIB)
    yield made
    made.close()


def files(arena: Arena) -> set[str]:
    """Return the names of an arena's segments on the disk."""
    folder = Path(user_folder(arena.lease.root), arena.lease.name)
    return {path.name for path in folder.iterdir()} - {"lease"}


def test_a_buffer_is_copied(arena: Arena) -> None:
    """The segment holds its bytes, has mode 0600, and room enough."""
    data = np.random.default_rng(7).bytes(100_000)
    segment = arena.place(data)
    assert segment is not None
    assert segment.view() == data
    path = Path(user_folder(arena.lease.root), arena.lease.name, segment.name)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size == segment.size >= len(data)
    assert path.stat().st_blocks * 512 >= segment.size, "every page is there before it is touched"


def test_a_buffer_is_made_where_it_leaves_from(arena: Arena) -> None:
    """Nothing of its size is allocated beside the segment."""
    later = LaterBytes(bytearray(range(250)) * 8000)
    tracemalloc.start()
    try:
        segment = arena.place(later)
        assert tracemalloc.get_traced_memory()[1] < 2 * DEFERRED_ABOVE
    finally:
        tracemalloc.stop()
    assert segment is not None
    assert segment.view() == bytes(range(250)) * 8000


def test_what_comes_back_is_used_again(arena: Arena) -> None:
    """For a buffer of about its size, of the same file and the same mapping."""
    first = arena.place(bytes(MIB))
    assert first is not None
    arena.give_back(first)
    assert arena.place(bytes(MIB - 1)) is first
    assert first.used == MIB - 1
    assert arena.warm(MIB) is None
    arena.give_back(first)
    assert arena.warm(MIB) is first
    arena.give_back(first)
    assert arena.warm(1000) is None, "a small buffer must not hold a large segment"


def test_what_is_lent_is_left_alone(arena: Arena) -> None:
    """Two buffers at a time are two segments."""
    one, two = arena.place(b"a" * 5000), arena.place(b"b" * 5000)
    assert one is not None
    assert two is not None
    assert (one.view()[0], two.view()[0]) == (ord("a"), ord("b"))


def test_free_segments_make_room(arena: Arena) -> None:
    """The largest go first, with their files, and only as many as it takes."""
    small, large = arena.allocate(MIB), arena.allocate(3 * MIB)
    assert small is not None
    assert large is not None
    assert arena.total == 4 * MIB
    arena.give_back(small)
    arena.give_back(large)
    next_one = arena.allocate(MIB // 8)
    assert next_one is not None
    assert files(arena) == {small.name, next_one.name}
    assert arena.total == MIB + MIB // 8


def test_no_room(arena: Arena, caplog: pytest.LogCaptureFixture) -> None:
    """There is one warning for all, and what is free is not given up in vain."""
    kept = arena.allocate(MIB)
    assert kept is not None
    arena.give_back(kept)
    with caplog.at_level(logging.WARNING):
        assert arena.place(bytes(5 * MIB)) is None
        assert arena.place(bytes(6 * MIB)) is None
    assert len(caplog.records) == 1
    assert "finds no room in shared memory" in caplog.text
    assert files(arena) == {kept.name}
    assert arena.warm(MIB) is kept


def test_less_memory_than_was_thought(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the system has none left, free segments are given up, then there is no room."""
    free = arena.allocate(MIB)
    assert free is not None
    arena.give_back(free)
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with caplog.at_level(logging.WARNING):
        assert arena.allocate(2 * MIB) is None
    assert files(arena) == set()
    assert "file system itself has no more" in caplog.text
    assert "docker run --shm-size" in caplog.text
    assert arena.total == 0


def test_a_smaller_buffer_fits_after_one_that_did_not(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system had no memory for is not counted on."""
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", refuse)
        assert arena.allocate(2 * MIB) is None
    assert arena.total == 0
    assert arena.allocate(MIB) is not None
    assert arena.total == MIB


def refuse(file: int, start: int, size: int) -> None:
    """Fail as a full file system does."""
    raise OSError(28, "No space left on device")


def test_what_is_discarded(arena: Arena) -> None:
    """Its file goes, its memory stays with who looks at it, and its room is free."""
    segment = arena.place(b"x" * 5000)
    assert segment is not None
    arena.discard(segment)
    assert files(arena) == set()
    assert arena.total == 0
    assert bytes(segment.view()) == b"x" * 5000


def test_closed(tmp_path: Path) -> None:
    """Nothing is left, a second close does nothing, and there is no room any more."""
    arena = Arena(Lease(str(tmp_path)), MIB)
    segment = arena.place(b"x" * 5000)
    assert segment is not None
    arena.close()
    arena.close()
    assert list(tmp_path.iterdir()) == []
    arena.give_back(segment)
    arena.discard(segment)
    assert arena.warm(5000) is None
    assert arena.place(b"x") is None


def test_closed_beside_one_that_dies(tmp_path: Path) -> None:
    """The other's folder goes with its own, even if its owner lets go only meanwhile."""
    ours, other = Arena(Lease(str(tmp_path)), MIB), Lease(str(tmp_path))
    dying = threading.Timer(0.05, other._closers[1])
    dying.start()
    ours.close(other.name)
    dying.join()
    assert list(tmp_path.iterdir()) == []
    other.release()


def test_a_copy_that_is_broken_off() -> None:
    """It is looked at between slices whether to go on."""
    assert not copy_into(memoryview(bytearray(3)), memoryview(b"abc"), going_on=lambda: False)


def test_many_threads(arena: Arena) -> None:
    """Each buffer is its own, whoever places it."""
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            segment = arena.place(bytes([number]) * (4096 * (number + 1)))
            if segment is None or set(segment.view()) != {number}:
                wrong.append(number)
            if segment is not None:
                arena.give_back(segment)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@given(st.integers(1, 2**50))
def test_sizes(size: int) -> None:
    """A segment is whole pages, and wastes an eighth at most, or less than a page."""
    made = rounded(size)
    assert made % 4096 == 0
    assert size <= made <= max(size + 4095, size + size // 8 + 1)


@pytest.mark.parametrize("limit", [0, None])
def test_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None) -> None:
    """A limit of 0, given or of the environment, makes no arena and no folder."""
    monkeypatch.setenv("ASYNCBRIDGE_SHARED_MEMORY_FOLDER", str(tmp_path))
    monkeypatch.setenv("ASYNCBRIDGE_SHARED_MEMORY", "0")
    assert open_arena(limit) is None
    assert list(tmp_path.iterdir()) == []


def test_no_shared_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning names the folder, and what to set."""
    monkeypatch.setenv("ASYNCBRIDGE_SHARED_MEMORY_FOLDER", str(tmp_path / "none"))
    with caplog.at_level(logging.WARNING):
        assert open_arena() is None
    assert str(tmp_path / "none") in caplog.text
    assert "ASYNCBRIDGE_SHARED_MEMORY=0" in caplog.text


@pytest.mark.parametrize(("available", "share"), [(60, 25), (7, 7)])
def test_a_quarter_of_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, available: int, share: int
) -> None:
    """So much an arena may take where nothing is said, and no more than is free."""
    monkeypatch.setenv("ASYNCBRIDGE_SHARED_MEMORY_FOLDER", str(tmp_path))
    monkeypatch.delenv("ASYNCBRIDGE_SHARED_MEMORY", raising=False)
    # bsize, frsize, blocks, bfree, bavail, files, ffree, favail, flag, namemax
    room = os.statvfs_result((4096, 4096, 100, 80, available, 9, 9, 9, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: room)
    arena = open_arena()
    assert arena is not None
    assert arena.limit == share * 4096
    arena.close()


def remembered(arena: Arena, array: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> Segment:
    """Put an array into a segment that is free again, and holds it."""
    segment = arena.place(array.data)
    assert segment is not None
    segment.origin = origin_of(array.data)
    assert segment.origin is not None
    arena.give_back(segment)
    return segment


def test_figures(arena: Arena) -> None:
    """What is lent and what is free add up to the total."""
    array = np.ones(MIB, np.uint8)
    held = arena.place(bytes(2 * MIB))
    remembered(arena, array)
    assert arena.figures() == ArenaFigures(
        total=3 * MIB, limit=4 * MIB, lent=2 * MIB, free=MIB, kept=MIB
    )
    del array
    assert arena.figures().kept == 0, "nobody can send it again"
    assert held is not None


def test_a_segment_is_recalled(arena: Arena) -> None:
    """By the place of what it holds, while it is free."""
    array = np.ones(MIB, np.uint8)
    segment = remembered(arena, array)
    origin = origin_of(array.data)
    assert origin is not None
    assert arena.recall(origin) is segment
    assert arena.recall(origin) is None


@pytest.mark.parametrize("compared", [0, 2 * MIB])
def test_a_segment_is_refilled(
    arena: Arena, compared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says whether it held the bytes; and then it holds them, compared or not."""
    monkeypatch.setattr(arena_module, "COMPARED", compared)
    array = np.random.default_rng(7).integers(0, 256, MIB, np.uint8)
    segment = remembered(arena, array)
    assert arena.refill(segment, array.data) is (compared > 0)
    array[-1] += 1
    assert arena.refill(segment, array.data) is False
    assert segment.view() == array.data
    segment.view()[MIB // 2] ^= 1  # by the worker
    assert arena.refill(segment, array.data) is False
    assert segment.view() == array.data


def test_what_is_remembered_is_used_last(arena: Arena) -> None:
    """Another segment is taken first; but it is taken rather than a cold one."""
    array = np.ones(MIB, np.uint8)
    other = arena.allocate(MIB)
    kept = remembered(arena, array)
    assert other is not None
    arena.give_back(other)
    assert arena.allocate(MIB) is other
    assert arena.allocate(MIB) is kept
    assert not kept.is_remembered
    assert arena.total == 2 * MIB


def test_what_is_remembered_makes_room_last(arena: Arena) -> None:
    """Also where it came back later."""
    array = np.ones(2 * MIB, np.uint8)
    other = arena.allocate(2 * MIB)
    kept = arena.place(array.data)
    assert other is not None
    assert kept is not None
    kept.origin = origin_of(array.data)
    arena.give_back(other)
    arena.give_back(kept)
    small = arena.allocate(MIB // 8)
    assert small is not None
    assert files(arena) == {kept.name, small.name}


def test_a_refill_is_broken_off(arena: Arena) -> None:
    """When the arena is closed meanwhile."""
    array = np.ones(MIB, np.uint8)
    segment = remembered(arena, array)
    arena.close()
    assert arena.refill(segment, array.data) is None
