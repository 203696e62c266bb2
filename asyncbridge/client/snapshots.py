"""Copies of what is to be sent, for a sender who goes on to change it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from asyncbridge.protocol.limits import BULK_THRESHOLD
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.drafts import Draft

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Buffer

__all__ = ["snapshot"]

T = TypeVar("T", Payload, Draft)
_Part = TypeVar("_Part")


def snapshot(value: T, *, whole: bool) -> T:
    """Return a value whose buffers are its own; what cannot change is not copied.

    Small ones are copied in any case: it takes less than a microsecond, and a loop that fills one
    small array again and again is the most usual one.

    Args:
        value: In wire form.
        whole: Copy those from 64 KiB up, too, which are there.
    """
    if not value.buffers:
        return value
    return replace(value, buffers=tuple([_own(part, whole) for part in value.buffers]))


def _own(part: _Part, whole: bool) -> _Part | Buffer:
    if not isinstance(part, memoryview | bytearray):
        return part
    size = part.nbytes if isinstance(part, memoryview) else len(part)
    if size < BULK_THRESHOLD:
        return bytes(part)
    return np.frombuffer(part, np.uint8).copy().data if whole else part
