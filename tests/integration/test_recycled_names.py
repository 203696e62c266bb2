from __future__ import annotations

import pytest

import asyncbridge

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]

NAMES = ("numbers", "state", "things", "wanted")


async def test_a_replaced_worker_has_the_names_of_the_last_one() -> None:
    """Those of the user, whatever they are called, and none that the moving itself has needed."""
    async with asyncbridge.connect(backend=None) as bridge:
        await bridge.send("; ".join(f"{name} = {name!r}" for name in NAMES))
        for _ in range(2):
            assert not (await bridge.recycle()).lost
            told = {each.name for each in await bridge.bindings() if each.type != "module"}
            assert told == set(NAMES)
            assert await bridge.send(f"[{', '.join(NAMES)}]") == list(NAMES)
