from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

import asyncbridge
from asyncbridge import decisions


def test_all_are_public() -> None:
    """Under the names that the paper's actions have got here."""
    for name in ("DropQueue", "Ignore", "Raise", "Replace", "Retry"):
        assert getattr(asyncbridge, name) is getattr(decisions, name)


def test_decisions_are_plain_data() -> None:
    """They compare by what they say, and do not change."""
    assert decisions.Replace("1", {"a": 2}) == decisions.Replace(code="1", bindings={"a": 2})
    assert decisions.Retry() != decisions.Retry(code="1")
    ignore = decisions.Ignore()
    assert (ignore.value, repr(ignore)) == (None, "Ignore(value=None)")
    with pytest.raises(FrozenInstanceError):
        ignore.value = 1  # type: ignore[misc]
    retry = decisions.Retry(bindings={"a": 1})
    assert repr(replace(retry, code="a")) == "Retry(bindings={'a': 1}, code='a')"
    with pytest.raises(FrozenInstanceError):
        retry.code = "1"  # type: ignore[misc]
    assert copy.deepcopy(retry) == pickle.loads(pickle.dumps(retry)) == retry


@pytest.mark.parametrize("given", ["a + b", {"a": 1}])
def test_a_retry_takes_its_arguments_by_name(given: Any) -> None:
    """It has them the other way round than a replacement: the refusal shows how."""
    with pytest.raises(TypeError, match=r"Retry\(bindings=\{...\}\) or Retry\(code=...\)"):
        decisions.Retry(given)
