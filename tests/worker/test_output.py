"""The capture of what leaves the process through its file descriptors 1 and 2."""

# ruff: noqa: T201 - what is printed is what is tested

from __future__ import annotations

import asyncio
import ctypes
import io
import itertools
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.worker._last_words import WordsFile
from asyncbridge.worker.output import Capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WAIT_S = 10.0


@pytest.fixture
def pipes() -> Iterator[tuple[Capture, int, int]]:
    """A capture of two pipes, and their write ends, beside this process's own output."""
    before = sys.stdout, sys.stderr
    (out, write_out), (err, write_err) = os.pipe(), os.pipe()
    capture = Capture(stdout_fd=out, stderr_fd=err, read_bytes=1000)
    yield capture, write_out, write_err
    capture.close()
    os.close(write_out)
    os.close(write_err)
    assert (sys.stdout, sys.stderr) == before


def test_print(no_leaks: None) -> None:
    """Each printed line can be read at once, from its own stream."""
    with Capture.redirect() as capture:
        print("out")
        print("err", file=sys.stderr)

        assert capture.drain() == [("stdout", "out\n"), ("stderr", "err\n")]
        assert capture.drain() == []


def test_os_write(no_leaks: None) -> None:
    """Bytes written to the descriptors are captured."""
    with Capture.redirect() as capture:
        os.write(2, b"raw")

        assert capture.drain() == [("stderr", "raw")]


def test_c_library(no_leaks: None) -> None:
    """What C code prints is captured, in its order with what Python prints."""
    with Capture.redirect() as capture:
        libc = ctypes.CDLL(None)
        print("before")
        libc.puts(b"from C")
        libc.fflush(None)
        print("after")

        assert capture.drain() == [("stdout", "before\nfrom C\nafter\n")]


def test_child_process(no_leaks: None) -> None:
    """What a child process prints is captured."""
    with Capture.redirect() as capture:
        subprocess.run([sys.executable, "-I", "-S", "-c", "print('child')"], check=True)

        assert capture.drain() == [("stdout", "child\n")]


def test_order(no_leaks: None) -> None:
    """Lines of Python's and bytes of the system's keep their order."""
    with Capture.redirect() as capture:
        for number in range(50):
            print("line", number)
            os.write(1, b"byte %d\n" % number)

        expected = "".join(f"line {number}\nbyte {number}\n" for number in range(50))
        assert capture.drain() == [("stdout", expected)]


def test_flush(no_leaks: None) -> None:
    """A line without its end waits in Python until the streams are flushed."""
    with Capture.redirect() as capture:
        print("half", end="")
        assert capture.drain() == []

        capture.flush_python_streams()

        os.write(1, b"|\n")
        assert capture.drain() == [("stdout", "half|\n")]


def test_any_text_can_be_printed(no_leaks: None) -> None:
    """Text that UTF-8 cannot tell is printed with backslashes, not refused."""
    with Capture.redirect() as capture:
        print("é \ud800")

        assert capture.drain() == [("stdout", "é \\ud800\n")]


def test_split_character(pipes: tuple[Capture, int, int]) -> None:
    """A character split between two reads is one character, on each stream by itself."""
    capture, out, err = pipes
    euro = "€".encode()
    os.write(out, b"1" + euro[:1])
    os.write(err, b"2" + euro[:2])
    assert capture.drain() == [("stdout", "1"), ("stderr", "2")]

    os.write(out, euro[1:])
    assert capture.drain() == [("stdout", "€")]
    os.write(err, euro[2:])
    assert capture.drain() == [("stderr", "€")]


def test_no_utf8(pipes: tuple[Capture, int, int]) -> None:
    """Bytes that are no UTF-8 are replaced."""
    capture, out, _ = pipes
    os.write(out, b"a\xffb")

    assert capture.drain() == [("stdout", "a\N{REPLACEMENT CHARACTER}b")]


@given(text=st.text(max_size=60), cuts=st.lists(st.integers(0, 240), max_size=6))
def test_every_split(text: str, cuts: list[int]) -> None:
    """However the bytes of a text are split, its characters come out whole."""
    data = text.encode("utf-8", "replace")
    (out, write_out), (err, write_err) = os.pipe(), os.pipe()
    pieces = []
    with Capture(stdout_fd=out, stderr_fd=err) as capture:
        edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        for start, end in itertools.pairwise(edges):
            os.write(write_out, data[start:end])
            pieces += capture.drain()
    os.close(write_out)
    os.close(write_err)

    assert "".join(piece for _, piece in pieces) == data.decode()


