"""The memory of this process."""

from __future__ import annotations

from asyncbridge.worker.memory import resident_bytes


def test_resident_bytes() -> None:
    """The process's memory is told in bytes."""
    assert resident_bytes() > 10 * 1024 * 1024
