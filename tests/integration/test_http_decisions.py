"""Errors that halt, decided over the HTTP pair, in real workers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest

from asyncbridge.client import connect
from tests.integration.test_decisions import halt, started

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

__all__ = ["started"]


class Client:
    """Somebody who knows JSON and HTTP."""

    def __init__(self, folder: Path) -> None:
        token = (folder / "token").read_text().strip()
        self._http = aiohttp.ClientSession(
            "http://asyncbridge",
            connector=aiohttp.UnixConnector(str(folder / "worker.sock")),
            headers={"Authorization": f"Bearer {token}"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._http.close()

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        """Post JSON."""
        async with self._http.post(f"/v1/{path}", json=body) as answer:
            return answer.status, json.loads(await answer.read())

    async def get(self, path: str) -> Any:
        """Fetch JSON."""
        async with self._http.get(f"/v1/{path}?wait=30") as answer:
            return json.loads(await answer.read())


async def test_another_client_decides(started: Path) -> None:
    """One posts a command that halts; another one retries it with other code, then lets it be."""
    async with Client(started) as one, Client(started) as other:
        body = {"code": "6 / n", "bindings": {"n": 0}, "halt_on_error": True}
        await one.post("commands", [{"id": 1, **body}, {"id": 2, "code": "'behind'"}])
        halted = await one.get("commands/1")
        decision = {"error_id": halted["error_id"], "decision": "retry"}
        status, told = await other.post("decisions", {**decision, "code": "5 / n", "epoch": 1})
        assert (status, told["decision"]) == (200, "retry")
        again = await one.get("commands/1")
        assert (again["state"], again["epoch"]) == ("halted", 2)
        await other.post("decisions", {**decision, "bindings": {"n": 2}})
        assert (await one.get("commands/1"))["value"] == 2.5
        assert (await one.get("commands/2"))["value"] == "behind"


async def test_an_error_of_a_bridge(started: Path) -> None:
    """It is listed, by what the bridge calls it; the bridge's promise has what was decided."""
    async with (
        Client(started) as client,
        connect(f"unix://{started}/worker.sock", halt_on_error=True, session="nightly") as bridge,
    ):
        promise = bridge.send("6 / n", {"n": 0}, name="six")
        await halt(bridge)
        (told,) = await client.get("errors")
        error_id = told["error_id"]
        assert error_id == bridge.halted[0].error_id
        whose = told["client"], told["session"], told["id"], told["label"], told["bindings"]
        assert whose == ("bridge", "nightly", promise.command_id, "six", ["n"])
        status, told = await client.post(
            "decisions", {"error_id": error_id, "decision": "ignore", "value": {"so": [1]}}
        )
        assert (status, told) == (200, {"error_id": error_id, "decision": "ignore"})
        assert await asyncio.wait_for(promise, 20) == {"so": [1]}
        status, problem = await client.post(
            "decisions", {"error_id": error_id, "decision": "raise"}
        )
        assert (status, problem["code"]) == (409, "DecisionError")


async def test_a_time_limit_and_a_priority(started: Path) -> None:
    """Code that runs for too long fails, and of those behind it the urgent one is first."""
    async with Client(started) as client:
        await client.post("commands", {"id": 0, "code": "order = []"})
        await client.get("commands/0")
        _, taken = await client.post(
            "commands",
            [
                {"id": 1, "code": "while True: pass", "run_timeout": 0.2, "priority": 2},
                {"id": 2, "code": "order.append('later')"},
                {"id": 3, "code": "order.append('urgent')", "priority": 1},
                {"id": 4, "code": "order", "after": [2]},
            ],
        )
        places = [each.get("position", 0) for each in taken]
        assert places[2] < places[1] < places[3]
        late = await client.get("commands/1")
        assert (late["state"], late["error"]["type"]) == ("failed", "TimeoutError")
        assert (await client.get("commands/4"))["value"] == ["urgent", "later"]
