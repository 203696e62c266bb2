"""Sessions of the HTTP pair, in the worker's application: who has one, and who makes room."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from asyncbridge.worker import desks
from tests.worker.test_commands import listening, serving

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]


async def test_sessions_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was idle for longest makes room, and none that has something to do."""
    monkeypatch.setattr(desks, "SESSIONS", 2)
    async with serving(tmp_path) as client:
        for name in ("a", "b"):
            await client.post({"id": 1, "code": "1"}, Asyncbridge_Session=name)
            await client.get(1, Asyncbridge_Session=name)
        client.executor.held = True
        await client.post({"id": 2, "code": "2"}, Asyncbridge_Session="a")
        await client.post({"id": 2, "code": "2"}, Asyncbridge_Session="c")  # in the place of b
        status, problem = await client.post({"code": "3"}, Asyncbridge_Session="d")
        assert (status, problem["code"]) == (429, "TooManySessions")
        client.executor.run_all()
        assert (await client.get(2, Asyncbridge_Session="a"))[1]["value"] == 2
        assert (await client.get(1, Asyncbridge_Session="b"))[0] == 410


async def test_a_command_of_a_session_that_made_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not run again: its id stays used, and the session goes on with others."""
    monkeypatch.setattr(desks, "SESSIONS", 2)
    async with serving(tmp_path) as client:
        await client.post({"id": 0, "code": "runs = []"}, Asyncbridge_Session="a")
        once: list[dict[str, object]] = [
            {"id": key, "code": f"runs.append({key!r})"} for key in (1, "text", "007", -1, 2**63)
        ]
        assert (await client.post(once, Asyncbridge_Session="a"))[0] == 202
        own = (await client.post({"code": "1"}, Asyncbridge_Session="a"))[1]["id"]
        for key in (0, *(each["id"] for each in once), own):
            await client.get(key, Asyncbridge_Session="a")
        for name in "bc":
            await client.post({"id": 1, "code": "1"}, Asyncbridge_Session=name)
            await client.get(1, Asyncbridge_Session=name)
        other = {"id": 1, "code": "another"}
        for body in (*once, other, [{"id": 9, "code": "1"}, once[1]]):
            status, problem = await client.post(body, Asyncbridge_Session="a")
            assert (status, problem["code"]) == (410, "ResultExpired")
            assert "not run again" in problem["detail"]
        status, problem = await client.post(
            {"id": 3, "code": "1", "after": ["text"]}, Asyncbridge_Session="a"
        )
        assert (status, problem["code"]) == (410, "ResultExpired")
        for key in (1, "text", own):
            assert (await client.get(key, Asyncbridge_Session="a"))[0] == 410
            assert (await client.delete(key, Asyncbridge_Session="a"))[0] == 410
        assert (await client.get(5, Asyncbridge_Session="a"))[0] == 404
        assert (await client.post({"id": 9, "code": "runs"}, Asyncbridge_Session="a"))[0] == 202
        _, document = await client.get(9, Asyncbridge_Session="a")
        assert document["value"] == [1, "text", "007", -1, 2**63]


async def test_questions_make_no_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do decisions, refused commands, and cancels: nothing makes room for them."""
    monkeypatch.setattr(desks, "SESSIONS", 1)
    async with serving(tmp_path) as client:
        body = {"id": 1, "code": "'kept'"}
        await client.post(body)
        for name in ("s0", "s1"):
            assert (await client.get(1, Asyncbridge_Session=name))[0] == 404
            assert (await client.delete(1, Asyncbridge_Session=name))[0] == 404
            bad = {**body, "lifetime": "long"}
            assert (await client.post(bad, Asyncbridge_Session=name))[0] == 400
            for _ in range(2):
                decision = {"error_id": "0-1", "decision": "raise"}
                asked = await client.ask(
                    "POST", "/v1/decisions", route="/v1/decisions", body=decision,
                    Asyncbridge_Session=name,
                )  # fmt: skip
                assert asked[0] == 404
        assert (await client.get(1))[1]["value"] == "kept"


async def test_who_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session whose outcomes somebody has had, by asking or by callback; else the oldest."""
    monkeypatch.setattr(desks, "SESSIONS", 3)
    async with serving(tmp_path) as client, listening() as listener:
        await client.post({"id": 1, "code": "1"}, Asyncbridge_Session="unasked")
        more = {"callback": listener.url}
        await client.post({"id": 1, "code": "1", **more}, Asyncbridge_Session="called")
        await listener.next()
        while not (await client.get(1, Asyncbridge_Session="called"))[1]["notified"]:
            await asyncio.sleep(0)
        await client.post({"id": 1, "code": "1"}, Asyncbridge_Session="asked")
        await client.get(1, Asyncbridge_Session="asked")
        await client.post({"id": 1, "code": "1"}, Asyncbridge_Session="more")
        assert (await client.get(1, "", Asyncbridge_Session="called"))[0] == 410
        await client.post({"id": 1, "code": "1"}, Asyncbridge_Session="still-more")
        assert (await client.get(1, "", Asyncbridge_Session="asked"))[0] == 410
        assert (await client.get(1, "", Asyncbridge_Session="unasked"))[0] == 200
