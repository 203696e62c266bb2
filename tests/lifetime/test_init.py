"""What the package offers."""

from __future__ import annotations

from asyncbridge import lifetime


def test_exports() -> None:
    """The package's names are these, and all of them are there."""
    assert sorted(lifetime.__all__) == [
        "Collected",
        "Eternal",
        "Finalizers",
        "Hold",
        "LIFETIMES",
        "Leased",
        "Lifetime",
        "PerCommand",
        "Policy",
        "Terms",
        "policy_of",
    ]
    assert all(hasattr(lifetime, name) for name in lifetime.__all__)
