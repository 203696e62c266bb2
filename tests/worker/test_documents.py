"""Documents, on the loop and off it."""

from __future__ import annotations

import threading

import pytest

from asyncbridge.worker.documents import QUICK_BYTES, write_document

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(("size", "on_the_loop"), [(1, True), (QUICK_BYTES, False)])
async def test_large_ones_leave_the_loop_alone(size: int, on_the_loop: bool) -> None:
    """They are made, and written, in a thread."""
    threads: list[threading.Thread] = []

    def make() -> dict[str, int]:
        threads.append(threading.current_thread())
        return {"a": 1}

    assert await write_document(make, size) == b'{"a":1}'
    assert (threads == [threading.current_thread()]) is on_the_loop


async def test_lone_surrogates() -> None:
    """They go as their escapes."""
    assert await write_document(lambda: {"a": "\udc80"}, 1) == b'{"a":"\\\\udc80"}'
