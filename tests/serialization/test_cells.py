"""What is refused inside data frames is told by column and row, as their owner knows them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from asyncbridge.errors import SerializationError
from asyncbridge.serialization import encode
from asyncbridge.serialization.cells import column_step

BAD = object()
SPARSE = pd.array([1, 0, 0, 1], dtype="Sparse[int]")


def objects(*items: object) -> pd.Series:
    """Return a column of objects."""
    return pd.Series([*items], dtype=object)


def path_of(value: object) -> str:
    """Return the path that a refusal of a binding tells."""
    with pytest.raises(SerializationError) as caught:
        encode({"df": value}, path="bindings")
    assert str(caught.value).startswith(f"{caught.value.path}: ")
    return caught.value.path


def frame(**columns: Any) -> pd.DataFrame:
    """Return a frame with a sound column ahead of these."""
    return pd.DataFrame({"id": [1, 2, 3, 4], **columns})


def with_parts(**parts: Any) -> pd.DataFrame:
    """Return a frame of which something else than a cell is set."""
    made = frame()
    for name, part in parts.items():
        setattr(made, name, part)
    return made


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (frame(price=objects(1, 2, 3, BAD)), '["price"][3]'),
        (frame(price=objects(1, {"a": [BAD]}, 3, 4)), '["price"][1]["a"][0]'),
        (frame(price=objects(1, objects(BAD), 3, 4)), '["price"][1][0]'),
        (frame(price=SPARSE), '["price"]'),
        (frame(kind=pd.Categorical([BAD] * 4)), '["kind"].categories[0]'),
        (with_parts(index=pd.Index([1, 2, BAD, 4])), ".index[2]"),
        (with_parts(columns=pd.Index([BAD])), ".columns[0]"),
        (with_parts(attrs={"unit": BAD}), '.attrs["unit"]'),
        (with_parts(index=pd.MultiIndex.from_product([[1, 2], [3, BAD]])), ".index.levels[1][1]"),
        (objects(1, BAD), "[1]"),
        (pd.Series([1], name=(1, BAD)), ".name[1]"),
        (pd.Series(SPARSE), ""),
        (pd.Index([1, BAD]), "[1]"),
    ],
)
def test_the_place_of_what_is_refused(value: object, path: str) -> None:
    """Cells by column and row, rows by position; all else by its attribute."""
    assert path_of(value) == f'bindings["df"]{path}'


def test_a_column_whose_dtype_is_refused_is_named() -> None:
    """The text says the dtype and what to do, behind the column."""
    text = r'^bindings\["df"\]\["price"\]: a column of dtype Sparse.* convert it with astype'
    with pytest.raises(SerializationError, match=text):
        encode({"df": frame(price=SPARSE)}, path="bindings")


@pytest.mark.parametrize(
    ("labels", "step"),
    [
        (["a", "b"], '["b"]'),
        ([1, 2], "[2]"),
        ([0.5, True], "[true]"),
        (["a", "a"], ".iloc[:, 1]"),
        ([("a", 1), ("b", 2)], ".iloc[:, 1]"),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), ".iloc[:, 1]"),
    ],
)
def test_columns_that_a_name_does_not_tell_are_told_by_place(labels: Any, step: str) -> None:
    """Names that are there twice, and those that are no plain values."""
    made = pd.DataFrame([[1, 2]], columns=labels)
    assert column_step(made, 1) == step.replace("true", "True")


def test_a_cell_that_holds_itself_is_a_cycle() -> None:
    """Both ends of it are told so."""
    cell: list[Any] = []
    cell.append(cell)
    text = r'^bindings\["df"\]\["c"\]\[0\]\[0\]: cyclic value: this is bindings\["df"\]\["c"\]\[0\]'
    with pytest.raises(SerializationError, match=text):
        encode({"df": frame(c=objects(cell, 1, 2, 3))}, path="bindings")
