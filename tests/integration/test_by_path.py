"""Arrays in files, mapped by a real worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asyncbridge
from asyncbridge.client import connect
from asyncbridge.references import Ref

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]


@pytest.fixture
def mapped(tmp_path: Path) -> np.memmap[Any, Any]:
    """An array of 1,000 rows in a file."""
    path = tmp_path / "x.npy"
    np.save(path, np.arange(40_000.0).reshape(1000, 40))
    made = np.load(path, mmap_mode="r+")
    assert isinstance(made, np.memmap)
    return made


@pytest.mark.parametrize("options", [{}, {"shared_memory": 0}])
async def test_an_array_in_a_file(mapped: np.memmap[Any, Any], options: dict[str, Any]) -> None:
    """It is found inside containers, is no copy, and outlives its command if code keeps it."""
    async with connect(backend=None, **options) as bridge:
        given = {"data": {"x": asyncbridge.by_path(mapped[3:]), "n": [2]}}
        assert await bridge.send("kept = data['x']\nfloat(kept.sum())", given) == mapped[3:].sum()
        mapped[3, 0] = -1
        assert await bridge.send("float(kept[0, 0])") == -1
        binding = await bridge.put(asyncbridge.by_path(mapped, writable=True))
        assert await bridge.send(f"{binding}[3, 0] = 5\nfloat({binding}[3, 0])") == 5
    assert mapped[3, 0] == -1


async def test_what_goes_wrong(mapped: np.memmap[Any, Any]) -> None:
    """The command fails with the reason, and the next one runs."""
    described = asyncbridge.by_path(mapped)
    path = Path(described.path)
    async with connect(backend=None) as bridge:
        with pytest.raises(asyncbridge.RemoteError, match="read-only"):
            await bridge.send("x[0, 0] = 1", {"x": described})
        path.rename(path.with_name("old"))
        with pytest.raises(asyncbridge.RemoteError, match=r"cannot open .*x\.npy"):
            await bridge.send("None", {"x": described})
        path.write_bytes(b"other")
        with pytest.raises(asyncbridge.RemoteError, match="was replaced"):
            await bridge.send("None", {"x": described})
        assert await bridge.send("1 + 1") == 2


async def test_a_worker_sends_no_path(mapped: np.memmap[Any, Any]) -> None:
    """Its code cannot make the app open one: there is no way to write it."""
    code = (
        "import numpy, asyncbridge\n"
        f"asyncbridge.by_path(numpy.load({str(mapped.filename)!r}, mmap_mode='r'))"
    )
    async with connect(backend=None) as bridge:
        assert isinstance(await bridge.send(code), Ref)
