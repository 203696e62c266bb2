"""How promises look in notebooks and to rich."""

from __future__ import annotations

import asyncio
import io
import sys
from html.parser import HTMLParser
from typing import Any

import pytest
from rich.console import Console

from asyncbridge.promise import Promise
from asyncbridge.promise.progress import WatchedPromise
from asyncbridge.promise.views import html_of, rich_of, rows_of, short
from tests.promise.conftest import ERROR, outcome, pending, settled
from tests.promise.test_source import Owner

pytestmark = pytest.mark.asyncio

HOSTILE = "<script>alert(1)</script>[bold]\x1b[31m\x07\u202e"


class Tags(HTMLParser):
    """Collects the tags and the text of a document."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def owned(promise: Promise[Any] | None = None, **given: Any) -> Promise[Any]:
    """Return a pending promise of a command that has waited for 2 seconds."""
    promise = pending() if promise is None else promise
    owner = Owner()
    vars(owner).update(given)
    promise._attach(owner)
    owner.clock.advance(2)
    return promise


def printed(promise: Promise[Any]) -> str:
    """Return what rich prints on a wide screen."""
    screen = io.StringIO()
    Console(file=screen, width=200, color_system=None).print(promise)
    return screen.getvalue()


async def test_a_bare_promise_has_a_state_alone() -> None:
    """Pending, fulfilled, rejected or cancelled."""
    for end, state in (("value", "fulfilled"), (asyncio.CancelledError(), "cancelled")):
        assert rows_of(settled("before", end)) == {"state": [state]}
    assert rows_of(pending()) == {"state": ["pending"]}
    rejected = settled("before", ERROR)
    assert rows_of(rejected) == {"state": ["rejected"], "error": ["ValueError: reason"]}
    assert await outcome(rejected) is ERROR


async def test_to_look_at_an_error_is_not_to_handle_it() -> None:
    """It is reported all the same when nobody awaits it."""
    promise = settled("before", ERROR)
    html_of(promise)
    assert promise._log_traceback
    assert promise.exception() is ERROR


async def test_a_command_is_told() -> None:
    """Its label, its code and its times; its place while it is queued."""
    promise = owned(ahead=3)
    assert rows_of(promise) == {
        "state": ["queued, 3 before it"],
        "command": ["the work"],
        "code": ["work()"],
        "elapsed": ["waited 2.0 s"],
    }
    source: Any = promise._source
    source.state, source.label = "running", ""
    source.times.start()
    source.clock.advance(1.5)
    rows = rows_of(promise)
    assert rows["state"] == ["running"]
    assert rows["command"] == ["number 7"]
    assert rows["elapsed"] == ["waited 2.0 s, ran 1.5 s"]


async def test_the_last_report_is_told() -> None:
    """That which passes, too, while nothing has come behind it."""
    promise: WatchedPromise[int] = WatchedPromise(loop=asyncio.get_running_loop())
    assert "progress" not in rows_of(promise)
    for value, transient in ((1, False), (2, True), (3, False)):
        promise._report({"step": value}, transient=transient)
        assert rows_of(promise)["progress"] == [f"{{'step': {value}}}"]


async def test_it_is_bounded() -> None:
    """Whatever the worker has sent."""
    watched: WatchedPromise[int] = WatchedPromise(loop=asyncio.get_running_loop())
    watched._report(["x" * 1000] * 1000, transient=False)
    promise = owned(watched, label="l" * 10_000, code=("c" * 10_000 + "\n") * 1_000)
    promise.set_exception(ValueError("e" * 100_000 + "\nsecond line"))
    assert len(rows_of(promise)["code"]) == 11
    assert len(html_of(promise)) < 4_000
    assert len(printed(promise)) < 10_000
    promise.exception()


async def test_nothing_of_the_worker_is_obeyed() -> None:
    """Neither by a browser, nor by rich, nor by the terminal."""
    watched: WatchedPromise[int] = WatchedPromise(loop=asyncio.get_running_loop())
    watched._report(HOSTILE, transient=False)
    promise = owned(watched, label=HOSTILE, code=f"{HOSTILE}\n{HOSTILE}")
    promise.set_exception(ValueError(HOSTILE))
    page = Tags(html_of(promise))
    assert page.tags == {"table", "caption", "tr", "th", "td", "pre"}
    assert page.text.count("<script>") == 5
    for text in (page.text, printed(promise)):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
        assert text.count("[bold]") == 5
    promise.exception()


async def test_hostile_texts_and_reprs_harm_nobody() -> None:
    """One that raises, one of a number too long to be written out."""

    class Hostile(Exception):
        def __str__(self) -> str:
            raise RuntimeError

        __repr__ = __str__

    promise = pending()
    promise.set_exception(Hostile())
    assert rows_of(promise)["error"] == [f"{Hostile.__qualname__}"]
    assert "Hostile" in short(Hostile())
    assert short(10**5_000) == "<int>"
    promise.exception()


async def test_both_views_show_the_rows() -> None:
    """By the methods that notebooks and rich call."""
    promise = owned(code="a < b\nwork()")
    for text in (Tags(promise._repr_html_()).text, printed(promise)):
        for part in ("Promise", "queued", "the work", "a < b", "work()", "waited 2.0 s"):
            assert part in text
    assert rich_of(promise).row_count == 4


async def test_rich_is_imported_when_it_is_used() -> None:
    """Neither the promise nor its view for notebooks needs it."""
    code = (
        "import asyncio, sys; from asyncbridge.promise import Promise;"
        "Promise(loop=asyncio.new_event_loop())._repr_html_();"
        "assert 'rich' not in sys.modules"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0
