"""The worker's own descriptors, in a process of their own: closing all of them spoils one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from asyncbridge.protocol.endings import DESCRIPTORS_CLOSED, EXIT_DESCRIPTORS
from tests.limits import HANG_S

LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere nobody tells what a loop looks at"
)
BEGIN = """
import asyncio, os, socket, threading
from asyncbridge.worker.descriptors import Descriptors, end_without_descriptors

class Other(threading.Thread):
    "The thread that commands run in."
    def __init__(self, code):
        super().__init__()
        self.code = code
        self.start()
        self.join()
    def run(self):
        exec(self.code, globals())

def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True

async def main():
    global ours, theirs, peer
    ours = os.open(os.devnull, os.O_RDONLY)
    descriptors = Descriptors()
    # The worker's, too: a connection that comes later.
    near, far = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=near)
    peer = near.fileno()
    theirs = os.open(os.devnull, os.O_RDONLY)
    with descriptors.kept():
        await work()
    writer.close()
    far.detach()  # nobody's, and so it may be closed
"""


def run(work: str, status: int = 0) -> str:
    """Run work on a loop, in a process whose descriptors are kept; return what it printed."""
    code = f"{BEGIN}\nasync def work():\n    {work}\n\nasyncio.run(main())\n"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_S, check=False
    )
    assert ended.returncode == status, ended.stderr
    return ended.stdout + ended.stderr


@LINUX
def test_a_range_is_closed_but_for_the_workers_own() -> None:
    """The standard ones lead nowhere then, and their numbers stay taken."""
    told = run(
        "Other('os.closerange(0, 4096); seen = [is_open(fd) for fd in (0, 1, 2, ours, peer, theirs)]')\n"
        "    os.write(1, b'nowhere')\n"
        "    assert seen == [True, True, True, True, True, False], seen"
    )
    assert told == ""


@pytest.mark.parametrize("call", ["os.close({})", "os.dup2(theirs, {})"])
@pytest.mark.parametrize("whose", ["ours", pytest.param("peer", marks=LINUX)])
def test_one_of_the_workers_own_is_refused(call: str, whose: str) -> None:
    """With its number; it stays open."""
    told = run(
        f"Other('''try: {call.format(whose)}\nexcept PermissionError as error: print(error)''')\n"
        f"    assert is_open({whose})"
    )
    assert "is the worker's own, which all its clients need: it stays open" in told


def test_code_closes_its_own() -> None:
    """And what it duplicates; a number that is none is Python's to refuse."""
    told = run(
        "Other('''os.dup2(theirs, theirs + 50)\nos.close(theirs)\nos.close(theirs + 50)\n"
        "try: os.close(theirs)\nexcept OSError as error: print(error)''')\n"
        "    assert not is_open(theirs)"
    )
    assert told == "[Errno 9] Bad file descriptor\n"


def test_the_loops_own_thread_and_a_child_close_what_they_like() -> None:
    """A child has descriptors of its own."""
    told = run(
        "Other('''pid = os.fork()\nif pid == 0:\n    os.closerange(3, 4096)\n"
        "    os._exit(is_open(ours))\nassert os.waitpid(pid, 0)[1] == 0''')\n"
        "    os.close(ours)\n    assert not is_open(ours)"
    )
    assert told == ""


def test_a_standard_one_is_closed_by_leading_nowhere() -> None:
    """Or what is opened next would be printed into."""
    told = run("Other('os.close(1)')\n    os.write(1, b'lost')\n    os.write(2, b'told')")
    assert told == "told"


def test_a_worker_without_them_ends_by_a_word_and_a_status() -> None:
    """By which its client knows why."""
    assert DESCRIPTORS_CLOSED in run("end_without_descriptors()", EXIT_DESCRIPTORS)
