"""A web service that trains and predicts in a worker, and answers everyone meanwhile.

    python examples/web_app.py        # then open http://127.0.0.1:8080

POST /train     {"epochs": 60}: 202 and the training's id, at once; 409 while one runs
POST /predict   {"rows": [[5.1, 3.5, 1.4, 0.2]]}: a species for each flower
GET  /progress  the newest training from its beginning, then the next: server-sent events, named
                as asyncbridge's are; "Training" goes before them, "End" after
GET  /health    the bridge and the worker; 503 once the worker is lost, until the next training
GET  /          a page that draws the loss while the model learns
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import reprlib
import secrets
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from aiohttp import web

import asyncbridge
from asyncbridge import models as keras

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from aiohttp.typedefs import Handler

HERE = Path(__file__).parent
SPECIES = ("setosa", "versicolor", "virginica")
MOST_EPOCHS = 1000
MOST_ROWS = 1000
FOUR_LENGTHS = "sepal length and width, petal length and width, in cm, 0 to 100"
WELL = ("open", "busy-unresponsive")  # a worker that is silent for a while is well
GONE = ("lost", "closed")  # what `bridge.state` says once there is no worker
PREDICT_SECONDS = 10.0
HEALTH_SECONDS = 1.0
PING_SECONDS = 15.0  # proxies cut silent streams; and only a write shows that a browser is gone

logger = logging.getLogger("web_app")
Array = np.ndarray[Any, np.dtype[np.float32]]


class BadInput(Exception):
    """The request asks for what cannot be; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """One training."""

    id: str
    model: keras.Sequential
    training: keras.Training

    def report(self) -> dict[str, object]:
        """Tell how far it is; the state is that of the promise: ``running``, ``fulfilled``..."""
        done = len(self.training.history.epochs)
        return {"training": self.id, "state": self.training.state, "epochs_done": done}


class Service:
    """One worker, one training at a time, and the model of the last one that went well."""

    def __init__(self) -> None:
        self._bridge = asyncbridge.connect(restart="never")  # the next training starts another
        self._newest: Run | None = None
        self._served: Run | None = None
        self._starting = asyncio.Lock()
        self._closed = False
        self._news = asyncio.Event()
        self._info: asyncbridge.Promise[asyncbridge.WorkerInfo] | None = None
        self._x, self._y = load()

    async def life(self, _: web.Application) -> AsyncIterator[None]:
        """Start the worker with the app, and end it with the app."""
        await self._bridge
        yield
        await self._bridge.close(timeout=0)

    async def stop(self, _: web.Application) -> None:
        """End what is under way, so that no request holds up the app's end."""
        async with self._starting:
            self._closed = True
            await self._bridge.close(timeout=0)
        self._news.set()

    async def train(self, request: web.Request) -> web.Response:
        """Start a training, in a new worker if the old one is lost."""
        epochs = epochs_of(await body_of(request))
        async with self._starting:
            if self._newest is not None and not self._newest.training.done():
                return reply({"error": f"training {self._newest.id} runs"}, status=409)
            if self._bridge.state in GONE and not self._closed:
                self._served = None  # the models went with their worker
                await self._bridge.close(timeout=0)
                self._bridge = await asyncbridge.connect(restart="never")
            model = build()
            training = model.fit(
                self._x, self._y, batch_size=16, epochs=epochs, verbose=0, validation_split=0.2
            )
            self._newest = run = Run(id=secrets.token_hex(4), model=model, training=training)
        training.then(partial(self._serve, run), partial(self._give_up, run))
        self._news.set()
        self._news = asyncio.Event()
        return reply({"training": run.id}, status=202)

    def _serve(self, run: Run, history: keras.TrainingHistory) -> None:
        self._served = run
        logger.info("training %s: %r", run.id, history)

    def _give_up(self, run: Run, error: BaseException) -> None:
        logger.warning("training %s failed: %s", run.id, error)

    async def predict(self, request: web.Request) -> web.Response:
        """Tell the species of flowers."""
        rows = rows_of(await body_of(request))
        if self._bridge.state in GONE:
            why = "the worker is lost, and its models with it: POST /train again"
            return reply({"error": why}, status=503)
        if self._served is None:
            runs = self._newest is not None and not self._newest.training.done()
            why = "the first training runs" if runs else "no model is trained: POST /train first"
            return reply({"error": why}, status=503)
        promise = self._served.model.predict(rows)
        try:
            async with asyncio.timeout(PREDICT_SECONDS):
                shares: Array = await promise
        except TimeoutError:
            promise.cancel()  # nobody waits for it any more: out of the queue
            return reply({"error": "the worker trains, and predicts after that"}, status=503)
        names = [SPECIES[index] for index in shares.argmax(axis=1)]
        return reply({"species": names, "shares": shares.tolist()})

    async def progress(self, request: web.Request) -> web.StreamResponse:
        """Send events for as long as the browser listens, or the service runs."""
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response, events = web.StreamResponse(headers=headers), self._events()
        try:
            await response.prepare(request)
            async with asyncio.TaskGroup() as tasks, contextlib.aclosing(events):
                pings = tasks.create_task(ping(response))
                async for name, data in events:
                    text = f"event: {name}\ndata: {orjson.dumps(data).decode()}\n\n"
                    await response.write(text.encode())
                pings.cancel()
        except* ConnectionResetError:
            logger.debug("a browser has left /progress")
        return response

    async def _events(self) -> AsyncGenerator[tuple[str, dict[str, object]]]:
        told = None
        while not self._closed:
            run, news = self._newest, self._news
            if run is None or run is told:
                await news.wait()
                continue
            yield "Training", run.report()
            async for event in run.training.progress():
                yield type(event).__name__, {"training": run.id, **asdict(event)}
            error = run.training.exception()  # its progress ends when it has ended
            yield "End", {**run.report(), "error": None if error is None else in_short(error)}
            told = run

    async def health(self, _: web.Request) -> web.Response:
        """Tell how the bridge, the worker and the training are."""
        run, state = self._newest, self._bridge.state
        training = None if run is None else run.report()
        report = {"bridge": state, "worker": await self._worker(), "training": training}
        return reply(report, status=200 if state in WELL else 503)

    async def _worker(self) -> dict[str, object]:
        try:
            if self._info is None or self._info.done():  # however many ask, one question goes out
                self._info = self._bridge.info()
            async with asyncio.timeout(HEALTH_SECONDS):
                info = await self._info
        except TimeoutError:
            return {"state": "unresponsive"}
        except asyncbridge.AsyncBridgeError as error:
            return {"state": "lost", "error": in_short(error)}
        return {"state": info.state, "pid": info.pid, "memory": info.memory, "queued": info.queued}


