"""The last bytes of the worker's output, in a file that its death cannot take."""

from __future__ import annotations

import array
import fcntl
import os
import random
import signal
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.worker._last_words import CHUNK_BYTES, KEPT_BYTES, WordsFile, map_rings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asyncbridge.worker._last_words import Ring


class Stream:
    """A pipe, and a ring that reads it."""

    def __init__(self, words: WordsFile, ring: Ring) -> None:
        self.words, self.ring = words, ring
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def write(self, data: bytes) -> None:
        """Write bytes that the pipe has room for."""
        assert os.write(self.writer, data) == len(data)

    def read(self) -> bytes:
        """Read a chunk through the ring."""
        return self.ring.read(self.reader, CHUNK_BYTES)

    def last_words(self) -> bytes:
        """Return what the supervisor finds."""
        return self.words.read(0)

    def close(self) -> None:
        """Close the pipe and the ring."""
        self.ring.close()
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def words(tmp_path: Path, no_leaks: None) -> Iterator[WordsFile]:
    """A file of rings."""
    made = WordsFile(str(tmp_path / "words"))
    yield made
    made.close()


@pytest.fixture
def stream(words: WordsFile) -> Iterator[Stream]:
    """A pipe and the first ring."""
    made = Stream(words, map_rings(words.fd)[0])
    yield made
    made.close()


def test_the_file_has_no_name(words: WordsFile, tmp_path: Path) -> None:
    """Nothing is left of it when its two users are gone."""
    assert list(tmp_path.iterdir()) == []
    assert words.read(0) == words.read(1) == b""


def test_the_file_has_its_room_from_the_beginning(words: WordsFile) -> None:
    """A disk that becomes full later kills nobody who writes there."""
    status = os.fstat(words.fd)
    assert status.st_blocks * 512 >= status.st_size > 2 * (CHUNK_BYTES + KEPT_BYTES)


def test_what_is_read_is_kept(stream: Stream) -> None:
    """Piece by piece, up to the limit of a read, and nothing in the other ring."""
    stream.write(b"one two")
    assert stream.ring.read(stream.reader, 4) == b"one "
    assert stream.last_words() == b"one "
    assert stream.read() == b"two"
    assert stream.last_words() == b"one two"
    assert stream.words.read(1) == b""


def test_a_pipe_that_is_empty_or_at_its_end(stream: Stream) -> None:
    """It is told as by the system's own read."""
    with pytest.raises(BlockingIOError):
        stream.read()
    stream.write(b"last")
    os.close(stream.writer)
    assert (stream.read(), stream.read()) == (b"last", b"")
    assert stream.last_words() == b"last"
    stream.writer = os.dup(stream.reader)  # for the fixture to close


@given(sizes=st.lists(st.integers(1, CHUNK_BYTES), max_size=12), seed=st.integers(0, 99))
def test_the_end_is_kept(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], seed: int
) -> None:
    """However much has gone through the ring, and in whatever pieces."""
    words = WordsFile(str(tmp_path_factory.mktemp("words") / "words"))
    stream = Stream(words, map_rings(words.fd)[0])
    source, everything = random.Random(seed), b""
    for size in sizes:
        data = bytes(source.choices(range(1, 256), k=size))
        everything += data
        stream.write(data)
        assert stream.read() == data
        assert stream.last_words() == everything[-KEPT_BYTES:]
    stream.close()
    words.close()


DEATHS = """
import os, signal, sys
from asyncbridge.worker import _last_words

words_fd, pipe = int(sys.argv[1]), int(sys.argv[2])
ring = _last_words.map_rings(words_fd)[0]
for _ in range(int(sys.argv[3])):
    ring.read(pipe, 1 << 20)
{death}
ring.read(pipe, 1 << 20)
"""
AFTER_THE_READ = """
readv = os.readv
def die(fd, places):
    readv(fd, places)
    os.kill(os.getpid(), signal.SIGKILL)
os.readv = die
"""
BEFORE_THE_COUNT = """
class Dying(int):
    def to_bytes(self, *_):
        os.kill(os.getpid(), signal.SIGKILL)
    def __iadd__(self, other):
        return self
ring._count = Dying(ring._count)
"""


@pytest.mark.parametrize("death", [AFTER_THE_READ, BEFORE_THE_COUNT])
@pytest.mark.parametrize("pieces", [0, 1, 3, 7])
def test_a_death_in_the_middle_of_a_read_loses_nothing(
    words: WordsFile, death: str, pieces: int
) -> None:
    """A reader that had no time to count what it took has kept it all the same."""
    reader, writer = os.pipe()
    arguments = [str(words.fd), str(reader), str(pieces)]
    with subprocess.Popen(
        [sys.executable, "-c", DEATHS.format(death=death), *arguments], pass_fds=(words.fd, reader)
    ) as process:
        told = b""
        for number in range(pieces + 1):
            piece = b"%d" % number * 30_000
            told += piece
            os.write(writer, piece)
            wait_until_read(reader, process)
        assert process.wait() == -signal.SIGKILL
    os.close(reader)
    os.close(writer)
    last = words.read(0)
    assert told.endswith(last)
    assert len(last) >= min(len(told), KEPT_BYTES)


def wait_until_read(reader: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the pipe is empty, or the process is gone."""
    waiting = array.array("i", [1])
    while waiting[0] and process.poll() is None:
        fcntl.ioctl(reader, termios.FIONREAD, waiting)
