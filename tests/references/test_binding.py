"""A binding: a name to be used in code."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from asyncbridge.codegen import render
from asyncbridge.errors import StaleReference
from asyncbridge.references.binding import Binding
from asyncbridge.references.code import RemoteCode

if TYPE_CHECKING:
    from tests.references.conftest import Home


def test_text() -> None:
    """A binding stands in code as its name; its repr tells the lifetime."""
    binding = Binding("x", "collected")
    assert f"{binding} + 1" == "x + 1"
    assert repr(binding) == "<Binding x collected>"


def test_identity() -> None:
    """Two bindings of a name are two objects: each is collected on its own."""
    assert len({Binding("x", "eternal"), Binding("x", "eternal")}) == 2


def test_collected_at_once() -> None:
    """Nothing keeps a binding but who holds it, and it needs no collector to go."""
    gc.disable()
    try:
        binding = Binding("x", "collected")
        gone = weakref.ref(binding)
        del binding
        assert gone() is None
    finally:
        gc.enable()


def stale(binding: Binding, home: Home) -> str:
    """Return why a binding is of no use."""
    with pytest.raises(StaleReference) as caught:
        binding._code(RemoteCode(home))
    return str(caught.value)


def test_in_the_code_of_another_bridge(home: Home) -> None:
    """It is refused: its name may stand for something there, too."""
    other = type(home)()
    binding = Binding("x", "eternal", other)
    assert render(binding._code(RemoteCode(other))) == "x"
    with pytest.raises(ValueError, match="is in the worker of another bridge"):
        binding._code(RemoteCode(home))


def test_once_it_is_released(home: Home) -> None:
    """As an operand, too, it stands for nothing."""
    binding = Binding("x", "collected", home)
    binding._released = "by delete()"
    assert stale(binding, home) == "<Binding x collected> was released: by delete()"


def test_once_its_lease_is_over(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker lets the name go without a word, and another client may take it."""
    now = 100.0
    monkeypatch.setattr(Binding, "_clock", lambda _: now)
    binding, longer = (Binding("x", "leased for 5 s", home)._begun(5) for _ in range(2))
    Binding("x", "eternal", home)._begun(0)._prolong(300)
    longer._prolong(300)
    now = 104.9
    assert render(binding._code(RemoteCode(home))) == "x"
    now = 105.0
    assert "its lease of 5 s is over" in stale(binding, home)
    now = 399.9
    assert render(longer._code(RemoteCode(home))) == "x"
    now = 400.0
    assert "its lease of 300 s is over" in stale(longer, home)
