"""What the package offers."""

from __future__ import annotations

from asyncbridge import references


def test_exports() -> None:
    """The package's names are these, and all of them are there."""
    assert sorted(references.__all__) == [
        "Binding",
        "PromisedValue",
        "Ref",
        "Remote",
        "RemoteExpression",
        "RemoteModule",
        "Residence",
    ]
    assert all(hasattr(references, name) for name in references.__all__)
