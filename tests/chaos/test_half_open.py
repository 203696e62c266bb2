"""A connection that is dead, and of which nobody has been told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge.client import connect
from tests.chaos.net import Net, disturbed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks"), pytest.mark.slow]


async def test_commands_go_on_over_another_connection(folder: Path) -> None:
    """The worker is silent, the state says so, and a connection beside the dead one is taken."""
    async with disturbed(Net(folder / "proxy.sock")) as net, connect(backend=None) as bridge:
        assert await bridge.send("1") == 1
        incarnation, states = bridge.incarnation, bridge.states()
        net.proxy.forget()
        promises = [bridge.send("n", {"n": n}) for n in range(100)]
        assert [await promise for promise in promises] == list(range(100))
        assert bridge.incarnation == incarnation
    assert [state async for state in states][:3] == ["open", "busy-unresponsive", "open"]
