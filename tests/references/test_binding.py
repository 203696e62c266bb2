"""A binding: a name to be used in code."""

from __future__ import annotations

import gc
import weakref

from asyncbridge.references.binding import Binding


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
