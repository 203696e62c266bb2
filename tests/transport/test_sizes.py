"""Limits: where they come from, and what is said at them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asyncbridge.errors import TooLarge
from asyncbridge.transport.sizes import (
    CACHE_VARIABLE,
    LARGEST_VARIABLE,
    bytes_of_environment,
    cache_bytes,
    check_size,
    largest_value,
    memory_of_machine,
)


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (CACHE_VARIABLE, LARGEST_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def test_the_memory_of_the_machine(tmp_path: Path) -> None:
    """What there is, or what the control group allows, if that is less."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    group = tmp_path / "memory.max"
    assert memory_of_machine(str(group)) == physical
    for text, expected in [("max\n", physical), ("4096\n", 4096), (str(2**62), physical)]:
        group.write_text(text, encoding="ascii")
        assert memory_of_machine(str(group)) == expected


def test_what_is_given_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the variable, then the machine's memory, or a part of it."""
    assert largest_value(None) == memory_of_machine()
    assert cache_bytes(None) == memory_of_machine() // 8
    monkeypatch.setenv(LARGEST_VARIABLE, "7")
    monkeypatch.setenv(CACHE_VARIABLE, "0")
    assert (largest_value(None), cache_bytes(None)) == (7, 0)
    assert (largest_value(9), cache_bytes(8)) == (9, 8)


@pytest.mark.parametrize("text", ["much", "-1", "1e9", "٣", "1G", "1.5", "²"])
def test_a_variable_that_is_no_number(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """It is named, with what stands in it."""
    monkeypatch.setenv(LARGEST_VARIABLE, text)
    with pytest.raises(ValueError, match=f"{LARGEST_VARIABLE}='{text}'"):
        bytes_of_environment(LARGEST_VARIABLE)


@pytest.mark.parametrize(("text", "limit"), [("", None), ("0", 0), ("1024", 1024)])
def test_the_variable(monkeypatch: pytest.MonkeyPatch, text: str, limit: int | None) -> None:
    """It is a number of bytes, or not given."""
    monkeypatch.setenv(LARGEST_VARIABLE, text)
    assert bytes_of_environment(LARGEST_VARIABLE) == limit


def test_the_error_names_the_sizes() -> None:
    """And says what to do; a limit of 0 is none."""
    check_size("the value", 5, 5, "less")
    check_size("the value", 5, 0, "less")
    with pytest.raises(TooLarge, match=r"the value has 6 bytes, and the limit is 5: less"):
        check_size("the value", 6, 5, "less")
