"""The paper's HTTP pair in the worker's application: whatever it answers is as OpenAPI says."""

from __future__ import annotations

import asyncio
import copy
import io
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.codec import decode
from asyncbridge.serialization.envelopes import read_base64, write_base64
from asyncbridge.tasks import spawn
from asyncbridge.worker.app import WorkerApp
from asyncbridge.worker.backend import Backend
from asyncbridge.worker.engine import Engine
from asyncbridge.worker.executor import StepExecutor
from asyncbridge.worker.security import UNIX_HOST
from tests.limits import HANG_S

jsonschema = pytest.importorskip("jsonschema", reason="the extra `dev` brings it")

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]

TOKEN = "correct-horse"
BASE = f"http://{UNIX_HOST}"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
DOCUMENT = json.loads(files("asyncbridge.worker").joinpath("openapi.json").read_text("utf-8"))


COMPONENTS = copy.deepcopy(DOCUMENT["components"])
for each in COMPONENTS["schemas"].values():
    if "properties" in each:  # what is told is documented, all of it
        each["additionalProperties"] = False


def check(schema: dict[str, Any], instance: object) -> None:
    """Raise where an instance is not as a schema of the document says."""
    whole = {**schema, "components": COMPONENTS}
    jsonschema.Draft202012Validator(whole).validate(instance)


def content_of(path: str, method: str, status: int) -> tuple[str, dict[str, Any]]:
    """Return the media type, and the schema, of an answer."""
    ((kind, content),) = DOCUMENT["paths"][path][method]["responses"][str(status)][
        "content"
    ].items()
    return kind, content["schema"]


class Executor(StepExecutor):
    """Runs what it is given in the next turn of the loop, unless it is held."""

    held = False

    def submit(self, job: Callable[[], None]) -> None:
        super().submit(job)
        if not self.held:
            asyncio.get_running_loop().call_soon(self.step)


