"""What the worker tells of what lives there."""

from __future__ import annotations

import pytest

from asyncbridge.client.inventory import BindingInfo, DeviceMemory, MemoryInfo
from asyncbridge.testing import FakeWorker

ROW = {"name": "x", "type": "int", "size": 28, "lifetime": "eternal", "holders": ["s"], "new": 1}


def test_a_row() -> None:
    """What a later worker tells beside is left out, and what it does not tell has a default."""
    assert BindingInfo.parse(ROW) == BindingInfo(
        name="x", type="int", size=28, lifetime="eternal", holders=("s",)
    )
    assert BindingInfo.parse({"name": "x"}).holders == ()


def test_memory() -> None:
    """The largest comes first; devices are told where their backend does."""
    told = {
        "resident": 10, "machine": 100,
        "devices": [{"name": "gpu:0", "used": 3, "later": 1}],
        "bindings": [{"name": "small", "size": 1}, {"name": "large", "size": 9}],
    }  # fmt: skip
    memory = MemoryInfo.parse(told)
    assert [each.name for each in memory.bindings] == ["large", "small"]
    assert memory.devices == (DeviceMemory(name="gpu:0", used=3),)
    assert MemoryInfo.parse({"resident": 1, "machine": 2}).bindings == ()


@pytest.mark.asyncio
async def test_what_a_worker_tells() -> None:
    """Bindings, kept objects, and names of code, each with how long it stays; nothing of ours."""
    async with FakeWorker().connect() as bridge:
        kept = [await bridge.put([1, 2], name="rows"), await bridge.send("made = 3; object()")]
        rows = {each.name: each for each in await bridge.bindings()}
        assert {name: each.lifetime for name, each in rows.items()} == {
            "rows": "collected", "made": "code", "": "reference",
        }  # fmt: skip
        assert (rows["rows"].text, rows["rows"].type) == ("[1, 2]", "list")
        assert rows["rows"].holders == (rows["rows"].owner,)
        assert rows[""].number == kept[1].about.number
        await bridge.delete("made")
        await bridge.collect()
        memory = await bridge.memory()
        assert memory.machine > memory.resident > 0
        assert {each.name for each in memory.bindings} == {"rows", ""}
