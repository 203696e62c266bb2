"""A command's value on its way out: what may still change is copied, and nothing else."""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, Final, TypeGuard

import numpy as np

from asyncbridge.protocol.messages import Buffer, BulkRef, Payload
from asyncbridge.serialization.drafts import Draft
from asyncbridge.serialization.split import split, split_draft
from asyncbridge.transport.arena import Segment
from asyncbridge.transport.sizes import ASK_FOR_LESS, check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncbridge.serialization.deferred import Outgoing

__all__ = ["Held", "pack_up"]

Held = Buffer | Segment
"""A large buffer that waits to leave: in this process's memory, or in shared memory already."""


def pack_up(
    payload: Payload | Draft,
    *,
    prefix: str,
    place: Callable[[Outgoing], Held],
    largest: int = 0,
) -> tuple[Payload, dict[str, Held]]:
    """Take a value's large buffers out, and make all of it safe from what commands do next.

    Args:
        payload: The value, encoded; the caller names nothing else of it any more.
        prefix: Begins the ids of its large buffers.
        place: Copies one of them to where it leaves from.
        largest: Bytes that the client takes, 0 for any.

    Raises:
        TooLarge: The value is over that limit, or its JSON part over the limit of one message.
            Nothing was copied.
    """
    check_size("the result", payload.size, largest, ASK_FOR_LESS)
    bulk: Mapping[str, Outgoing]
    if isinstance(payload, Draft):
        small, bulk = split_draft(payload, prefix=prefix)
    else:
        small, bulk = split(payload, prefix=prefix)
    del payload
    if not small.buffers:
        return small, {}
    inline = tuple(part if isinstance(part, BulkRef) else bytes(part) for part in small.buffers)
    held = {name: part if is_settled(part) else place(part) for name, part in bulk.items()}
    return Payload(header=small.header, buffers=inline, size=small.size), held


def is_settled(buffer: Outgoing) -> TypeGuard[Buffer]:
    """Tell whether nobody can change a buffer any more: then it may leave later, uncopied.

    So it is with ``bytes``, and with an array's elements when the encoder's view is all that
    refers to the array which owns them.
    """
    if isinstance(buffer, bytes):
        return True
    exporter: object = buffer.obj if isinstance(buffer, memoryview) else None
    if type(exporter) is not np.ndarray:
        return False
    owner = exporter if exporter.base is None else exporter.base
    return (
        type(owner) is np.ndarray
        and owner.flags.owndata
        and weakref.getweakrefcount(owner) == 0
        and sys.getrefcount(owner) == (_SOLE if owner is exporter else _SOLE_VIEWED)
    )


def _counts(buffer: memoryview) -> int:
    # The same names as above, which count, too.
    exporter: object = buffer.obj
    assert type(exporter) is np.ndarray
    owner = exporter if exporter.base is None else exporter.base
    return sys.getrefcount(owner)


# Counted rather than known: the numbers differ between Pythons.
_SOLE: Final = _counts(np.empty(1, np.float32).data.cast("B"))
_SOLE_VIEWED: Final = _counts(np.empty(1, np.float32).reshape(-1).view(np.uint8).data)
