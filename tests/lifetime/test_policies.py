"""The names of the lifetimes."""

from __future__ import annotations

import pytest

from asyncbridge.lifetime.policies import LIFETIMES, check_lifetime


@pytest.mark.parametrize("lifetime", ["eternal", "command", "collected"])
def test_the_three(lifetime: str) -> None:
    """The paper's three lifetimes pass."""
    check_lifetime(lifetime)
    assert len(LIFETIMES) == 3


@pytest.mark.parametrize("lifetime", ["", "Eternal", "forever"])
def test_any_other(lifetime: str) -> None:
    """Anything else is refused, and the text lists what there is."""
    with pytest.raises(ValueError, match=f"{lifetime!r}: use one of eternal, command, collected"):
        check_lifetime(lifetime)