def test_read_limit(pipes: tuple[Capture, int, int]) -> None:
    """One drain reads so many bytes of each stream at most; the next goes on there."""
    capture, out, err = pipes
    os.write(out, b"o" * 2500)
    os.write(err, b"e" * 10)

    assert capture.drain() == [("stdout", "o" * 1000), ("stderr", "e" * 10)]
    assert capture.drain() == [("stdout", "o" * 1000)]
    assert capture.drain() == [("stdout", "o" * 500)]
    assert capture.drain() == []


def test_end_of_file() -> None:
    """When the last writer is gone there is nothing to read, and no error."""
    (out, write_out), (err, write_err) = os.pipe(), os.pipe()
    with Capture(stdout_fd=out, stderr_fd=err) as capture:
        os.write(write_out, b"last")
        os.close(write_out)
        os.close(write_err)
        assert capture.drain() == [("stdout", "last")]
        assert capture.drain() == []


def test_flood(no_leaks: None) -> None:
    """Far more than a pipe holds comes through whole while another thread reads."""
    with Capture.redirect() as capture:
        line = "0123456789abcdef" * 64
        count = 5 * 1024 * 1024 // len(line)
        pieces: list[str] = []
        written = threading.Event()

        def read() -> None:
            while not written.is_set():
                pieces.extend(text for _, text in capture.drain())
            pieces.extend(text for _, text in capture.drain())

        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(count):
            print(line)
        capture.flush_python_streams()
        written.set()
        reader.join(WAIT_S)

        assert "".join(pieces) == f"{line}\n" * count


def write_all(fd: int, data: bytes) -> None:
    """Write all of it: the kernel may stop a write that waits for room, and say how far it came."""
    while data:
        data = data[os.write(fd, data) :]


def test_concurrent_drains(no_leaks: None) -> None:
    """Two threads that drain share the text out: each byte comes once, no character breaks."""
    with Capture.redirect(read_bytes=100) as capture:  # it cuts through a character
        text = "€" * 10_000
        pieces: list[str] = []
        written = threading.Event()

        def read() -> None:
            done = False
            while not done:
                done = written.is_set()  # before the drain: what comes after it is not lost
                while got := capture.drain():
                    pieces.extend(piece for _, piece in got)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for _ in range(20):
            write_all(1, text.encode())
        written.set()
        for reader in readers:
            reader.join(WAIT_S)

        assert sum(len(piece) for piece in pieces) == 20 * len(text)
        assert set("".join(pieces)) == {"€"}


@pytest.mark.asyncio
async def test_loop_reader(no_leaks: None) -> None:
    """The loop can watch both streams, and is woken by what is printed."""
    with Capture.redirect() as capture:
        loop = asyncio.get_running_loop()
        pieces: list[tuple[str, str]] = []
        both = asyncio.Event()

        def read() -> None:
            pieces.extend(capture.drain())
            if len(pieces) == 2:
                both.set()

        for fd in capture.filenos():
            loop.add_reader(fd, read)
        try:
            print("out")
            os.write(2, b"err")
            async with asyncio.timeout(WAIT_S):
                await both.wait()
        finally:
            for fd in capture.filenos():
                loop.remove_reader(fd)

        assert sorted(pieces) == [("stderr", "err"), ("stdout", "out\n")]


def test_the_last_words_are_kept(no_leaks: None, tmp_path: Path) -> None:
    """What was read of each stream is in the file, byte for byte."""
    words = WordsFile(str(tmp_path / "words"))
    (out, write_out), (err, write_err) = os.pipe(), os.pipe()
    with Capture(stdout_fd=out, stderr_fd=err, words_fd=words.fd) as capture:
        os.write(write_out, b"out")
        os.write(write_err, b"err\xff")
        capture.drain()
        assert (words.read(0), words.read(1)) == (b"out", b"err\xff")
    for fd in (write_out, write_err, words.fd):
        os.close(fd)


