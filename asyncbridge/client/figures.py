"""What ``bridge.info().transfers`` tells of large arrays on their way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.transport.arena import ArenaFigures
    from asyncbridge.transport.origins import Tally

__all__ = ["ReuseInfo", "SharedMemoryInfo", "TransferInfo", "transfer_info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedMemoryInfo:
    """One side's shared memory, in bytes.

    Attributes:
        total: What it has taken; ``lent`` and ``free`` together.
        limit: What it may take.
        lent: What the other side may look at, or is being copied to.
        free: What stays warm for the next arrays.
    """

    total: int
    limit: int
    lent: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReuseInfo:
    """Arrays that were sent to the worker before, by one way.

    Attributes:
        hits: Times that one was unchanged, and did not travel again.
        misses: Times that it was not, or was not kept any more.
        saved: Bytes that did not travel.
        kept: Bytes that are kept now, in case that they are sent again.
    """

    hits: int
    misses: int
    saved: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferInfo:
    """How large arrays travel between this client and its worker.

    Attributes:
        client: This side's shared memory; None where the two share none.
        worker: The worker's.
        shared: Arrays that lay in shared memory still, when they were sent again.
        streamed: Arrays that the worker had kept.
    """

    client: SharedMemoryInfo | None
    worker: SharedMemoryInfo | None
    shared: ReuseInfo
    streamed: ReuseInfo


def transfer_info(
    worker: Mapping[str, Any], *, own: ArenaFigures | None, shared: Tally, streamed: Tally
) -> TransferInfo:
    """Put together what both sides know.

    Args:
        worker: The worker's answer, of which ``transfers`` is looked at.
        own: This side's shared memory, if the worker sees it.
        shared: What was lent again.
        streamed: What was streamed again.
    """
    told = worker.get("transfers") or {}
    theirs = told.get("shared_memory") if own is not None else None
    names = ("total", "limit", "lent", "free")
    return TransferInfo(
        client=None if own is None else SharedMemoryInfo(**{n: getattr(own, n) for n in names}),
        worker=None if theirs is None else SharedMemoryInfo(**{n: theirs[n] for n in names}),
        shared=_reuse(shared, 0 if own is None else own.kept),
        streamed=_reuse(streamed, told.get("kept", 0)),
    )


def _reuse(tally: Tally, kept: int) -> ReuseInfo:
    return ReuseInfo(hits=tally.hits, misses=tally.misses, saved=tally.saved, kept=kept)
