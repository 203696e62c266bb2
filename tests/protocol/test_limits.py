"""Bounds, and the gauges that count against them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.protocol.limits import (
    BULK_THRESHOLD,
    FRAME_BYTES,
    HEADER_BYTES,
    INLINE_BYTES,
    Bound,
    Gauge,
)


@pytest.mark.parametrize(("count", "size"), [(0, 1), (1, 0), (-1, 5), (5, -1)])
def test_a_bound_lets_something_through(count: int, size: int) -> None:
    """A bound of nothing is refused, with both numbers in the text."""
    with pytest.raises(ValueError, match=rf"count={count}, size={size}"):
        Bound(count=count, size=size)


def test_the_largest_message_fits_a_frame() -> None:
    """A message at every limit of its parts still leaves room in a frame."""
    assert BULK_THRESHOLD <= INLINE_BYTES
    assert HEADER_BYTES + INLINE_BYTES + BULK_THRESHOLD < FRAME_BYTES


def test_bounded_by_count() -> None:
    """A gauge is full at its count, however small the items."""
    gauge = Gauge(Bound(count=2, size=100))
    gauge.take(0)
    assert gauge.fits(0)
    gauge.take(0)
    assert not gauge.fits(0)


def test_bounded_by_size() -> None:
    """The last byte fits, and not one more."""
    gauge = Gauge(Bound(count=10, size=100))
    gauge.take(60)
    assert gauge.fits(40)
    assert not gauge.fits(41)


def test_empty_takes_any_size() -> None:
    """One item over the size bound passes when nothing else is held, and then nothing does."""
    gauge = Gauge(Bound(count=10, size=100))
    assert gauge.fits(1000)
    gauge.take(1000)
    assert not gauge.fits(0)
    gauge.give(1000)
    assert gauge.fits(1000)


def test_repr() -> None:
    """The repr tells what is held of what."""
    gauge = Gauge(Bound(count=10, size=100))
    gauge.take(7)
    assert repr(gauge) == "<Gauge 1/10 items, 7/100 bytes>"


def test_a_gauge_reads_as_plain_words() -> None:
    """An error that shows it shows counts and sizes."""
    gauge = Gauge(Bound(count=10, size=4 * 2**20))
    gauge.take(2**20)
    assert str(gauge) == "1 of 10 commands, 1.0 of 4.0 MiB"


@given(
    bound=st.builds(Bound, count=st.integers(1, 5), size=st.integers(1, 50)),
    steps=st.lists(st.one_of(st.none(), st.integers(0, 60)), max_size=40),
)
def test_never_over_its_bound(bound: Bound, steps: list[int | None]) -> None:
    """Whoever asks first never holds more than the bound, but for a single item; sums are exact."""
    gauge = Gauge(bound)
    held: list[int] = []
    for size in steps:
        if size is None:
            if held:
                gauge.give(held.pop(0))
        elif gauge.fits(size):
            gauge.take(size)
            held.append(size)
        assert (gauge.count, gauge.size) == (len(held), sum(held))
        assert len(held) <= bound.count
        assert sum(held) <= bound.size or len(held) == 1
