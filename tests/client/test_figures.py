from __future__ import annotations

from asyncbridge.client.figures import ReuseInfo, SharedMemoryInfo, transfer_info
from asyncbridge.transport.arena import ArenaFigures
from asyncbridge.transport.origins import Tally

OWN = ArenaFigures(total=9, limit=10, lent=4, free=5, kept=3)
TOLD = {
    "transfers": {
        "shared_memory": {"total": 1, "limit": 2, "lent": 0, "free": 1, "kept": 0},
        "kept": 7,
    }
}


def test_both_sides_are_told_of() -> None:
    """What is kept for the arrays of a kind is with the side that keeps it."""
    info = transfer_info(TOLD, own=OWN, shared=Tally(1, 2, 3), streamed=Tally(4, 5, 6))
    assert info.client == SharedMemoryInfo(total=9, limit=10, lent=4, free=5)
    assert info.worker == SharedMemoryInfo(total=1, limit=2, lent=0, free=1)
    assert info.shared == ReuseInfo(hits=1, misses=2, saved=3, kept=3)
    assert info.streamed == ReuseInfo(hits=4, misses=5, saved=6, kept=7)


def test_without_shared_memory() -> None:
    """The worker's own is of no use to this client; an older worker tells nothing."""
    for told in (TOLD, {}):
        info = transfer_info(told, own=None, shared=Tally(), streamed=Tally())
        assert info.client is None
        assert info.worker is None
        assert info.shared.kept == 0