class Broken:
    """What code may leave in the place of a stream."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


def close_and_take() -> None:
    """Close sys.stdout, and put nothing in its place."""
    sys.stdout.close()
    sys.stdout = None


def close_raw() -> None:
    """Close what lies at the bottom of sys.stdout."""
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.flush()
    sys.stdout.buffer.raw.close()


def detach() -> None:
    """Take away what lies under sys.stdout."""
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.detach()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: sys.stdout.close(),  # noqa: PLW0108 - the stream of then, not of now
        lambda: setattr(sys, "stdout", None),
        lambda: setattr(sys, "stdout", object()),
        lambda: setattr(sys, "stdout", Broken()),
        lambda: delattr(sys, "stdout"),
        close_and_take,
        close_raw,
        detach,
    ],
)
def test_spoilt_stream(no_leaks: None, spoil: Callable[[], object]) -> None:
    """Code that closes, detaches or spoils sys.stdout does so for its own command alone."""
    with Capture.redirect() as capture:
        print("before", end="")
        spoil()

        capture.flush_python_streams()

        print("after")
        assert capture.drain() == [("stdout", "beforeafter\n")]


def test_replaced_stream(no_leaks: None) -> None:
    """A stream that code has put in the place stays there, and both are flushed."""
    with Capture.redirect() as capture:
        print("before", end="")
        kept = io.BytesIO()
        replacement = io.TextIOWrapper(kept, encoding="utf-8")
        ours, sys.stdout = sys.stdout, replacement
        print("kept back", end="")

        capture.flush_python_streams()

        assert sys.stdout is replacement
        assert kept.getvalue() == b"kept back"
        assert capture.drain() == [("stdout", "before")]
        sys.stdout = ours


def test_a_replaced_stream_that_never_flushes(no_leaks: None) -> None:
    """Whoever flushes it says so: then it goes, and its command is told why."""
    with Capture.redirect() as capture:
        sys.stdout = io.StringIO()

        capture.flush_python_streams(lambda _: False)

        print("as ever")
        told = "asyncbridge: sys.stdout was replaced by what did not flush in time\nas ever\n"
        assert capture.drain() == [("stdout", told)]


def test_our_own_stream_is_flushed_past_what_code_hangs_on_it(no_leaks: None) -> None:
    """A method that code has put before the stream's own is not called."""
    with Capture.redirect() as capture:
        called: list[int] = []
        vars(sys.stdout)["flush"] = lambda: called.append(1)
        print("before", end="")

        capture.flush_python_streams()

        assert capture.drain() == [("stdout", "before")]
        assert called == []


def test_closing_stdout_leaves_the_descriptor(no_leaks: None) -> None:
    """Closing sys.stdout does not close the descriptor that C code writes to."""
    with Capture.redirect() as capture:
        sys.stdout.close()
        os.write(1, b"still there")

        assert capture.drain() == [("stdout", "still there")]


def test_put_back(capfd: pytest.CaptureFixture[str]) -> None:
    """After the redirection descriptors and streams are what they were, and no text is lost."""
    before = sys.stdout, sys.stderr
    print("before", end="")
    with Capture.redirect() as capture:
        print("captured")
        assert capture.drain() == [("stdout", "captured\n")]
        print("unfinished", end="")
    print("after")
    os.write(1, b"raw\n")

    assert (sys.stdout, sys.stderr) == before
    sys.stdout.flush()
    assert capfd.readouterr().out.replace("raw\n", "") == "beforeunfinishedafter\n"


def test_stream_elsewhere(no_leaks: None) -> None:
    """A sys.stdout that leads elsewhere stands back for one over the descriptor, and returns."""
    (out, write_out), (err, write_err) = os.pipe(), os.pipe()
    elsewhere = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    before, sys.stdout = sys.stdout, elsewhere
    try:
        with Capture(stdout_fd=out, stderr_fd=err):
            assert sys.stdout.fileno() == 1
            assert sys.stdout.line_buffering
        assert sys.stdout is elsewhere
    finally:
        sys.stdout = before
        os.close(write_out)
        os.close(write_err)


WORKER = """
import os, sys
from asyncbridge.worker.output import Capture

stdout, stderr = sys.stdout, sys.stderr
capture = Capture(stdout_fd={out}, stderr_fd={err})
same = sys.stdout is stdout and sys.stderr is stderr
print("käse", sys.stdout.line_buffering, same)
os.write(2, repr(capture.drain()).encode())
"""


def test_in_a_worker() -> None:
    """A process that is handed its own pipes keeps Python's streams, now flushed by the line."""
    (out, write_out), (err, write_err) = os.pipe(), os.pipe()
    code = WORKER.format(out=out, err=err)
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        stdout=write_out,
        stderr=write_err,
        pass_fds=(out, err),
        env=env,
        timeout=60,
    )
    os.close(write_out)
    os.close(write_err)
    told = os.read(err, 4096).decode()
    os.close(out)
    os.close(err)

    assert told == repr([("stdout", "käse True True\n")])
