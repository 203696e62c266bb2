"""The event loops that asyncbridge creates."""

from __future__ import annotations

import asyncio
import sys

import pytest

from asyncbridge.transport.loops import new_event_loop


def test_uvloop_where_it_is_installed() -> None:
    """The extra ``fast`` needs no setting."""
    uvloop = pytest.importorskip("uvloop")
    loop = new_event_loop()
    try:
        assert isinstance(loop, uvloop.Loop)
    finally:
        loop.close()


def test_asyncio_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the standard library's own."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = new_event_loop()
    try:
        assert isinstance(loop, asyncio.BaseEventLoop)
    finally:
        loop.close()
