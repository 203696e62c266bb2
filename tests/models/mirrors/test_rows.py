from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asyncbridge.models.mirrors.rows import Rows, is_on_disk, rows_of, sliced

X = np.arange(10).reshape(10, 1)


def test_an_array_on_disk_is_told_by_its_type(tmp_path: Path) -> None:
    """A plain array is none, nor is what merely looks like one."""
    on_disk = np.memmap(tmp_path / "x", dtype="f4", mode="w+", shape=(3, 2))
    assert is_on_disk(on_disk)
    assert is_on_disk(on_disk[1:])
    assert not any(map(is_on_disk, [X, [on_disk], None, np.asarray(on_disk)]))


def test_rows_come_in_batches() -> None:
    """The last one may be smaller; what is not given is not there."""
    rows = Rows(X, X * 2, None, batch_size=4)
    assert rows.steps == 3
    assert [(len(x), len(y)) for x, y in rows] == [(4, 4), (4, 4), (2, 2)]
    ((x,),) = Rows(X, None, None, batch_size=16)
    assert x.tolist() == X.tolist()
    ((_, y, weight),) = Rows(X, None, X[:, 0], batch_size=16)
    assert (y, len(weight)) == (None, 10)


def test_structures_are_cut_alike() -> None:
    """Dicts and lists of several inputs keep their form."""
    (x, y), *_ = Rows({"a": X, "b": [X, X]}, X, None, batch_size=3)
    assert (len(x["a"]), [len(part) for part in x["b"]], len(y)) == (3, [3, 3], 3)
    assert rows_of({"a": [X]}) == 10
    assert sliced((X, None), 0, 2)[1] is None


def test_shuffling_keeps_rows_together() -> None:
    """The order is numpy's, drawn anew for each epoch, and the same with the same seed."""
    rows = Rows({"x": X}, X * 2, None, batch_size=4, shuffle=True)
    np.random.seed(3)  # noqa: NPY002 - what a user would do
    first, second = list(rows), list(rows)
    np.random.seed(3)  # noqa: NPY002 - as above
    assert [x["x"].tolist() for x, _ in rows] == [x["x"].tolist() for x, _ in first]
    assert [x["x"].tolist() for x, _ in first] != [x["x"].tolist() for x, _ in second]
    assert all((x["x"] * 2 == y).all() for x, y in first)
    assert sorted(np.concatenate([y for _, y in first]).ravel()) == [*range(0, 20, 2)]


def test_rows_must_agree() -> None:
    """As many targets as samples."""
    with pytest.raises(ValueError, match="have 10 and 9 rows"):
        Rows(X, X[1:], None, batch_size=4)
