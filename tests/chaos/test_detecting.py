"""A bridge that breaks its word is found out: each test breaks it, and the campaign tells."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from asyncbridge.protocol.messages import Completed
from asyncbridge.protocol.replay import Replay
from asyncbridge.transport.resumable import Dialled
from tests.chaos import campaign
from tests.chaos.campaign import Broken, Campaign

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def broken(folder: Path, seed: int = 2) -> str:
    """Run a campaign that is to break; return what it tells."""
    asyncio.get_running_loop().set_debug(False)
    with pytest.raises(Broken) as error:
        await Campaign(seed, faults=40, batch=20, folder=folder).run()
    return str(error.value)


async def test_one_that_does_not_write_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are lost, or their promises do not settle; the seed and the step are told."""
    monkeypatch.setattr(campaign, "SETTLE_S", 1.0)

    def nothing(self: Replay) -> tuple[int, list[Any]]:
        return self.written, []

    monkeypatch.setattr(Replay, "missing", nothing)
    told = await broken(folder)
    assert any(words in told for words in ("is not settled", "ended by", "does not answer"))
    assert "python -m tests.chaos.replay 2 --faults 40 --batch 20" in told


async def test_one_that_mixes_up_results(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The results of two commands are exchanged by their ids."""
    real = Dialled.read

    async def swapped(self: Dialled) -> list[Any]:
        messages = await real(self)
        done = [m for m in messages if isinstance(m, Completed)]
        if len(done) > 1:
            object.__setattr__(done[0], "id", (ids := [m.id for m in done])[1])
            object.__setattr__(done[1], "id", ids[0])
        return messages

    monkeypatch.setattr(Dialled, "read", swapped)
    assert "has the result" in await broken(folder)
