"""The room's public names."""

from __future__ import annotations

from asyncbridge import codegen


def test_all_is_complete_and_without_doubles() -> None:
    """``__all__`` names every class and function that the package brings, once."""
    public = {
        name
        for name, value in vars(codegen).items()
        if getattr(value, "__module__", "").startswith("asyncbridge.codegen.")
    }
    assert public | {"MAX_DEPTH"} == set(codegen.__all__)
    assert len(codegen.__all__) == len(set(codegen.__all__))
