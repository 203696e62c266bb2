"""Errors of the HTTP pair's commands that halt, in the worker's application, and decisions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asyncbridge.serialization.envelopes import write_base64
from asyncbridge.tasks import spawn
from tests.worker.test_commands import DOCUMENT, Client, check, listening, serving

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]

FAILING = {"code": "6 / n", "bindings": {"n": 0}, "halt_on_error": True}


async def decide(client: Client, **body: object) -> tuple[int, Any]:
    """Post a decision, which is as the document says."""
    check({"$ref": "#/components/schemas/Decision"}, body)
    return await client.ask("POST", "/v1/decisions", route="/v1/decisions", body=body)


async def halt(client: Client, key: object) -> Any:
    """Have a command fail; return what is told of it."""
    assert (await client.post({**FAILING, "id": key}))[0] == 202
    _, document = await client.get(key)
    assert document["state"] == "halted"
    return document


async def errors(client: Client) -> Any:
    """List what is halted, which is as the document says."""
    status, listed = await client.ask("GET", "/v1/errors", route="/v1/errors")
    assert status == 200
    return listed


async def test_the_list_of_what_is_halted(tmp_path: Path) -> None:
    """Of all sessions, the oldest first, with what each command is called; not what is decided."""
    async with serving(tmp_path) as client:
        assert await errors(client) == []
        halted = await halt(client, "first")
        code = "#" * 5000 + "\n1 / 0"
        body = {"id": 2, "code": code, "label": "two", "halt_on_error": True, "halt_timeout": 9}
        await client.post(body, Asyncbridge_Session="other")
        await client.get(2, Asyncbridge_Session="other")
        first, second = await errors(client)
        told = {name: first[name] for name in ("error_id", "epoch", "client", "session", "id")}
        assert told == {
            "error_id": halted["error_id"], "epoch": 1, "client": "http", "session": "default",
            "id": "first",
        }  # fmt: skip
        assert (first["code"], first["bindings"], first["default"]) == ("6 / n", ["n"], "raise")
        assert first["error"] == halted["error"]
        assert 299 < first["remaining"] + first["seconds"] < 301
        assert (second["session"], second["id"], second["label"]) == ("other", 2, "two")
        assert second["code"] == code[:4096]
        assert 8 < second["remaining"] + second["seconds"] < 10
        await decide(client, error_id=first["error_id"], decision="retry", bindings={"m": 1})
        await client.get("first")
        _, again = await errors(client)  # it halts for the shortest time now
        assert (again["epoch"], again["bindings"]) == (2, ["m", "n"])
        for each in await errors(client):
            await decide(client, error_id=each["error_id"], decision="ignore")
        assert await errors(client) == []


async def test_a_retry_with_other_code(tmp_path: Path) -> None:
    """A command that fails is halted, and those behind it wait; it runs again where it stood."""
    async with serving(tmp_path) as client:
        halted = await halt(client, 1)
        assert (halted["epoch"], halted["error"]["type"]) == (1, "ZeroDivisionError")
        _, behind = await client.post({"id": 2, "code": "'behind'"})
        assert (behind["state"], behind["position"]) == ("queued", 1)
        status, told = await decide(
            client, error_id=halted["error_id"], epoch=1, decision="retry", code="n + 1"
        )
        assert (status, told["decision"], told["command"]["id"]) == (200, "retry", 1)
        assert (await client.get(1))[1] == {
            "session": "default", "id": 1, "state": "completed", "value": 1,
        }  # fmt: skip
        assert (await client.get(2))[1]["value"] == "behind"


async def test_the_other_decisions(tmp_path: Path) -> None:
    """A value in its place, other code, other bindings, and the error itself."""
    array = {"$": "array", "t": "<f8", "s": [2], "o": "C", "b": 0}
    buffers = [write_base64(np.ones(2).tobytes())]
    async with serving(tmp_path) as client:
        cases: list[tuple[int, dict[str, object], object]] = [
            (1, {"decision": "ignore", "value": [1, None]}, [1, None]),
            (2, {"decision": "ignore"}, None),
            (3, {"decision": "replace", "code": "float(a.sum())", "bindings": {"a": array},
                 "buffers": buffers}, 2.0),
            (4, {"decision": "retry", "bindings": {"n": 2}}, 3.0),
        ]  # fmt: skip
        for key, decision, outcome in cases:
            halted = await halt(client, key)
            assert (await decide(client, error_id=halted["error_id"], **decision))[0] == 200
            assert (await client.get(key))[1]["value"] == outcome
        halted = await halt(client, 5)
        _, told = await decide(client, error_id=halted["error_id"], decision="raise")
        assert told["command"]["state"] == "failed"
        assert told["command"]["error"] == halted["error"]


async def test_dropping(tmp_path: Path) -> None:
    """What stands behind fails, even what has not left the desk yet, and names the command."""
    async with serving(tmp_path) as client:
        halted = await halt(client, "bad")
        await client.post([{"id": number, "code": "1"} for number in range(1500)])
        await decide(client, error_id=halted["error_id"], decision="drop")
        assert (await client.get("bad"))[1]["error"]["type"] == "ZeroDivisionError"
        for number in (0, 1499):
            _, dropped = await client.get(number)
            assert (dropped["state"], dropped["because"]) == ("failed", "bad")
            assert dropped["error"]["type"] == "CommandDropped"
        await client.post({"id": "later", "code": "2"})
        assert (await client.get("later"))[1]["value"] == 2


async def test_decisions_that_do_not_count(tmp_path: Path) -> None:
    """The same one again is no fault; another one is, and so is one about nothing."""
    async with serving(tmp_path) as client:
        status, problem = await decide(client, error_id="0-1", decision="raise")
        assert (status, problem["code"]) == (404, "DecisionError")
        halted = await halt(client, 1)
        error = halted["error_id"]
        status, problem = await decide(client, error_id=error, epoch=2, decision="raise")
        assert (status, problem["code"]) == (409, "DecisionError")
        for _ in range(2):
            status, told = await decide(client, error_id=error, epoch=1, decision="retry")
            assert (status, told["error_id"]) == (200, error)
            _, again = await client.get(1)
            assert (again["state"], again["error_id"], again["epoch"]) == ("halted", error, 2)
        await decide(client, error_id=error, decision="raise")
        status, problem = await decide(client, error_id=error, decision="ignore")
        assert status == 409
        assert "was decided already: by Raise()" in problem["detail"]


async def test_commands_that_do_not_halt(tmp_path: Path) -> None:
    """In a session of others that do, their errors stand, and the session goes on."""
    async with serving(tmp_path) as client:
        await client.post([
            {"id": 1, "code": "1 / 0"},
            {"id": 2, "code": "2", "halt_on_error": True},
            {"id": 3, "code": "1 / 0", "halt_on_error": False},
        ])  # fmt: skip
        assert (await client.get(1))[1]["state"] == "failed"
        assert (await client.get(2))[1]["value"] == 2
        assert (await client.get(3))[1]["state"] == "failed"


async def test_a_halt_that_nobody_decides_about(tmp_path: Path) -> None:
    """The error stands after its time, and says why."""
    async with serving(tmp_path) as client:
        await client.post({**FAILING, "id": 1, "halt_timeout": 0.001})
        while (document := (await client.get(1))[1])["state"] != "failed":
            await asyncio.sleep(0)
        assert document["error"]["notes"] == [
            "no decision about it came within 0.001 s, so the error stands"
        ]


async def test_cancelling_what_is_halted(tmp_path: Path) -> None:
    """It ends, and what is behind it runs; out of the queue alone it cannot be taken."""
    async with serving(tmp_path) as client:
        await halt(client, 1)
        await client.post({"id": 2, "code": "2"})
        status, document = await client.delete(1, "?mode=dequeue")
        assert (status, document["state"]) == (202, "halted")
        status, document = await client.delete(1)
        assert (status, document["state"]) == (200, "cancelled")
        assert (await client.get(2))[1]["value"] == 2


async def test_a_callback_decides(tmp_path: Path) -> None:
    """It hears of the halt with the error's id, of each of them, and of the outcome at last."""
    async with serving(tmp_path) as client, listening() as listener:
        body = {**FAILING, "id": 1, "callback": listener.url, "callback_token": "mine"}
        await client.post(body)
        first = await listener.next()
        assert (first["event"], first["state"], first["epoch"]) == ("notifyError", "halted", 1)
        assert first["error"]["type"] == "ZeroDivisionError"
        await decide(client, error_id=first["error_id"], epoch=1, decision="retry")
        second = await listener.next()
        assert (second["error_id"], second["epoch"]) == (first["error_id"], 2)
        assert (await client.get(1))[1]["notified"] is False
        await decide(client, error_id=first["error_id"], epoch=2, decision="ignore", value="so")
        assert await listener.next() == {
            "event": "notify", "session": "default", "id": 1, "state": "completed", "value": "so",
        }  # fmt: skip


async def test_a_decision_of_another_session(tmp_path: Path) -> None:
    """Any client may decide, whatever session it names."""
    async with serving(tmp_path) as client:
        await client.post({**FAILING, "id": 1}, Asyncbridge_Session="mine")
        _, halted = await client.get(1, Asyncbridge_Session="mine")
        status, told = await decide(client, error_id=halted["error_id"], decision="ignore")
        assert (status, told["command"]["session"]) == (200, "mine")


async def test_a_worker_that_ends_with_something_halted(tmp_path: Path) -> None:
    """The command fails, and nobody waits any more."""
    async with serving(tmp_path) as client:
        await halt(client, 1)
        await client.post({"id": 2, "code": "2"})
        waiting = spawn(client.get(2), name="wait")
        await client.get(2, "")
        await client.app.close()
        assert (await waiting)[1]["error"]["type"] == "WorkerLost"
        assert (await client.get(2, ""))[0] == 404  # of a new session


async def test_the_examples() -> None:
    """Those of the document are as it says."""
    post = DOCUMENT["paths"]["/v1/decisions"]["post"]["requestBody"]["content"]["application/json"]
    for example in post["examples"].values():
        check(post["schema"], example["value"])
