"""JSON documents as bytes; large ones are written in a thread, off the loop."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.serialization.rows import dump, without_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["write_document"]

QUICK_BYTES: Final = 256 * 1024
"""Bytes of a document that the loop writes by itself."""


async def write_document(make: Callable[[], Any], size: int) -> bytes:
    """Return a document as bytes.

    Args:
        make: Returns its tree.
        size: About how many bytes it has.
    """
    if size < QUICK_BYTES:
        return _write(make)
    return await asyncio.get_running_loop().run_in_executor(None, partial(_write, make))


def _write(make: Callable[[], Any]) -> bytes:
    document = make()
    try:
        return dump(document)
    except TypeError:  # lone surrogates in an error's text
        return dump(without_surrogates(document))
