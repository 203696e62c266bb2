"""Commands whose code goes on after its end, or breaks what all commands share."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

import asyncbridge
from asyncbridge.errors import RemoteError, WorkerLost
from asyncbridge.protocol.endings import DESCRIPTORS_CLOSED
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncbridge import Bridge

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

SPIN = "    print('in it', flush=True)\n    while True: pass\n"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bridge() -> AsyncIterator[Bridge]:
    """One worker for all tests of this file that leave it alive."""
    async with asyncbridge.connect(backend=None) as opened:
        yield opened


TEXT = f"class E(Exception):\n  def __str__(self):\n{SPIN}raise E"
NOTE = f"class N:\n  def __str__(self):\n{SPIN}e = ValueError('told')\ne.__notes__ = [N()]\nraise e"
LINE = f"class T(str):\n  def __len__(self):\n{SPIN}e = SyntaxError('no')\ne.text = T('x')\nraise e"
CAUSE = f"class E(Exception):\n  def __str__(self):\n{SPIN}raise ValueError('told') from E()"
KIND = (
    f"class E(Exception):\n  @property\n  def __class__(self):\n{SPIN}"
    "e = E()\ne.__notes__ = [e]\nraise e"
)
END = f"class E(Exception):\n  def __del__(self):\n{SPIN}raise E('told')"
LOCAL = (
    f"class L:\n  def __del__(self):\n{SPIN}"
    "def work():\n    mine = L()\n    raise ValueError('told')\nwork()"
)


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (TEXT, "E", "took too long"),
        (NOTE, "ValueError", "told"),
        (LINE, "SyntaxError", "took too long"),
        (CAUSE, "ValueError", "told"),
        (END, "E", "told"),
        (LOCAL, "ValueError", "told"),
    ],
)
async def test_an_error_that_never_comes_to_its_end(
    bridge: Bridge, code: str, kind: str, text: str
) -> None:
    """It is told all the same, with what can be known of it; the worker goes on."""
    first = bridge.incarnation
    async with asyncio.timeout(HANG_S):
        with pytest.raises(RemoteError, match=text) as caught:
            await bridge.send(code)
        assert caught.value.type.endswith(kind)
        assert caught.value.frames
        assert await bridge.send("1 + 1") == 2
    assert bridge.incarnation == first


async def test_a_time_limit_holds_for_it(bridge: Bridge) -> None:
    """It cuts the telling short; what is told is the error, which was raised in time."""
    async with asyncio.timeout(HANG_S):
        with pytest.raises(RemoteError, match="took too long") as caught:
            await bridge.send(TEXT, run_timeout=0.2)
    assert caught.value.type.endswith("E")
    assert "interrupted" in caught.value.notes[0]


async def test_what_cannot_be_interrupted_takes_its_worker_along() -> None:
    """As a command's code does; the time limit has still been there."""
    code = "import time\nclass E(Exception):\n  def __str__(self): time.sleep(600)\nraise E"
    async with asyncbridge.connect(backend=None) as bridge, asyncio.timeout(HANG_S):
        with pytest.raises(WorkerLost, match=r"more than 0\.2 s \(run_timeout\)"):
            await bridge.send(code, run_timeout=0.2)
        assert await bridge.send("1 + 1") == 2


async def test_a_stream_that_never_flushes(bridge: Bridge) -> None:
    """It is replaced, the command that had put it there is told so, and keeps its value."""
    code = (
        f"import sys\nclass F:\n  write = print\n  def flush(self):\n{SPIN}sys.stdout = F()\n5"
    ).replace("print('in it', flush=True)", "pass")
    async with asyncio.timeout(HANG_S):
        promise = bridge.send(code)
        assert await promise == 5
        lines = [line.text async for line in promise.output()]
        assert lines == ["asyncbridge: sys.stdout was replaced by what did not flush in time"]
        printed = bridge.send("print('as ever')")
        assert [line.text async for line in printed.output()] == ["as ever"]
        await printed


async def test_a_binding_that_is_never_destroyed(bridge: Bridge) -> None:
    """Nor does the value of one that nobody refers to any more hold the others up."""
    async with asyncio.timeout(HANG_S):
        await bridge.send(f"class L:\n  def __del__(self):\n{SPIN}")
        binding = await bridge.put(bridge.send("L()"))
        other = await bridge.put([2])
        names = binding.name, other.name
        del binding, other
        gc.collect()
        while await bridge.send(f"{names!r}[0] in globals() or {names!r}[1] in globals()"):
            pass


async def test_code_that_closes_descriptors(bridge: Bridge) -> None:
    """Its own alone are closed: the worker goes on, with the connection and the output."""
    first = bridge.incarnation
    code = "import os\nfd = os.open('/dev/null', os.O_RDONLY)\nos.closerange(3, 4096)\nos.fstat(fd)"
    async with asyncio.timeout(HANG_S):
        with pytest.raises(OSError, match="Bad file descriptor"):
            await bridge.send(code)
        with pytest.raises(PermissionError, match="is the worker's own"):
            await bridge.send("import os\nfor fd in range(3, 4096): os.close(fd)")
        printed = bridge.send("print('as ever')")
        assert [line.text async for line in printed.output()] == ["as ever"]
        await printed
    assert bridge.incarnation == first


async def test_c_code_that_closes_them_ends_its_worker_with_the_reason() -> None:
    """Not one command after it runs half a worker; another one takes its place."""
    code = (
        "import ctypes, gc\nfrom asyncbridge.worker.output import Capture\n"
        "(output,) = [each for each in gc.get_objects() if isinstance(each, Capture)]\n"
        "ctypes.CDLL(None).close(output.filenos()[0])"
    )
    async with asyncbridge.connect(backend=None) as bridge, asyncio.timeout(HANG_S):
        with pytest.raises(WorkerLost, match=DESCRIPTORS_CLOSED) as caught:
            await bridge.send(code)
        assert caught.value.phase == "started"
        assert await bridge.send("1 + 1") == 2
