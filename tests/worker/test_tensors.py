from __future__ import annotations

import sys

import pytest

from asyncbridge.worker.tensors import find


def test_what_is_no_frameworks_is_left_alone() -> None:
    """Builtins and an app's own classes are no tensors."""
    for kind in (int, list, type("Tensor", (), {})):
        assert find(kind) is None


@pytest.mark.parametrize("package", ["tensorflow", "keras", "jax", "jaxlib", "torch"])
def test_a_framework_is_never_imported(package: str) -> None:
    """A class that says it is a framework's, where that is not imported, is none."""
    before = set(sys.modules)
    kind = type("Tensor", (), {"__module__": f"{package}.core"})
    assert package not in sys.modules
    assert find(kind) is None
    assert set(sys.modules) == before
