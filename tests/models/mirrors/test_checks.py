from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from asyncbridge.models.mirrors import checks
from asyncbridge.models.mirrors.checks import (
    AT_ONCE_BYTES,
    BatchCheck,
    KerasDataWarning,
    Site,
    find_empty,
    find_nan,
    warn_of_data,
)
from asyncbridge.models.mirrors.data import as_data

SITE = Site(filename="train.py", lineno=12)
NAN = np.nan


def rows_with_nan(rows: int, columns: int, *places: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Return ones with NaN at these places."""
    array = np.ones((rows, columns))
    for place in places:
        array[place] = NAN
    return array


# --- findings ----------------------------------------------------------------------------


def test_columns_are_named() -> None:
    """Each column with NaN is told with its number, its name if it has one, and its rows."""
    array = rows_with_nan(150, 4, (3, 2), (9, 2), (0, 3))
    frame = pd.DataFrame(array, columns=["a", "b", "petal_length", "n" * 90])
    assert find_nan("x", array) == ["x has NaN in column 2: 2 of 150 rows; column 3: 1 of 150 rows"]
    (text,) = find_nan("x", as_data(frame), frame)
    named = f"column 3 ('{'n' * 39}…'): 1 of 150 rows"
    assert text == f"x has NaN in column 2 ('petal_length'): 2 of 150 rows; {named}"


def test_samples_are_counted() -> None:
    """What has no columns is told by its samples, once each."""
    images = np.zeros((5, 2, 2, 1))
    images[[1, 3]] = NAN
    assert find_nan("x", {"image": images}) == ["x['image'] has NaN in 2 of 5 samples"]
    assert find_nan("y", np.array([1, NAN])) == ["y has NaN in 1 of 2 samples"]
    assert find_nan("w", np.array(NAN)) == ["w has NaN in 1 of 1 samples"]
    assert find_nan("z", np.array([1j * NAN])) == ["z has NaN in 1 of 1 samples"]


def test_many_columns_are_cut() -> None:
    """Five columns are told; a wide array makes no long text."""
    (text,) = find_nan("x", np.full((2, 1000), NAN))
    assert text.endswith("column 4: 2 of 2 rows; and in 995 more columns")
    assert "column 5" not in text


def test_structures_are_looked_into() -> None:
    """Each array inside is told by where it stands, and beside it the frame that it was."""
    frame = pd.DataFrame({"a": [1.0, NAN]})
    passed = (frame, [{"b": pd.Series([NAN, 1.0], name="c")}, [1, 2]])
    assert find_nan("validation_data", as_data(passed), passed) == [
        "validation_data[0] has NaN in column 0 ('a'): 1 of 2 rows",
        "validation_data[1][0]['b'] has NaN in column 0 ('c'): 1 of 2 rows",
    ]


@pytest.mark.parametrize(
    "value",
    [
        np.array([np.inf, -np.inf]),
        np.full(10_000, 60_000, dtype=np.float16),
        np.array([1, 2]),
        np.array(["nan"]),
        np.empty((0, 3)),
        np.empty((3, 0, 2)),
        [1.0, None],
        None,
    ],
)
def test_no_nan_is_found_where_none_is(value: object) -> None:
    """Infinities, sums that overflow, other dtypes and nothing at all are no NaN."""
    assert find_nan("x", value) == []


@given(
    arrays.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.complex64]),
        arrays.array_shapes(max_dims=4, min_side=0),
    )
)
def test_nan_is_found_exactly_where_there_is(array: np.ndarray[Any, Any]) -> None:
    """Whatever the numbers are: something is found if a value is NaN, and only then."""
    assert bool(find_nan("x", array)) == bool(np.isnan(array).any())


def test_blocks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An array that is looked at in parts has the counts of the whole."""
    monkeypatch.setattr(checks, "_BLOCK_BYTES", 100)
    array = rows_with_nan(50, 3, (0, 0), (20, 0), (49, 0), (49, 2))
    assert find_nan("x", array) == ["x has NaN in column 0: 3 of 50 rows; column 2: 1 of 50 rows"]


def test_arrays_without_samples_are_found() -> None:
    """The first axis counts the samples; a number has none to lack."""
    value = {"a": np.empty((0, 3)), "b": np.ones((1, 0)), "c": np.array(1.0)}
    assert find_empty("x", value) == ["x['a'] has no samples: its shape is (0, 3)"]


# --- warnings ----------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line has warned yet."""
    monkeypatch.setattr(checks, "_registries", {})


def warn(loop: asyncio.AbstractEventLoop, **data: object) -> None:
    """Check data as it was passed."""
    converted = {name: as_data(value) for name, value in data.items()}
    warn_of_data(converted, data, site=SITE, loop=loop)


@pytest.mark.asyncio
async def test_the_warning_names_the_users_line() -> None:
    """The warning is one for the whole call, at the line that made it, with what to do."""
    frame = pd.DataFrame({"a": [1.0, NAN]})
    with pytest.warns(KerasDataWarning) as caught:
        warn(asyncio.get_running_loop(), x=frame, y=[0.0, NAN], sample_weight=None)
    (warning,) = caught
    assert (warning.filename, warning.lineno) == ("train.py", 12)
    assert str(warning.message) == (
        "x has NaN in column 0 ('a'): 1 of 2 rows. y has NaN in 1 of 2 samples: NaN spreads to "
        "the loss, to all weights and to the predictions; drop those rows, or fill the gaps "
        "(DataFrame.dropna() and fillna(), numpy.nan_to_num())"
    )


@pytest.mark.asyncio
async def test_data_without_samples_is_warned_of() -> None:
    """Keras trains on no samples without a word; the warning says so."""
    with pytest.warns(KerasDataWarning, match="x has no samples: its shape is \\(0, 4\\)"):
        warn(asyncio.get_running_loop(), x=np.empty((0, 4)))


@pytest.mark.asyncio
async def test_good_data_is_silent() -> None:
    """No warning without a reason, and warnings are errors here."""
    warn(asyncio.get_running_loop(), x=np.ones((3, 2)), y=["a", "b", "c"])


@pytest.mark.asyncio
async def test_many_arrays_are_cut() -> None:
    """Five arrays are told, the rest is counted."""
    with pytest.warns(KerasDataWarning, match=r"x\[4\] has NaN.*and 3 more arrays: NaN spreads"):
        warn(asyncio.get_running_loop(), x=[np.array([NAN])] * 8)


@pytest.mark.asyncio
async def test_a_line_warns_once() -> None:
    """Under Python's default filter a loop of calls says the same thing once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            warn(asyncio.get_running_loop(), x=[NAN])
    assert len(caught) == 1


@pytest.mark.asyncio
async def test_as_an_error_it_stops_the_call() -> None:
    """A filter that makes errors of warnings keeps the data from being sent."""
    with pytest.raises(KerasDataWarning):
        warn(asyncio.get_running_loop(), x=[NAN])


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """Return the threads in which arrays are looked at."""
    seen: list[threading.Thread] = []
    look: Callable[..., list[str]] = checks._nan_in

    def looking(parts: Any) -> list[str]:
        seen.append(threading.current_thread())
        return look(parts)

    monkeypatch.setattr(checks, "_nan_in", looking)
    return seen


@pytest.mark.asyncio
async def test_large_data_is_checked_aside(threads: list[threading.Thread]) -> None:
    """Over 4 MiB the call returns before the check, which is no work of the loop's thread."""
    shown = asyncio.Event()
    places: list[tuple[str, str, int]] = []

    def show(message: object, _: object, filename: str, lineno: int, *__: object) -> None:
        assert threading.current_thread() is threading.main_thread()
        places.append((str(message), filename, lineno))
        shown.set()

    large = np.ones((AT_ONCE_BYTES // 16, 2))
    warn(asyncio.get_running_loop(), x=large[:, :1].copy())
    assert threads == [threading.main_thread()]
    large = np.append(large, [[NAN, 1]], axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show  # type: ignore[assignment]  # it takes them by position
        warn(asyncio.get_running_loop(), x=large)
        assert not places
        await shown.wait()
    assert threads[-1] is not threading.main_thread()
    ((text, filename, lineno),) = places
    assert text.startswith("x has NaN in column 0: 1 of 262145 rows: NaN spreads")
    assert (filename, lineno) == ("train.py", 12)


@pytest.mark.asyncio
async def test_large_data_from_another_thread(threads: list[threading.Thread]) -> None:
    """A script's thread, which is not the loop's, hands the check to the loop."""
    loop, shown = asyncio.get_running_loop(), asyncio.Event()
    large = np.full((AT_ONCE_BYTES // 8 + 1,), NAN)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda *_, **__: shown.set()
        await asyncio.to_thread(warn, loop, x=large)
        await shown.wait()
    assert threads[0] is not threading.main_thread()


def test_the_first_batch_with_nan_is_warned_of() -> None:
    """By its number and its part, at the line that was named; no other is looked at."""
    look = BatchCheck("x", SITE)
    good, bad = np.ones((2, 2)), np.array([[1, NAN], [1, 1]])
    look((good, good), 0)
    told = r"^batch 1: y has NaN in column 1: 1 of 2 rows: NaN spreads"
    with pytest.warns(KerasDataWarning, match=told) as caught:
        look((good, bad), 1)
    assert (caught[0].filename, caught[0].lineno) == (SITE.filename, SITE.lineno)
    look(bad, 2)


def test_a_batch_of_a_validation_is_called_so() -> None:
    """Its samples alone may be all of it."""
    with pytest.warns(KerasDataWarning, match=r"^validation_data, batch 0: x has NaN in 1 of 2"):
        BatchCheck("validation_data", SITE)(np.array([1, NAN]), 0)
