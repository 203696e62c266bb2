"""The web service in this process, with a worker that has no Keras where none is needed."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from asyncbridge import models as keras
from examples import web_app
from tests.examples.streams import events_of, until
from tests.limits import HANG_S

Client = TestClient[web.Request, web.Application]

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]


@pytest_asyncio.fixture
async def client(no_leaks: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """Run the service with a worker that trains nothing: there in a moment."""
    monkeypatch.setenv("ASYNCBRIDGE_BACKEND", "none")
    async with TestClient(TestServer(web_app.make_app())) as opened:
        yield opened


@pytest_asyncio.fixture
async def trainer(no_leaks: None) -> AsyncIterator[Client]:
    """Run the service with a worker that has TensorFlow."""
    async with TestClient(TestServer(web_app.make_app())) as opened:
        yield opened


async def health(client: Client) -> dict[str, Any]:
    """Return what the service tells of itself."""
    async with client.get("/health") as response:
        report: dict[str, Any] = await response.json()
        assert response.status == (
            200 if report["bridge"] in ("open", "busy-unresponsive") else 503
        )
        return report


async def answering(client: Client) -> dict[str, Any]:
    """Return what it tells once its worker answers, which may import TensorFlow meanwhile."""
    while "pid" not in (report := await health(client))["worker"]:
        await asyncio.sleep(0)
    return report


async def train(client: Client, **options: Any) -> str:
    """Start a training; return its id."""
    async with client.post("/train", json=options) as response:
        assert response.status == 202, await response.text()
        training: str = (await response.json())["training"]
        return training


def kill_worker(report: dict[str, Any]) -> None:
    """Kill the worker that a health report names."""
    os.kill(report["worker"]["pid"], signal.SIGKILL)


def too_narrow() -> keras.Sequential:
    """Make a network that the flowers do not fit."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile(loss="mse")
    return model


# --- without a model ---------------------------------------------------------------------


async def test_a_service_that_has_done_nothing_is_well(client: Client) -> None:
    """Its worker is there, and nothing is trained."""
    report = await answering(client)
    assert (report["bridge"], report["training"]) == ("open", None)
    assert report["worker"]["state"] in {"importing", "ready"}


async def test_no_prediction_without_a_model(client: Client) -> None:
    """The answer says what is to be done first."""
    async with client.post("/predict", json={"rows": [[5.1, 3.5, 1.4, 0.2]]}) as response:
        assert response.status == 503
        assert (await response.json())["error"] == "no model is trained: POST /train first"


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("/train", {"data": "{}"}, "send JSON, as Content-Type: application/json"),
    ("/train", {"json": [3]}, "the body is no JSON object: [3]"),
    ("/train", {"json": {"epoch": 3}}, '{"epochs": 1 to 1000} is what to send'),
    ("/train", {"json": {"epochs": 0}}, "not {'epochs': 0}"),
    ("/train", {"json": {"epochs": 1001}}, "not {'epochs': 1001}"),
    ("/train", {"json": {"epochs": True}}, "not {'epochs': True}"),
    ("/train", {"json": {"epochs": 2.0}}, "not {'epochs': 2.0}"),
    ("/predict", {"json": {}}, "rows: a list of 1 to 1000 rows is needed"),
    ("/predict", {"json": {"rows": []}}, "rows: a list of 1 to 1000 rows is needed"),
    ("/predict", {"json": {"rows": [[1, 2, 3, 4]] * 1001}}, "rows: a list of 1 to 1000 rows"),
    ("/predict", {"json": {"rows": [[1, 2, 3, 4], 5]}}, "rows[1]: "),
    ("/predict", {"json": {"rows": [[1, 2, 3]]}}, "in cm, 0 to 100, not [1, 2, 3]"),
    ("/predict", {"json": {"rows": [[1, 2, 3, "4"]]}}, "not [1, 2, 3, '4']"),
    ("/predict", {"json": {"rows": [[1, 2, 3, None]]}}, "not [1, 2, 3, None]"),
    ("/predict", {"json": {"rows": [[1, 2, 3, float("nan")]]}}, "not [1, 2, 3, nan]"),
    ("/predict", {"json": {"rows": [[1, 2, 3, 10**300]]}}, "rows[0]: "),
    ("/predict", {"json": {"rows": [[1, 2, 3, True]]}}, "not [1, 2, 3, True]"),
]
RAW = [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 5_000]


