"""Bindings that are too large: the one to blame is named, with what helps for its kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from asyncbridge.client.weights import check_weight
from asyncbridge.errors import TooLarge
from asyncbridge.serialization.codec import draft, encode

ARRAY = np.zeros(10_000, np.uint8)


def check(limit: int = 5000, **bindings: Any) -> None:
    """Check bindings as ``send`` does, in both forms that it makes of them."""
    for write in (draft, encode):
        check_weight(write(bindings), bindings, limit=limit, one_hot=True)


def test_what_is_small_enough() -> None:
    """Up to the limit; 0 is none."""
    size = encode({"x": ARRAY}).size
    check(size, x=ARRAY)
    check(0, x=ARRAY)
    with pytest.raises(TooLarge, match=f"where the limit is {size - 1}: "):
        check(size - 1, x=ARRAY)


@pytest.mark.parametrize(
    ("value", "kind", "advice"),
    [
        (ARRAY, "ndarray", r"map it from a file by asyncbridge\.by_path\(\), or raise the limit"),
        ("x" * 10_000, "str", "have the worker read it from a file, or raise"),
        (b"x" * 10_000, "bytes", "have the worker read it from a file, or raise"),
        ([["a", 1.5]] * 1000, "list", "send its numbers as numpy arrays, or parts of it, or raise"),
        (pd.DataFrame({"a": ARRAY}), "DataFrame", r"send parts of it, or raise the .*both sides$"),
    ],
)
def test_the_advice_is_for_the_kind(value: object, kind: str, advice: str) -> None:
    """With the type and the bytes that it has, the others of the command included."""
    text = rf'^bindings\["x"\]: a value of type {kind} with 1\d{{4}} bytes where .*{advice}'
    with pytest.raises(TooLarge, match=text):
        check(x=value)
    others = r'^bindings\["x"\]: .* with 1\d{4} bytes, 1\d{4} with the other bindings, where'
    with pytest.raises(TooLarge, match=others) as caught:
        check(a=1, x=value, z="small")
    assert caught.value.path == 'bindings["x"]'


def test_the_heaviest_is_named() -> None:
    """Of several, by what they are on the wire."""
    with pytest.raises(TooLarge, match=r'^bindings\["x"\]: .* with 1\d{4} bytes, 1\d{4} with'):
        check(a=["text"] * 100, x=ARRAY, z=0.5)