async def page(_: web.Request) -> web.FileResponse:
    """Send the page."""
    return web.FileResponse(HERE / "static" / "training.html")


async def ping(response: web.StreamResponse) -> None:
    """Send a comment now and then."""
    while True:
        await asyncio.sleep(PING_SECONDS)
        await response.write(b": ping\n\n")


async def body_of(request: web.Request) -> dict[str, Any]:
    """Return the JSON object that was sent."""
    if request.content_type != "application/json":  # a page of another site cannot just send this
        raise BadInput("send JSON, as Content-Type: application/json")
    try:
        body = await request.json()
    except (ValueError, LookupError, RecursionError) as error:  # LookupError: its charset
        raise BadInput(f"the body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadInput(f"the body is no JSON object: {reprlib.repr(body)}")
    return body


def epochs_of(body: dict[str, Any]) -> int:
    """Return how many epochs to train for, 60 if nothing is said."""
    epochs = body.get("epochs", 60)
    if body.keys() - {"epochs"} or type(epochs) is not int or not 1 <= epochs <= MOST_EPOCHS:
        raise BadInput(
            f'{{"epochs": 1 to {MOST_EPOCHS}}} is what to send, not {reprlib.repr(body)}'
        )
    return epochs


def rows_of(body: dict[str, Any]) -> Array:
    """Return the flowers to predict."""
    rows = body.get("rows")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_ROWS:
        raise BadInput(f"rows: a list of 1 to {MOST_ROWS} rows is needed")
    for number, row in enumerate(rows):
        lengths = row if isinstance(row, list) else []
        right = [type(length) in (int, float) and 0 <= length <= 100 for length in lengths]
        if len(right) != 4 or not all(right):
            raise BadInput(f"rows[{number}]: {FOUR_LENGTHS}, not {reprlib.repr(row)}")
    return np.array(rows, dtype=np.float32)


def in_short(error: BaseException) -> str:
    """Return what anyone may know of an error: no traceback, no last words of the worker."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def reply(data: dict[str, Any], *, status: int = 200) -> web.Response:
    """Return a response in JSON; NaN, which browsers refuse, becomes null."""
    return web.json_bytes_response(data, status=status, dumps=orjson.dumps)


@web.middleware
async def say_why(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer in JSON to bad input, and where there is no worker."""
    try:
        return await handler(request)
    except BadInput as error:
        return reply({"error": str(error)}, status=400)
    except asyncbridge.AsyncBridgeError as error:
        logger.warning("%s %s: %s", request.method, request.path, error)
        return reply({"error": in_short(error)}, status=503)


def load() -> tuple[Array, Array]:
    """Read the flowers in random order: lengths in cm, and one-hot species."""
    table = np.loadtxt(HERE / "data" / "iris.csv", str, delimiter=",", skiprows=1)
    x, y = table[:, :4].astype(np.float32), (table[:, 4:] == SPECIES).astype(np.float32)
    order = np.random.default_rng(1).permutation(len(x))
    return x[order], y[order]


def build() -> keras.Sequential:
    """Make the network, ready to be trained."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, activation="sigmoid")])
    model.add(keras.layers.Dense(3, activation="softmax"))
    optimizer = keras.optimizers.Adam(0.01)
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def make_app() -> web.Application:
    """Put the app together."""
    app, service = web.Application(middlewares=[say_why]), Service()
    app.cleanup_ctx.append(service.life)
    app.on_shutdown.append(service.stop)
    app.add_routes([
        web.post("/train", service.train),
        web.post("/predict", service.predict),
        web.get("/progress", service.progress, allow_head=False),
        web.get("/health", service.health),
        web.get("/", page),
    ])  # fmt: skip
    return app


def main() -> None:
    """Serve this machine alone, until Ctrl-C or SIGTERM; the variable PORT names the port."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    port = int(os.environ.get("PORT", "8080"))
    web.run_app(make_app(), host="127.0.0.1", port=port, shutdown_timeout=5)


if __name__ == "__main__":
    main()