async def test_bad_input_is_told_in_words(client: Client) -> None:
    """A request that asks for what cannot be gets 400, and a text that says what is wrong."""
    for path, body, text in BAD:
        async with client.post(path, **body) as response:
            assert response.status == 400, (path, body)
            error = (await response.json())["error"]
        assert text in error
        assert len(error) < 300


async def test_what_is_no_json_is_refused(client: Client) -> None:
    """So are bytes that are no text, and JSON that no parser takes."""
    headers = {"Content-Type": "application/json"}
    charset = {"Content-Type": "application/json; charset=nonsense"}
    async with client.post("/train", data=b"{}", headers=charset) as response:
        assert response.status == 400
    for path, data in product(("/train", "/predict"), RAW):
        async with client.post(path, data=data, headers=headers) as response:
            assert response.status == 400, data[:10]
            assert "the body is no JSON" in (await response.json())["error"]


async def test_a_lost_worker_is_told_and_replaced(trainer: Client) -> None:
    """Health says it until the next training, which has a new worker."""
    before = await answering(trainer)
    kill_worker(before)
    async with asyncio.timeout(HANG_S):
        while (report := await health(trainer))["bridge"] != "lost":
            await asyncio.sleep(0)
    assert (report["bridge"], report["worker"]["state"]) == ("lost", "lost")
    assert "SIGKILL" in report["worker"]["error"]
    await train(trainer)
    after = await answering(trainer)
    assert after["bridge"] == "open"
    assert after["worker"]["pid"] != before["worker"]["pid"]


