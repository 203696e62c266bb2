"""What the system refuses to a worker, or to both: commands fail alone, or nothing is noticed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from asyncbridge.client import connect
from asyncbridge.errors import RemoteError
from tests.chaos.ledger import Ledger
from tests.chaos.net import Net, disturbed
from tests.chaos.workers import REPOSITORY
from tests.limits import HANG_S

if TYPE_CHECKING:
    from asyncbridge.client import Bridge

pytestmark = pytest.mark.slow

ITEMS = 200_000
SET = """
import resource
def limit(name, value):
    kind = getattr(resource, name)
    resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))
"""
IN_A_NAMESPACE = 'mount -t tmpfs -o size=4m tmpfs "$1" && exec "$2" -c "$3" "$1" "$4"'
ON_A_FULL_DISK = """
import asyncio, errno, os, sys
from pathlib import Path
import numpy as np
import asyncbridge
from tests.chaos.ledger import Ledger

disk, outside = map(Path, sys.argv[1:])
for name in ("TMPDIR", "XDG_RUNTIME_DIR", "ASYNCBRIDGE_SHARED_MEMORY_FOLDER"):
    os.environ[name] = str(disk)

def fill():
    with open(disk / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC

async def arrays(bridge, first):
    large = np.arange(200_000)
    for number in range(first, first + 5):
        back = await bridge.send(f"enter({number})\\nprint('told')\\nx + {number}", {"x": large})
        assert (back == large + number).all()

async def main():
    ledger = Ledger(outside / "ledger")
    async with asyncbridge.connect(backend=None) as bridge:
        await bridge.send(ledger.setup)
        fill()
        await arrays(bridge, 0)
        os.unlink(disk / "filler")
        await arrays(bridge, 5)
        assert ledger.new() == list(range(10))
    assert not list(disk.glob("asyncbridge-*/*")), list(disk.rglob("*"))

asyncio.run(main())
print("done")
"""


async def prepared(bridge: Bridge, ledger: Ledger) -> None:
    """Let commands note that they run, and set limits."""
    await bridge.send(ledger.setup)
    await bridge.send(SET)


async def there_and_back(bridge: Bridge, number: int) -> None:
    """Send an array, and get another one."""
    large = np.arange(ITEMS)
    async with asyncio.timeout(HANG_S):
        back = await bridge.send(f"enter({number})\nx + {number}", {"x": large})
    assert np.array_equal(back, large + number)


def test_a_full_disk(folder: Path) -> None:
    """With no room for shared memory, large arrays come another way; then as ever again."""
    (folder / "disk").mkdir()
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", IN_A_NAMESPACE, "sh",
               str(folder / "disk"), sys.executable, ON_A_FULL_DISK, str(folder)]  # fmt: skip
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": REPOSITORY},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    if "unshare: " in done.stderr or "mount: " in done.stderr:
        pytest.skip(f"no disk of its own can be had here: {done.stderr.strip()}")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.asyncio
async def test_a_worker_that_may_write_no_large_files(folder: Path) -> None:
    """Its arrays come another way than through shared memory."""
    ledger = Ledger(folder / "ledger")
    async with connect(backend=None) as bridge:
        await prepared(bridge, ledger)
        await bridge.send("limit('RLIMIT_FSIZE', 4096)")
        for number in range(3):
            await there_and_back(bridge, number)
        await bridge.send("limit('RLIMIT_FSIZE', -1)")
        await there_and_back(bridge, 3)
    assert ledger.new() == [0, 1, 2, 3]


@pytest.mark.asyncio
async def test_a_worker_without_descriptors(folder: Path) -> None:
    """Small commands run, over a new connection, too; a large array fails alone, or comes."""
    ledger = Ledger(folder / "ledger")
    async with disturbed(Net(folder / "proxy.sock")) as net, connect(backend=None) as bridge:
        await prepared(bridge, ledger)
        await bridge.send("used = max(map(int, os.listdir('/proc/self/fd')))")
        await bridge.send("limit('RLIMIT_NOFILE', used)")
        assert await bridge.send("enter(0)\n'runs'") == "runs"
        net.proxy.cut()
        async with asyncio.timeout(HANG_S):
            assert await bridge.send("enter(1)\n'over another connection'")
            large = bridge.send("x[-1]", {"x": np.arange(ITEMS)})
            behind = bridge.send("enter(2)\n'goes on'")
            assert await behind == "goes on"
            try:
                assert await large == ITEMS - 1
            except RemoteError as error:
                assert "Too many open files" in str(error)  # noqa: PT017 - either is right
        await bridge.send("limit('RLIMIT_NOFILE', 1024)")
        await there_and_back(bridge, 3)
    assert ledger.new() == [0, 1, 2, 3]


@pytest.mark.asyncio
async def test_a_worker_without_memory(folder: Path) -> None:
    """The command that asks for too much fails alone, with a MemoryError."""
    ledger = Ledger(folder / "ledger")
    async with connect(backend=None) as bridge:
        await prepared(bridge, ledger)
        await bridge.send("size = int(open('/proc/self/statm').read().split()[0]) * 4096")
        await bridge.send("limit('RLIMIT_AS', size + 256 * 2**20)")
        large = bridge.send("enter(0)\nbytearray(2**30)")
        behind = bridge.send("enter(1)\n'goes on'")
        with pytest.raises(RemoteError) as error:
            await large
        assert error.value.type == "MemoryError"
        assert await behind == "goes on"
        # Made there, but with no room for another one beside it on its way out.
        with pytest.raises(RemoteError) as error:
            await bridge.send("enter(2)\nbytes(200 * 2**20) + bytes(50 * 2**20)")
        assert error.value.type == "MemoryError"
        await there_and_back(bridge, 3)
    assert ledger.new() == [0, 1, 2, 3]
