"""Buffers that are made when they leave."""

from __future__ import annotations

import pytest

from asyncbridge.serialization.deferred import DEFERRED_ABOVE, LaterBytes, size_of, whole

SIZE = 3 * DEFERRED_ABOVE + 7
CONTENT = bytes(index % 251 for index in range(SIZE))


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_its_bytes_are_those_of_the_original(kind: type[bytearray | memoryview]) -> None:
    """All of them."""
    later = LaterBytes(kind(CONTENT))
    assert size_of(later) == SIZE
    assert whole(later) == CONTENT


def test_a_view_with_gaps() -> None:
    """Only what it shows is copied."""
    view = memoryview(CONTENT)[::2]
    assert whole(LaterBytes(view)) == view.tobytes()


def test_the_owner_may_resize_a_bytearray() -> None:
    """What is cut off reads as zeros, and no memory beyond it."""
    value = bytearray(CONTENT)
    later = LaterBytes(value)
    del value[10:]
    assert whole(later) == CONTENT[:10] + bytes(SIZE - 10)


def test_it_is_broken_off_between_two_pieces() -> None:
    """And says so."""
    answers = iter([True, True, False])
    target = memoryview(bytearray(SIZE))
    assert not LaterBytes(bytearray(CONTENT)).write(target, going_on=lambda: next(answers))
    assert target[: 2 * DEFERRED_ABOVE] == CONTENT[: 2 * DEFERRED_ABOVE]
    assert not any(target[2 * DEFERRED_ABOVE :])


def test_a_buffer_that_is_there_is_itself() -> None:
    """Nothing is copied."""
    assert whole(CONTENT) is CONTENT
    assert size_of(CONTENT) == SIZE