async def test_a_browser_that_leaves_is_noticed_and_no_news(
    no_leaks: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its stream ends at the next ping, with a line at level DEBUG and none above."""
    monkeypatch.setenv("ASYNCBRIDGE_BACKEND", "none")
    monkeypatch.setattr(web_app, "PING_SECONDS", 0.001)
    caplog.set_level(logging.DEBUG, "web_app")
    # Not a test server: that one cancels a handler when its client leaves, `run_app` does not.
    runner = web.AppRunner(web_app.make_app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with ClientSession() as session, asyncio.timeout(HANG_S):
        response = await session.get(f"{site.name}/progress")
        assert await response.content.readline() == b": ping\n"
        response.close()
        while "a browser has left /progress" not in caplog.text:
            await asyncio.sleep(0)
    await runner.cleanup()
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_a_stream_ends_with_the_service(client: Client) -> None:
    """A browser that waits for a training does not hold up the end, and reads to the end."""
    async with client.get("/progress") as response:
        assert response.status == 200
        await client.server.close()
        assert [event async for event in events_of(response)] == []


async def test_progress_has_no_head(client: Client) -> None:
    """An answer that never ends has no length to tell."""
    async with client.head("/progress") as response:
        assert response.status == 405


async def test_the_page_needs_nothing_from_elsewhere(client: Client) -> None:
    """It is one file, which names no other host."""
    async with client.get("/") as response:
        assert response.content_type == "text/html"
        page = await response.text()
    assert "//" not in page.replace("http://www.w3.org/2000/svg", "")


# --- with TensorFlow ---------------------------------------------------------------------


@pytest.mark.tensorflow
async def test_everyone_is_served_while_it_trains(
    trainer: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Fifty health checks at once, readers early, late and gone, a second training, a prediction."""
    training = await train(trainer, epochs=60)
    early, leaver = await trainer.get("/progress"), await trainer.get("/progress")
    begun = await until(early, "EpochEnd")
    await until(leaver, "EpochEnd")
    leaver.close()

    reports = await asyncio.gather(*(health(trainer) for _ in range(50)))
    assert {report["training"]["state"] for report in reports} == {"running"}
    # On a slow machine it may keep an answer waiting.
    assert {report["worker"]["state"] for report in reports} - {"unresponsive"} == {"ready"}
    async with trainer.post("/train", json={"epochs": 1}) as response:
        assert response.status == 409
        assert training in (await response.json())["error"]

    late = await trainer.get("/progress")
    assert (await health(trainer))["training"]["state"] == "running"
    of_late, of_early = await until(late, "End"), begun + await until(early, "End")
    early.close()
    late.close()
    for seen in of_early, of_late:
        assert [data["epoch"] for name, data in seen if name == "EpochEnd"] == list(range(60))
        assert {data["training"] for _, data in seen} == {training}
        assert seen[-1][1] == {
            "training": training, "state": "fulfilled", "epochs_done": 60, "error": None,
        }  # fmt: skip
    last = next(data for name, data in reversed(of_late) if name == "EpochEnd")
    assert {"loss", "val_loss"} <= last["logs"].keys()

    rows = [[5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.8, 2.2]]
    async with trainer.post("/predict", json={"rows": rows}) as response:
        answer = await response.json()
    assert answer["species"] == ["setosa", "virginica"]
    assert [sum(shares) for shares in answer["shares"]] == pytest.approx([1, 1], abs=1e-3)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.tensorflow
async def test_a_training_that_fails_is_told_and_hinders_no_other(
    trainer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream ends it with the error, in one line; the next one may start."""
    monkeypatch.setattr(web_app, "build", too_narrow)
    training = await train(trainer)
    async with trainer.get("/progress") as response:
        *_, (name, end) = await until(response, "End")
    assert (name, end["training"], end["state"]) == ("End", training, "rejected")
    assert end["error"].startswith("RemoteValueError: ")
    assert "\n" not in end["error"]
    assert (await answering(trainer))["bridge"] == "open"
    monkeypatch.undo()
    await train(trainer, epochs=1)
    async with trainer.get("/progress") as response:
        assert (await until(response, "End"))[-1][1]["error"] is None


@pytest.mark.tensorflow
async def test_a_worker_killed_in_mid_training(
    trainer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress, health and predictions tell of it; the next training has a worker, and predicts."""
    await train(trainer, epochs=1)
    async with trainer.get("/progress") as response:
        await until(response, "End")
    training = await train(trainer, epochs=1000)
    async with trainer.get("/progress") as response:
        await until(response, "EpochEnd")
        # A prediction waits for the worker's one thread, up to its limit.
        monkeypatch.setattr(web_app, "PREDICT_SECONDS", 0.05)
        async with trainer.post("/predict", json={"rows": [[5.1, 3.5, 1.4, 0.2]]}) as predicted:
            assert predicted.status == 503
            assert "predicts after that" in (await predicted.json())["error"]
        kill_worker(await answering(trainer))
        name, end = (await until(response, "End"))[-1]
    assert (name, end["training"], end["state"]) == ("End", training, "rejected")
    assert 1 <= end["epochs_done"] < 1000
    assert end["error"].startswith("WorkerLost: ")
    assert "SIGKILL" in end["error"]
    assert (await health(trainer))["bridge"] == "lost"
    async with trainer.post("/predict", json={"rows": [[5.1, 3.5, 1.4, 0.2]]}) as predicted:
        assert predicted.status == 503
    monkeypatch.undo()
    await train(trainer, epochs=1)
    assert (await answering(trainer))["bridge"] == "open"
    async with trainer.get("/progress") as response:
        assert (await until(response, "End"))[-1][1]["error"] is None
    async with trainer.post("/predict", json={"rows": [[5.1, 3.5, 1.4, 0.2]]}) as predicted:
        assert predicted.status == 200


@pytest.mark.tensorflow
async def test_the_end_does_not_wait_for_a_training(trainer: Client) -> None:
    """The stream tells of it as its last event; the worker goes with the service."""
    await train(trainer, epochs=1000)
    async with trainer.get("/progress") as response:
        await until(response, "EpochEnd")
        await trainer.server.close()
        *_, (name, end) = [event async for event in events_of(response)]
    assert (name, end["state"]) == ("End", "rejected")
    assert end["error"].startswith("BridgeClosed: ")


# --- as a program ------------------------------------------------------------------------


@asynccontextmanager
async def program(folder: Path) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    """Run the example as its reader does; yield the process and its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", str(ROOT / "examples" / "web_app.py"),
        env={**os.environ, "PORT": "0", "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        greeting = (await process.stdout.readline()).decode()
        yield process, greeting.split()[3]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.tensorflow
async def test_a_signal_ends_the_program_in_mid_training(tmp_path: Path) -> None:
    """Its stream is ended as streams end, its worker and folders are gone, its status is 0."""
    async with program(tmp_path) as (process, address), ClientSession(address) as session:
        async with session.post("/train", json={"epochs": 1000}) as response:
            assert response.status == 202
        stream = await session.get("/progress")
        await until(stream, "EpochEnd")
        async with session.get("/health") as response:
            worker = psutil.Process((await response.json())["worker"]["pid"])
        process.send_signal(signal.SIGTERM)
        *_, (name, end) = [event async for event in events_of(stream)]
        assert (name, end["state"]) == ("End", "rejected")
        _, errors = await process.communicate()
        assert process.returncode == 0
        assert "Traceback" not in errors.decode()
        assert not worker.is_running()
        assert list(tmp_path.iterdir()) == []
