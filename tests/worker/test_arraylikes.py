"""What numpy's, pandas' and scipy's objects are; the frameworks' own are under models/."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from asyncbridge.worker.arraylikes import Family, device_of, form_of, item_bytes, kind_of


class Rows(np.ndarray[Any, Any]):
    """An array by another name."""


@pytest.mark.parametrize(
    ("value", "family"),
    [
        (np.zeros(2), Family.DENSE),
        (np.zeros(2).view(Rows), Family.DENSE),
        (np.float32(1), Family.PLAIN),
        (pd.DataFrame({"a": [1]}), Family.TABLE),
        (pd.Series([1]), Family.TABLE),
        (pd.Index([1]), Family.TABLE),
        (sparse.csr_array((2, 2)), Family.SPARSE),
        (sparse.coo_matrix((2, 2)), Family.SPARSE),
        ({}, Family.PLAIN),
        (object(), Family.PLAIN),
        (pytest, Family.PLAIN),
    ],
)
def test_families(value: object, family: Family) -> None:
    """They go by class, derived ones included."""
    assert kind_of(type(value)).family is family


@pytest.mark.parametrize("package", ["tensorflow", "keras", "jax", "jaxlib", "torch"])
def test_a_framework_is_never_imported(package: str) -> None:
    """A class that says it is a framework's, where that is not imported, is none."""
    before = set(sys.modules)
    cls = type("Tensor", (), {"__module__": f"{package}.core"})
    assert kind_of(cls).family is Family.PLAIN
    assert set(sys.modules) == before


def test_classes_that_answer_anything() -> None:
    """A metaclass and a module that is no text do no harm."""

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise RuntimeError

    cls = Meta("Odd", (), {"__module__": 3})
    assert kind_of(cls).name == "<unknown>.Odd"
    assert kind_of(cls).family is Family.PLAIN


def test_a_type_is_not_kept() -> None:
    """What is known of it does not keep it alive."""
    cls = type("Short", (), {})
    gone = weakref.ref(cls)
    assert kind_of(cls) is kind_of(cls)
    del cls
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (np.zeros((150, 4), np.float32), ("float32", (150, 4))),
        (np.array(["a"]), ("str32", (1,))),
        (pd.DataFrame({"a": [1.0], "b": [2.0]}), ("float64", (1, 2))),
        (pd.DataFrame({"a": [1.0], "b": [2]}), ("mixed", (1, 2))),
        (pd.Series([1, 2]), ("int64", (2,))),
        (sparse.csr_array((2, 3), dtype=np.int8), ("int8", (2, 3))),
    ],
)
def test_forms(value: object, form: tuple[str, tuple[int, ...]]) -> None:
    """A dtype's name as numpy has it, and the shape."""
    assert form_of(value) == form


def test_bytes_of_an_item() -> None:
    """They stand in the dtype's name; of what has no size none are told."""
    sizes = {"bool": 1, "float64": 8, "bfloat16": 2, "float8_e4m3fn": 1, "int4": 1, "complex64": 8}
    assert {name: item_bytes(name) for name in sizes} == sizes
    assert item_bytes("string") == item_bytes("object") == 0


def test_an_array_is_on_no_device() -> None:
    """It lies in the process's own memory."""
    assert device_of(np.zeros(2), Family.DENSE) == ""
    assert device_of(pd.Series([1]), Family.TABLE) == ""
