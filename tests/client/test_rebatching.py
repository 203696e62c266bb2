from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.client.rebatching import Rebatcher


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 12))
def test_rows_keep_their_order(lengths: list[int], size: int) -> None:
    """All batches but the last have the size, whatever the chunks were."""
    batches = Rebatcher(size)
    rows = np.arange(sum(lengths))
    cuts = np.split(rows, np.cumsum(lengths)[:-1]) if lengths else []
    given_out = [batch for cut in cuts for batch in batches.feed(cut)]
    given_out += list(batches.rest())
    sizes = [len(batch) for batch in given_out]  # type: ignore[arg-type]
    assert all(each == size for each in sizes[:-1])
    assert all(0 < each <= size for each in sizes)
    joined = np.concatenate(given_out) if given_out else rows[:0]  # type: ignore[arg-type]
    assert joined.tolist() == rows.tolist()


def test_structures_are_cut_alike() -> None:
    """Tuples, lists and dicts of arrays keep their form; None stays None."""
    batches = Rebatcher(2)
    chunk = ({"a": np.arange(3)}, [np.arange(3) * 10], None)
    (first,) = batches.feed(chunk)
    (second,) = batches.rest()
    assert isinstance(first, tuple)
    assert isinstance(second, tuple)
    assert (first[0]["a"].tolist(), first[1][0].tolist(), first[2]) == ([0, 1], [0, 10], None)
    assert (second[0]["a"].tolist(), second[1][0].tolist()) == ([2], [20])


def test_rows_must_agree() -> None:
    """A chunk whose arrays have different lengths is refused."""
    with pytest.raises(ValueError, match="one number of rows, not 2 and 3"):
        list(Rebatcher(2).feed((np.arange(2), np.arange(3))))
    with pytest.raises(ValueError, match="one number of rows, not no"):
        list(Rebatcher(2).feed(()))