class Client:
    """Talks to a worker as anybody would, and looks at each answer."""

    def __init__(self, http: aiohttp.ClientSession, executor: Executor, app: WorkerApp) -> None:
        self.http = http
        self.executor = executor
        self.app = app

    async def ask(
        self, method: str, path: str, *, route: str = "", body: object = None, **headers: str
    ) -> tuple[int, Any]:
        """Make a request; return the status and the JSON."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.request(
            method,
            f"{BASE}{path}",
            data=None if body is None else io.BytesIO(data),
            headers={**HEADERS, **named},
        ) as answer:
            document = json.loads(await answer.read())
            if route:
                kind, schema = content_of(route, method.lower(), answer.status)
                assert answer.content_type == kind
                check(schema, document)
            return answer.status, document

    async def post(self, body: object, **headers: str) -> tuple[int, Any]:
        """Post a command, or several."""
        return await self.ask("POST", "/v1/commands", route="/v1/commands", body=body, **headers)

    async def get(self, key: object, query: str = "?wait=20", **headers: str) -> tuple[int, Any]:
        """Ask for a command."""
        path = f"/v1/commands/{key}{query}"
        return await self.ask("GET", path, route="/v1/commands/{id}", **headers)

    async def delete(self, key: object, query: str = "", **headers: str) -> tuple[int, Any]:
        """Cancel a command."""
        path = f"/v1/commands/{key}{query}"
        return await self.ask("DELETE", path, route="/v1/commands/{id}", **headers)


@asynccontextmanager
async def serving(folder: Path, *, lease: float = HANG_S) -> AsyncGenerator[Client, None]:
    """Serve a worker on a Unix socket."""
    executor = Executor()
    engine = Engine(loop=asyncio.get_running_loop(), executor=executor, backend=Backend(None))
    engine.start()
    app = WorkerApp(
        engine, token=TOKEN, hosts=frozenset({UNIX_HOST}), lease=lease, largest=2_000_000
    )
    runner = web.AppRunner(app.app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    path = str(folder / "s")
    await web.UnixSite(runner, path).start()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as http:
        try:
            yield Client(http, executor, app)
        finally:
            await app.close()
            await runner.cleanup()


class Listener:
    """A client's own server, which answers as it is told."""

    def __init__(self) -> None:
        self.url = ""
        self.statuses: list[int] = []
        self.bodies: asyncio.Queue[Any] = asyncio.Queue()
        self.authorizations: list[str] = []
        self.queries: list[str] = []

    async def take(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        schema = DOCUMENT["paths"]["/v1/commands"]["post"]["callbacks"]["outcome"]
        post = schema["{$request.body#/callback}"]["post"]
        check(post["requestBody"]["content"]["application/json"]["schema"], body)
        self.authorizations.append(request.headers.get("Authorization", ""))
        self.queries.append(request.query_string)
        self.bodies.put_nowait(body)
        status = self.statuses.pop(0) if self.statuses else 204
        return web.Response(status=status, headers={"Location": f"{self.url}?elsewhere"})

    async def next(self) -> Any:
        """Return what comes next."""
        async with asyncio.timeout(HANG_S):
            return await self.bodies.get()


@asynccontextmanager
async def listening() -> AsyncGenerator[Listener, None]:
    """Listen on loopback."""
    listener = Listener()
    app = web.Application()
    app.add_routes([web.post("/notify", listener.take)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    listener.url = f"http://127.0.0.1:{runner.addresses[0][1]}/notify"
    try:
        yield listener
    finally:
        await runner.cleanup()


# --- commands and their outcomes -----------------------------------------------------------


async def test_a_command(tmp_path: Path) -> None:
    """It is answered at once, and its value is fetched."""
    async with serving(tmp_path) as client:
        client.executor.held = True
        body = {"id": 7, "code": "x + 1", "bindings": {"x": 41}}
        assert await client.post(body) == (
            202, {"session": "default", "id": 7, "state": "queued", "position": 0},
        )  # fmt: skip
        _, document = await client.get(7, "")
        assert (document["state"], document["position"]) == ("queued", 0)
        asking = spawn(client.get(7), name="ask")
        client.executor.held = False
        await client.post({"code": "0"})
        client.executor.run_all()
        assert await asking == (
            200, {"session": "default", "id": 7, "state": "completed", "value": 42},
        )  # fmt: skip


async def test_a_command_without_an_id(tmp_path: Path) -> None:
    """The worker chooses one."""
    async with serving(tmp_path) as client:
        _, first = await client.post({"code": "'one'"})
        _, second = await client.post({"code": "'two'"})
        assert first["id"] != second["id"]
        assert (await client.get(second["id"]))[1]["value"] == "two"


async def test_arrays(tmp_path: Path) -> None:
    """They travel as tagged JSON beside base64, small and large ones, there and back."""
    async with serving(tmp_path) as client:
        for size in (3, 200_000):
            tree = {"a": {"$": "array", "t": "<f8", "s": [size], "o": "C", "b": 0}}
            buffers = [write_base64(np.arange(float(size)).tobytes())]
            body = {"id": size, "code": "a * 2", "bindings": tree, "buffers": buffers}
            assert (await client.post(body))[0] == 202
            _, document = await client.get(size)
            parts = tuple(read_base64(text, "a buffer") for text in document["buffers"])
            value = decode(Payload(header=document["value"], buffers=parts))
            assert np.array_equal(np.asarray(value), np.arange(float(size)) * 2)


async def test_errors(tmp_path: Path) -> None:
    """A command that raises has an error, and those that depend on it have its."""
    async with serving(tmp_path) as client:
        status, documents = await client.post([
            {"id": "bad", "code": "raise ValueError('no') from KeyError(1)"},
            {"id": "behind", "code": "1", "after": ["bad"]},
            {"id": "beside", "code": "2"},
        ])  # fmt: skip
        assert status == 202
        assert [each["position"] for each in documents] == [0, 1, 2]
        _, bad = await client.get("bad")
        assert (bad["state"], bad["error"]["type"]) == ("failed", "ValueError")
        assert bad["error"]["cause"]["type"] == "KeyError"
        assert bad["error"]["frames"][0]["line"] == 1
        _, behind = await client.get("behind")
        assert (behind["state"], behind["because"]) == ("failed", "bad")
        assert (await client.get("beside"))[1]["value"] == 2


async def test_undecodable_text(tmp_path: Path) -> None:
    """An error's text that is no Unicode comes all the same."""
    async with serving(tmp_path) as client:
        await client.post({"id": 1, "code": "raise ValueError('\\udc80')"})
        assert (await client.get(1))[1]["error"]["message"] == "\\udc80"


async def test_sessions(tmp_path: Path) -> None:
    """Each has ids of its own, over one namespace."""
    async with serving(tmp_path) as client:
        await client.post({"id": 1, "code": "shared = 5"}, Asyncbridge_Session="a")
        await client.get(1, Asyncbridge_Session="a")
        await client.post({"id": 1, "code": "shared"}, Asyncbridge_Session="b")
        assert (await client.get(1, Asyncbridge_Session="b"))[1]["value"] == 5
        status, problem = await client.get(1)
        assert (status, problem["code"]) == (404, "UnknownCommand")


async def test_a_repetition(tmp_path: Path) -> None:
    """The same command again is not run again; another one under its id is a conflict."""
    async with serving(tmp_path) as client:
        await client.post({"id": 0, "code": "runs = []"})
        body = {"id": 1, "code": "runs.append(1); len(runs)"}
        assert (await client.post(body))[0] == 202
        await client.get(1)
        status, document = await client.post({**body, "id": "1"})
        assert (status, document["value"]) == (200, 1)
        status, problem = await client.post({"id": 1, "code": "2"})
        assert (status, problem["code"]) == (409, "IdConflict")
        status, problem = await client.post(
            [{"id": 5, "code": "runs.append(2)"}, {**body, "after": [5]}]
        )
        assert (status, problem["code"]) == (409, "IdConflict")
        assert (await client.get(5))[0] == 404  # none of a list that is refused
        await client.post({"id": 6, "code": "runs"})
        assert (await client.get(6))[1]["value"] == [1]


async def test_cancelling(tmp_path: Path) -> None:
    """A command that waits is taken out; one that is over stays as it is."""
    async with serving(tmp_path) as client:
        await client.post({"id": 0, "code": "0"})
        await client.get(0)
        client.executor.held = True
        await client.post([{"id": 1, "code": "1"}, {"id": 2, "code": "2"}])
        assert (await client.get(2, ""))[1]["position"] == 1
        status, document = await client.delete(2)
        assert (status, document["state"]) == (200, "cancelled")
        assert document["error"]["type"] == "CancelledError"
        status, document = await client.delete(0, "?mode=interrupt")
        assert (status, document["state"]) == (200, "completed")
        client.executor.run_all()
        assert (await client.get(1))[1]["value"] == 1


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "is no JSON"),
        (b'{"code": "1", "code": "2"}', 400, "twice"),
        ([], 400, "1 to 10000"),
        ("text", 400, "no JSON object"),
        ({}, 400, "no field 'code'"),
        ([{"code": "1"}, {"code": 1}], 400, "field 'code' of command 1 of the list is not text"),
        ({"code": "1", "cod": 2}, 400, "'cod'"),
        ({"code": "1", "id": 1.5}, 400, "'id'"),
        ({"code": "1", "id": True}, 400, "'id'"),
        ({"code": "1", "id": "a/b"}, 400, "'a/b'"),
        ({"code": "1", "id": "~1"}, 400, "the worker's own"),
        ({"code": "1", "lifetime": "long"}, 400, "'lifetime'"),
        ({"code": "1", "priority": 2**31}, 400, "'priority'"),
        ({"code": "1", "priority": True}, 400, "'priority'"),
        ({"code": "1", "run_timeout": 0}, 400, "'run_timeout'"),
        ({"code": "1", "run_timeout": 1e10}, 400, "'run_timeout'"),
        ({"code": "1", "halt_on_error": 1}, 400, "'halt_on_error'"),
        ({"code": "1", "halt_on_error": True, "halt_timeout": -1}, 400, "'halt_timeout'"),
        ({"code": "1", "halt_timeout": 5}, 400, "no 'halt_on_error'"),
        ({"code": "1", "after": [1.5]}, 400, "'after'"),
        ({"code": "1", "after": ["none"]}, 404, "no command 'none'"),
        ({"code": "1", "buffers": []}, 400, "'bindings'"),
        ({"code": "1", "bindings": {}, "buffers": ["?"]}, 400, "buffer 0"),
        ({"code": "1", "bindings": {}, "buffers": ["A" * 4_000_000]}, 413, "limit is 2000000"),
        ({"code": "1", "callback": "ftp://x"}, 400, "no http://"),
        ({"code": "1", "callback": "http://10.9.8.7/"}, 403, "--callback-hosts"),
        ({"code": "1", "callback": "http://127.0.0.1%.x.example/"}, 400, "has a %"),
        ({"code": "1", "callback": "http://[::1]evil.example/"}, 400, "no URL"),
        ({"code": "1", "callback_token": "a\nb"}, 400, "'callback_token'"),
    ],
)
async def test_bad_commands(tmp_path: Path, body: object, status: int, message: str) -> None:
    """The problem names the field and what is wrong with it."""
    async with serving(tmp_path) as client:
        given, problem = await client.post(body)
        assert given == status
        assert message in problem["detail"]
        assert (await client.post({"code": "1"}))[0] == 202  # the others are unharmed


