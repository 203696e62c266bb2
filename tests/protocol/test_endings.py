"""Why a worker has ended itself."""

from __future__ import annotations

import pytest

from asyncbridge.protocol.endings import DESCRIPTORS_CLOSED, EXIT_DESCRIPTORS, told_ending


@pytest.mark.parametrize(
    ("status", "words", "told"),
    [
        (EXIT_DESCRIPTORS, f"asyncbridge worker: {DESCRIPTORS_CLOSED}\n", DESCRIPTORS_CLOSED),
        (EXIT_DESCRIPTORS, "", ""),
        (1, DESCRIPTORS_CLOSED, ""),
    ],
)
def test_it_is_told_by_status_and_words(status: int, words: str, told: str) -> None:
    """One alone may be a command's."""
    assert told_ending(status, words) == told
