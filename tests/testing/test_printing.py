from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from asyncbridge.testing import FakeWorker
from asyncbridge.testing.printing import PIECE, Prints

say = print  # what the tests are about


@contextmanager
def terminal() -> Generator[io.StringIO]:
    """Put a text in the place of standard output."""
    before, sys.stdout = sys.stdout, io.StringIO()
    try:
        yield sys.stdout
    finally:
        sys.stdout = before


def test_what_is_printed_is_kept_in_its_order() -> None:
    """By stream, once; the terminal gets what is printed before and after."""
    prints = Prints()
    with terminal() as shown:
        say("before")
        with prints.taken():
            say("a", 1)
            say("b")
            say("c", file=sys.stderr)
            say("d", end="", flush=True)
        say("after")
    assert prints.drain() == [("stdout", "a 1\nb\n"), ("stderr", "c\n"), ("stdout", "d")]
    assert prints.drain() == []
    assert shown.getvalue() == "before\nafter\n"


def test_a_large_text_is_told_in_pieces() -> None:
    """Each of which fits in a message."""
    prints = Prints()
    with prints.taken():
        say("x" * PIECE * 2)
    assert prints.drain() == [("stdout", "x" * PIECE), ("stdout", "x" * PIECE), ("stdout", "\n")]


def test_other_threads_print_where_they_always_do() -> None:
    """The app's own lines are not a command's."""
    prints = Prints()
    with terminal() as shown:
        with prints.taken():
            thread = threading.Thread(target=say, args=("the app",))
            thread.start()
            thread.join()
            say("the command")
        assert shown.getvalue() == "the app\n"
    assert prints.drain() == [("stdout", "the command\n")]


def test_a_stream_that_code_has_kept_is_the_terminals_again() -> None:
    """Until the next command, such as a logging handler's."""
    prints = Prints()
    with terminal() as shown:
        with prints.taken():
            handler = logging.StreamHandler(sys.stdout)
        record = logging.LogRecord("name", logging.INFO, "", 0, "logged", None, None)
        handler.emit(record)
        assert (shown.getvalue(), prints.drain()) == ("logged\n", [])
        with prints.taken():
            handler.emit(record)
        assert (shown.getvalue(), prints.drain()) == ("logged\n", [("stdout", "logged\n")])


def test_a_stream_that_code_has_put_in_place_stays() -> None:
    """As in a worker."""
    prints, own = Prints(), io.StringIO()
    with terminal() as shown:
        with prints.taken():
            sys.stdout = own
        assert sys.stdout is own
        sys.stdout = shown
        with pytest.raises(KeyError), prints.taken():
            raise KeyError
        assert sys.stdout is shown


def test_all_else_is_the_streams_own() -> None:
    """Its encoding, its descriptor, whether it is a terminal."""
    prints = Prints()
    with terminal() as shown, prints.taken():
        assert (sys.stdout.encoding, sys.stdout.isatty()) == (shown.encoding, False)
        with pytest.raises(io.UnsupportedOperation):
            sys.stdout.fileno()


@pytest.mark.asyncio
async def test_a_fake_workers_output_is_told_as_a_real_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """To its bridge, not to the terminal."""
    async with FakeWorker().connect() as bridge:
        reader = bridge.output()
        promise = bridge.send("print('told')")
        await promise
    assert [(line.text, line.command_id) async for line in reader] == [("told", promise.command_id)]
    assert capsys.readouterr().out == ""
