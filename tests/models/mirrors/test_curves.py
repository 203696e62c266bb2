from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.models.mirrors.curves import (
    number,
    printable,
    range_of,
    sparkline,
    text_of,
    thin,
    ticks,
)

NAN = math.nan
VALUES = st.one_of(st.floats(-1e300, 1e300), st.just(NAN))


@pytest.mark.parametrize("value", [0, 1.5, -3, True, 1e300, np.float64(2)])
def test_a_number_can_be_drawn(value: Any) -> None:
    """Integers and floats are floats."""
    assert number(value) == float(value)


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf, 1e301, 10**400, "1", None, [1.0]])
def test_what_cannot_be_drawn_is_a_gap(value: Any) -> None:
    """What is not finite, too large for a difference, or no number, becomes NaN."""
    assert math.isnan(number(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (3, "3"),
        (NAN, "nan"),
        (math.inf, "inf"),
        ([0.5, [1.0, 2]], "[0.5, [1, 2]]"),
        ([0.0] * 9, "[0, 0, 0, 0, 0, 0, 0, 0, ...]"),
        ("a\x1b[31m", "a\ufffd[31m"),
        (10**400, "1" + "0" * 18 + "…"),
    ],
)
def test_values_have_short_texts(value: Any, text: str) -> None:
    """Four digits, eight values of a list, twenty letters."""
    assert text_of(value) == text


def test_a_text_is_cut_and_made_harmless() -> None:
    """Control characters and lone surrogates are replaced, which XML does not have."""
    assert printable("loss", 4) == "loss"
    assert printable("losses", 4) == "los…"
    assert printable("a\x00\x1b\ud800\u202eb", 9) == "a\ufffd\ufffd\ufffd\ufffdb"


def test_a_short_curve_is_not_thinned() -> None:
    """Two points for each column are all kept."""
    points = [(epoch, float(epoch)) for epoch in range(8)]
    assert thin(points, 4) == points
    assert thin([], 4) == []


def test_thinning_keeps_what_can_be_seen() -> None:
    """The least and the largest value of each column stay, in the order of their epochs."""
    points = [(epoch, float(epoch % 5)) for epoch in range(1_000)]
    points[500] = (500, 99.0)
    points[503] = (503, -99.0)
    kept = thin(points, 10)
    assert len(kept) == 20
    assert {(500, 99.0), (503, -99.0)} <= set(kept) <= set(points)
    assert [epoch for epoch, _ in kept] == sorted(epoch for epoch, _ in kept)


def test_thinning_keeps_gaps() -> None:
    """A column with a gap has one behind the thinning, and a column of gaps is one."""
    points = [(epoch, NAN if epoch % 100 == 50 else 1.0 * epoch) for epoch in range(1_000)]
    kept = thin(points, 10)
    assert sum(math.isnan(value) for _, value in kept) == 10
    assert all(math.isnan(value) for _, value in thin([(at, NAN) for at in range(99)], 10))


@given(st.lists(VALUES, max_size=200), st.integers(1, 20))
def test_a_thinned_curve_is_bounded(values: list[float], columns: int) -> None:
    """There are at most three points for each column, and the extremes are among them."""
    kept = thin(list(enumerate(values)), columns)
    drawn = [value for value in values if not math.isnan(value)]
    left = [value for _, value in kept if not math.isnan(value)]
    assert len(kept) <= 3 * columns
    assert bool(left) == bool(drawn)
    if drawn:
        assert (min(left), max(left)) == (min(drawn), max(drawn))


def test_a_sparkline_goes_from_the_lowest_to_the_highest_block() -> None:
    """The least value is the lowest block, the largest the full one, NaN a space."""
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([1.0, NAN, 0.0], 5) == "█ ▁  "
    assert sparkline([2.0, 2.0], 3) == "▅▅ "
    assert sparkline([NAN], 2) == sparkline([], 2) == "  "


def test_a_long_sparkline_shows_means() -> None:
    """Each block is the mean of some values, without those that are NaN."""
    assert sparkline([0.0] * 50 + [0.0, 2.0] * 25 + [NAN] * 25 + [2.0] * 25, 3) == "▁▅█"


@given(st.lists(VALUES, max_size=99), st.integers(1, 30))
def test_a_sparkline_has_its_width(values: list[float], width: int) -> None:
    """Whatever the values are, there are so many characters."""
    assert len(sparkline(values, width)) == width


def test_an_axis_has_room_around_the_values() -> None:
    """The ends lie a little beyond; a flat curve, and none, have an axis as well."""
    assert range_of([0.0, NAN, 10.0]) == (-0.5, 10.5)
    assert range_of([2.0, 2.0]) == (1.8, 2.2)
    assert range_of([0.0]) == (-1.0, 1.0)
    assert range_of([NAN]) == range_of([])


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (-0.3, 0.31, ["-0.2", "0", "0.2"]),
        (0.69314, 0.69316, ["0.693140", "0.693145", "0.693150", "0.693155", "0.693160"]),
        (0, 6e-9, ["0", "2e-09", "4e-09", "6e-09"]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, texts: list[str]) -> None:
    """They are as short as tells one from the next."""
    found = [text for _, text in ticks(low, high, 5)]
    assert [float(text) for text in found] == pytest.approx([float(text) for text in texts], abs=0)
    assert len(set(found)) == len(found)


def test_whole_ticks_are_integers() -> None:
    """Epochs are counted by ones, and written out."""
    assert [text for _, text in ticks(0, 3, 5, whole=True)] == ["0", "1", "2", "3"]
    assert [text for _, text in ticks(-0.5, 0.5, 5, whole=True)] == ["0"]
    assert [text for _, text in ticks(0, 200_000, 5, whole=True)][1] == "50000"


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=5))
def test_every_axis_has_ticks(values: list[float]) -> None:
    """There are a few, all of them on the axis, whatever the values are."""
    low, high = range_of(values)
    found = ticks(low, high, 5)
    assert 2 <= len(found) <= 8
    assert all(
        low <= at <= high or math.isclose(at, low) or math.isclose(at, high) for at, _ in found
    )
    assert len({text for _, text in found}) == len(found)