async def test_bad_questions(tmp_path: Path) -> None:
    """So do those of the other routes."""
    async with serving(tmp_path) as client:
        for wait in ("x", "-1", "61", "nan"):
            assert (await client.get(1, f"?wait={wait}"))[0] == 400
        status, problem = await client.delete(1, "?mode=kill")
        assert (status, "`run_timeout` does so" in problem["detail"]) == (400, True)
        status, problem = await client.delete(1, "?mode=stop")
        assert (status, "'stop' is none of auto" in problem["detail"]) == (400, True)
        assert (await client.delete(1))[0] == 404
        assert (await client.get(1, Asyncbridge_Session="a b"))[0] == 400
        assert (await client.get(1, Authorization="Bearer guessed"))[0] == 403
        assert (await client.get(1, Origin="http://page"))[0] == 403
        assert (await client.ask("GET", "/v1/nothing"))[1]["code"] == "NotFound"
        assert (await client.ask("PUT", "/v1/commands"))[1]["code"] == "MethodNotAllowed"


async def test_another_worker(tmp_path: Path) -> None:
    """A command that is meant for the one before is refused: it may have run there."""
    async with serving(tmp_path) as client:
        async with client.http.post(
            f"{BASE}/v1/commands", data=b'{"id": 1, "code": "1"}', headers=HEADERS
        ) as answer:
            life = answer.headers["Asyncbridge-Incarnation"]
        body = {"id": 2, "code": "2"}
        assert (await client.post(body, Asyncbridge_Incarnation=life))[0] == 202
        status, problem = await client.post(body, Asyncbridge_Incarnation="0" * 16)
        assert (status, problem["code"]) == (410, "AnotherWorker")
        assert life in problem["detail"]


