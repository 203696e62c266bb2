"""An app, or a worker, that has no descriptor left: what needs one fails, and the bridge goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from asyncbridge.client import connect
from asyncbridge.errors import RemoteError
from tests.limits import HANG_S

pytestmark = pytest.mark.slow

REPOSITORY = str(Path(__file__).resolve().parents[2])
SCRIPT = """
import asyncio, errno, os, resource, sys
import numpy as np
import asyncbridge

LARGE = np.arange(2_000_000, dtype=np.uint8)

class NoneLeft:
    def __enter__(self):
        self.files = []
        try:
            while True:
                self.files.append(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            assert error.errno == errno.EMFILE
    def __exit__(self, *_):
        for file in self.files:
            os.close(file)

async def refused(promise):
    try:
        await promise
    except asyncbridge.TransferError as error:
        assert isinstance(error.__cause__, OSError), error.__cause__
        assert error.__cause__.errno == errno.EMFILE, error.__cause__
        assert "Too many open files, in this process" in str(error), error
    else:
        raise AssertionError("it came through")

async def items():
    yield LARGE

async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    # Not the HTTP pair: a connection of its own that is idle serves a large array as well.
    async with asyncbridge.connect(backend=None, transport="websocket", **OPTIONS) as bridge:
        assert await bridge.send("x", {"x": 1}) == 1
        with NoneLeft():
            there = bridge.send("seen = x", {"x": LARGE})
            behind = bridge.send("1 + 1")
            depends = bridge.send("seen", after=[there])
            await refused(there)
            assert await behind == 2
            try:
                await depends
            except asyncbridge.DependencyError:
                pass
            back = bridge.send("import numpy; numpy.zeros(2_000_000, numpy.uint8)")
            flows = bridge.send("[*x]", {"x": asyncbridge.stream(items())})
            await asyncio.gather(refused(back), refused(flows))
            assert await bridge.send("2 + 2") == 4
        assert await bridge.send("'seen' in globals()") is False
        back = await bridge.send("x + 1", {"x": LARGE})
        assert (back == LARGE + 1).all()
        info = await bridge.info()
        assert info.queued == 0

asyncio.run(main())
print("done")
"""


@pytest.mark.parametrize("options", [{}, {"shared_memory": 0}])
def test_the_command_alone_fails(options: dict[str, int]) -> None:
    """There, back, and in a stream; small commands go meanwhile, and large ones afterwards."""
    done = subprocess.run(
        [sys.executable, "-c", f"OPTIONS = {options!r}\n{SCRIPT}"],
        capture_output=True, text=True, timeout=HANG_S, check=False, cwd=REPOSITORY,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_leaks")
async def test_a_worker_that_lacks_them() -> None:
    """The command whose array it cannot map fails, and says why; the next one runs."""
    async with connect(backend=None) as bridge:
        await bridge.send(
            "import os, resource\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))\n"
            "held = []\n"
            "try:\n"
            "    while True: held.append(os.open('/dev/null', os.O_RDONLY))\n"
            "except OSError: pass\n"
        )
        with pytest.raises(RemoteError, match="Too many open files") as caught:
            await bridge.send("x.sum()", {"x": np.ones(10**6)})
        assert caught.value.type == "OSError"
        await bridge.send("for each in held: os.close(each)")
        assert await bridge.send("float(x.sum())", {"x": np.ones(10**6)}) == 10**6
