"""One process with the real Keras for all tests of this folder: the import takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.limits import HANG_S
from tests.worker.models.moves import mover

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worker.models.moves import Move

ROOT = Path(__file__).resolve().parents[3]

PROGRAM = """
import sys
import orjson
from asyncbridge.outcome import Error, capture
from asyncbridge.worker.backend import Backend
from asyncbridge.worker.faults import describe, release
from asyncbridge.worker.namespace import Namespace

backend, namespace = Backend("tensorflow"), Namespace()
backend.load()
for line in sys.stdin:
    outcome = capture(namespace.run, orjson.loads(line))
    if isinstance(outcome, Error):
        answer = {"fault": describe(outcome.error, name_of=namespace.name_of)}
        release(outcome.error)
    else:
        answer = {"value": outcome.unwrap()}
    print("answer", orjson.dumps(answer).decode(), flush=True)
"""

START = """
import numpy as np
import keras
from asyncbridge.worker import models as worker_models

def classifier(**options):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile(loss="sparse_categorical_crossentropy", **options)
    return model

x = np.arange(600).reshape(150, 4) / 7
y = np.arange(150) % 3
"""


class KerasProcess:
    """Runs code in one namespace, as a worker does."""

    def __init__(self, errors: Path) -> None:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        with errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                text=True, env=env, cwd=ROOT,
            )  # fmt: skip
        self._errors = errors
        assert self.run(START) is None

    def run(self, code: str) -> Any:
        """Return the value of the code's last expression, as JSON has it."""
        answer = self._ask(code)
        assert "value" in answer, answer["fault"]["text"]
        return answer["value"]

    def fault(self, code: str) -> dict[str, Any]:
        """Return the fault that the code ends with."""
        answer = self._ask(code)
        assert "fault" in answer, f"no error, but {answer['value']!r:.200}"
        fault: dict[str, Any] = answer["fault"]
        return fault

    def _ask(self, code: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("answer "):
                answer: dict[str, Any] = json.loads(line.removeprefix("answer "))
                return answer
        raise AssertionError(f"the process with Keras ended:\n{self._errors.read_text()[-5_000:]}")

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=HANG_S)


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KerasProcess]:
    """Return the process; its namespace holds ``keras``, ``np``, ``classifier``, ``x`` and ``y``."""
    process = KerasProcess(tmp_path_factory.mktemp("keras") / "stderr")
    yield process
    process.close()


@pytest.fixture(scope="session")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[KerasProcess]]:
    """Return a process and its successor: not the one of all tests, whose names stay as they are."""
    processes = [KerasProcess(tmp_path_factory.mktemp("moving") / "stderr") for _ in range(2)]
    yield processes
    for process in processes:
        process.close()


@pytest.fixture
def move(workers: list[KerasProcess], tmp_path: Path) -> Move:
    """Return what moves objects from a process to its successor; see ``moves.py``."""
    return mover(workers, tmp_path)
