"""Copies of what is to be sent, for a sender who goes on to change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.split import raw_buffers

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Buffer

__all__ = ["snapshot"]


def snapshot(payload: Payload) -> Payload:
    """Return a value whose buffers are its own; what cannot change is not copied."""
    buffers = tuple(map(_own, raw_buffers(payload)))
    return Payload(header=payload.header, buffers=buffers, size=payload.size)


def _own(buffer: Buffer) -> Buffer:
    if isinstance(buffer, bytes):
        return buffer
    return np.frombuffer(buffer, np.uint8).copy().data
