from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from asyncbridge.client.sources import SourceThread, take_streams
from asyncbridge.streams import stream

pytestmark = pytest.mark.usefixtures("no_leaks")

variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")


def test_streams_are_taken_out_of_bindings() -> None:
    """Their descriptions stand in their places; bindings without any are left as they are."""
    plain = {"a": 1}
    assert take_streams(plain, "command") == (plain, ())
    assert take_streams(None, "command") == (None, ())
    items = stream([1, 2])
    items.label = "x"
    described, (source,) = take_streams({"a": 1, "b": items}, "command")
    assert described == {"a": 1, "b": {"steps": 2, "restarts": True, "floats": False}}
    assert (source.name, source.stream, source.label) == ("b", items, "x")


def test_a_stream_does_not_stay() -> None:
    """Bindings that outlive their command cannot be streams."""
    with pytest.raises(ValueError, match="b: a stream ends with the command"):
        take_streams({"b": stream([1])}, "eternal")


@pytest.mark.asyncio
async def test_calls_run_in_one_thread_and_context() -> None:
    """In their order; what is set by one is seen by the next, and not outside."""
    variable.set(1)
    thread = SourceThread(contextvars.copy_context())
    names = {await thread.call(lambda: threading.current_thread().name) for _ in range(3)}
    await thread.call(lambda: variable.set(2))
    assert await thread.call(variable.get) == 2
    assert variable.get() == 1
    assert names == {"asyncbridge-source"}
    ended = threading.Event()
    thread.end(ended.set)
    assert await asyncio.to_thread(ended.wait, 20)


@pytest.mark.asyncio
async def test_what_a_call_raises_comes_out() -> None:
    """Also what no future can hold; what the last call raises is nobody's."""
    thread = SourceThread(contextvars.copy_context())
    with pytest.raises(ZeroDivisionError):
        await thread.call(lambda: 1 / 0)
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        await thread.call(lambda: next(iter(())))
    thread.end(lambda: 1 / 0)


@pytest.mark.asyncio
async def test_a_call_that_nobody_waits_for_any_more() -> None:
    """It runs to its end, and the last one behind it."""
    thread, gate, done = (
        SourceThread(contextvars.copy_context()),
        threading.Event(),
        threading.Event(),
    )
    call = asyncio.ensure_future(thread.call(gate.wait))  # noqa: TID251 - a test holds it
    await asyncio.sleep(0)
    call.cancel()
    thread.end(done.set)
    assert not done.is_set()
    gate.set()
    assert await asyncio.to_thread(done.wait, 20)