# --- callbacks ---------------------------------------------------------------------------------


async def test_a_callback(tmp_path: Path) -> None:
    """Outcomes are posted to it, with its secret, in their order."""
    async with serving(tmp_path) as client, listening() as listener:
        more = {"callback": listener.url, "callback_token": "mine"}
        await client.post([{"id": 1, "code": "6 * 7", **more}, {"id": 2, "code": "1 / 0", **more}])
        assert await listener.next() == {
            "event": "notify", "session": "default", "id": 1, "state": "completed", "value": 42,
        }  # fmt: skip
        failed = await listener.next()
        assert (failed["event"], failed["id"]) == ("notifyError", 2)
        assert failed["error"]["type"] == "ZeroDivisionError"
        assert listener.authorizations == ["Bearer mine"] * 2


async def test_a_callback_by_name(tmp_path: Path) -> None:
    """This machine's own is looked up nowhere, and found."""
    async with serving(tmp_path) as client, listening() as listener:
        url = listener.url.replace("127.0.0.1", "LOCALHOST")
        await client.post({"id": 1, "code": "1", "callback": url})
        assert (await listener.next())["value"] == 1


async def test_a_callback_for_many(tmp_path: Path) -> None:
    """Those that wait are posted together, as a list."""
    async with serving(tmp_path) as client, listening() as listener:
        more = {"callback": listener.url, "callback_batch": True}
        await client.post([{"id": number, "code": f"{number}", **more} for number in range(300)])
        values: list[int] = []
        posts = 0
        while len(values) < 300:
            batch = await listener.next()
            values += [each["value"] for each in batch]
            posts += 1
        assert values == list(range(300))
        assert posts < 300


