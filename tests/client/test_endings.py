"""How commands have ended, without a word of those that gave a value."""

from __future__ import annotations

from asyncbridge.client.endings import KEPT, Endings
from asyncbridge.errors import RemoteError, ResultExpired


def test_what_is_not_noted_gave_a_value() -> None:
    """A command is asked about only when it has ended."""
    assert Endings().of(3) == "completed"


def test_the_others() -> None:
    """With an error they have failed; what only says that there is no outcome here is no end."""
    endings = Endings()
    endings.note(1, RemoteError("ValueError", "no"))
    endings.note(2, None)
    endings.note(3, ResultExpired("had", command=3, reason="delivered"))
    endings.note(0, RemoteError("ValueError", "never sent"))
    assert [endings.of(number) for number in (1, 2, 3)] == ["failed", "cancelled", "completed"]


def test_the_oldest_are_forgotten() -> None:
    """Then it is not known any more how those have ended that came before them."""
    endings = Endings()
    for number in range(2, KEPT + 3):
        endings.note(number, None)
    assert [endings.of(number) for number in (1, 2, 3)] == ["", "", "cancelled"]
