from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.errors import DecodeError
from asyncbridge.transport.compression import (
    REMEMBERED,
    Judge,
    compress,
    decompress_into,
    pays,
)

MB = 1e6
POSITIVE = st.floats(1e-3, 1e12)


@pytest.mark.parametrize(
    ("ratio", "link", "speed", "expected"),
    [
        (0.5, 10 * MB, 500 * MB, True),  # a slow network
        (0.5, 2000 * MB, 500 * MB, False),  # one that is faster than compression
        (0.95, 10 * MB, 500 * MB, False),  # data that hardly shrinks
        (1.0, 10 * MB, 500 * MB, False),  # data that does not
        (0.01, 450 * MB, 500 * MB, False),  # a core for a tenth of the time
        (0.01, 390 * MB, 500 * MB, True),
    ],
)
def test_pays(ratio: float, link: float, speed: float, expected: bool) -> None:
    """What counts is how much sooner the data is there."""
    assert pays(ratio=ratio, link=link, speed=speed) is expected


@given(st.floats(0.81, 2.0), POSITIVE, POSITIVE)
def test_never_for_data_that_does_not_shrink(ratio: float, link: float, speed: float) -> None:
    """On no network and no machine."""
    assert not pays(ratio=ratio, link=link, speed=speed)


def test_the_first_chunks_are_tried() -> None:
    """One chunk times the network, the next one the compression; then it is known."""
    judge = Judge()
    assert not judge.wants()
    judge.sent(int(10 * MB), 1.0)
    assert judge.wants()
    assert judge.compressed(1000, 100, 1e-6)
    assert judge.wants()


def test_data_that_does_not_shrink_is_tried_from_time_to_time() -> None:
    """A try costs little, and the data may be of another kind by then."""
    judge = Judge()
    judge.sent(int(10 * MB), 1.0)
    assert judge.wants()
    assert not judge.compressed(1000, 1000, 1e-6)
    assert [judge.wants() for _ in range(REMEMBERED + 1)] == [False] * REMEMBERED + [True]


def test_a_network_on_which_nothing_is_tried() -> None:
    """On a very fast one compression is not even tried, until it gets slower."""
    judge = Judge()
    judge.sent(int(3000 * MB), 1.0)
    assert not judge.wants()
    for _ in range(4):
        judge.sent(int(100 * MB), 1.0)
    assert judge.wants()


def test_a_network_that_gets_faster() -> None:
    """What was worth it is not any more."""
    judge = Judge()
    judge.sent(int(10 * MB), 1.0)
    assert judge.wants()
    assert judge.compressed(1000, 500, 1000 / (500 * MB))
    for _ in range(4):
        judge.sent(int(5000 * MB), 1.0)
    assert not judge.wants()


def test_a_chunk_comes_back() -> None:
    """Byte for byte, into memory that is there."""
    pytest.importorskip("zstandard")
    data = b"abc" * 100_000
    packed = compress(data)
    assert len(packed) < 1000
    target = bytearray(len(data))
    decompress_into(packed, memoryview(target))
    assert target == data


@pytest.mark.parametrize("size", [299_999, 300_001, 0])
def test_a_chunk_of_another_size(size: int) -> None:
    """One that holds more or less than its head says is refused, and nothing larger is made."""
    pytest.importorskip("zstandard")
    with pytest.raises(DecodeError, match=f"does not hold the {size} bytes"):
        decompress_into(compress(b"abc" * 100_000), memoryview(bytearray(size)))


def test_a_damaged_chunk() -> None:
    """Whatever the bytes are, the answer is an error of ours, or a wrong sum finds it."""
    pytest.importorskip("zstandard")
    chance = random.Random(5)
    data = bytes(range(256)) * 40
    packed = compress(data)
    refused = 0
    for _ in range(300):
        damaged = bytearray(packed)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        try:
            decompress_into(damaged, memoryview(bytearray(len(data))))
        except DecodeError:
            refused += 1
    assert 0 < refused < 300