async def test_a_callback_that_fails_at_first(tmp_path: Path) -> None:
    """It is posted again, until a status of success; redirects are not followed."""
    async with serving(tmp_path) as client, listening() as listener:
        listener.statuses = [500, 307, 204]
        await client.post({"id": 1, "code": "1", "callback": listener.url})
        seen = [await listener.next() for _ in range(3)]
        assert seen[0] == seen[1] == seen[2]
        assert listener.queries == [""] * 3
        while not (document := (await client.get(1))[1])["notified"]:
            await asyncio.sleep(0)
        assert "callback_error" not in document


async def test_a_callback_that_never_answers(tmp_path: Path) -> None:
    """It is given up in the end, which is told, and the outcome stays to be fetched."""
    async with listening() as listener:
        url = listener.url
    async with serving(tmp_path, lease=0.001) as client:
        await client.post(
            [{"id": 1, "code": "1", "callback": url}, {"id": 2, "code": "2", "callback": url}]
        )
        for number in (1, 2):
            while "callback_error" not in (document := (await client.get(number))[1]):
                await asyncio.sleep(0)
            assert (document["value"], document["notified"]) == (number, False)
            assert "the callback was given up" in document["callback_error"]


async def test_a_worker_that_ends(tmp_path: Path) -> None:
    """What is unfinished fails, and its callback is told."""
    async with serving(tmp_path) as client, listening() as listener:
        await client.post({"id": 0, "code": "0"})
        await client.get(0)
        client.executor.held = True
        await client.post({"id": 1, "code": "1", "callback": listener.url})
        await client.app.close()
        told = await listener.next()
        assert (told["event"], told["error"]["type"]) == ("notifyError", "WorkerLost")


# --- the document ------------------------------------------------------------------------------


async def test_the_document_is_served(tmp_path: Path) -> None:
    """As the file is."""
    async with serving(tmp_path) as client:
        assert await client.ask("GET", "/v1/openapi.json") == (200, DOCUMENT)


async def test_the_document_is_openapi() -> None:
    """It is valid OpenAPI 3.1, and its examples are as it says."""
    validator = pytest.importorskip("openapi_spec_validator", reason="the extra `dev` brings it")
    validator.validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1")
    post = DOCUMENT["paths"]["/v1/commands"]["post"]["requestBody"]["content"]["application/json"]
    for example in post["examples"].values():
        check(post["schema"], example["value"])
