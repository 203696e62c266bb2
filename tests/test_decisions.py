from __future__ import annotations

from dataclasses import FrozenInstanceError

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
