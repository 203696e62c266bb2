"""Tests of ``worker/readiness.py``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from asyncbridge.worker.readiness import Readiness

if TYPE_CHECKING:
    from collections.abc import Iterator

Pipe = tuple[int, int]


@pytest.fixture
def pipes() -> Iterator[tuple[Pipe, Pipe]]:
    """Yield two pipes; a test may close the write end of the first."""
    first, second = os.pipe(), os.pipe()
    yield first, second
    os.close(first[0])
    for fd in second:
        os.close(fd)


def test_empty_pipes_have_nothing_to_read(pipes: tuple[Pipe, Pipe]) -> None:
    """Of empty pipes it is false, however often it is asked."""
    first, second = pipes
    readiness = Readiness([first[0], second[0]])
    assert [bool(readiness), bool(readiness)] == [False, False]
    os.close(first[1])


def test_bytes_in_either_pipe_are_seen_until_they_are_read(pipes: tuple[Pipe, Pipe]) -> None:
    """It is true while bytes wait in any of the pipes, and false once they are read."""
    first, second = pipes
    readiness = Readiness([first[0], second[0]])
    for reader, writer in pipes:
        os.write(writer, b"x")
        assert readiness
        os.read(reader, 10)
        assert not readiness
    os.close(first[1])


def test_the_end_of_a_pipe_is_seen(pipes: tuple[Pipe, Pipe]) -> None:
    """A pipe that nobody can write to any more has something to read: its end."""
    first, second = pipes
    readiness = Readiness([first[0], second[0]])
    os.close(first[1])
    assert readiness
