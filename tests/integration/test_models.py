"""Ten models, trained through the bridge and by Keras directly: the same bits."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytest_asyncio

import asyncbridge
from asyncbridge import models as keras
from tests.integration import ten_models
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.asyncio(loop_scope="module"),
]

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(ten_models.CASES)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bridge() -> AsyncIterator[asyncbridge.Bridge]:
    """One worker with TensorFlow for all tests of this file."""
    async with asyncbridge.connect() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def direct(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Keras itself makes of the ten, in one process of its own."""
    results = tmp_path_factory.mktemp("direct") / "results.pickle"
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.integration.ten_models", str(results)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False, timeout=HANG_S, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = pickle.loads(results.read_bytes())
    return made


def differences(ours: Any, theirs: Any, where: str) -> list[str]:
    """Say where two results differ, in types, structure or a single bit."""
    if type(ours) is not type(theirs):
        return [f"{where} is a {type(ours).__name__}, not a {type(theirs).__name__}"]
    if isinstance(ours, dict):
        if list(ours) != list(theirs):
            return [f"{where} has the keys {list(ours)}, not {list(theirs)}"]
        pairs = [(f"{where}[{key!r}]", ours[key], theirs[key]) for key in ours]
    elif isinstance(ours, (list, tuple)):
        if len(ours) != len(theirs):
            return [f"{where} has {len(ours)} items, not {len(theirs)}"]
        pairs = [(f"{where}[{i}]", *pair) for i, pair in enumerate(zip(ours, theirs, strict=True))]
    else:
        return [] if bits(ours) == bits(theirs) else [f"{where} is {ours!r}, not {theirs!r}"]
    return [text for at, one, other in pairs for text in differences(one, other, at)]


def bits(leaf: Any) -> object:
    """Return what two equal numbers or arrays have in common."""
    if isinstance(leaf, np.ndarray):
        return leaf.dtype, leaf.shape, leaf.tobytes()
    return np.float64(leaf).tobytes()


@pytest.mark.parametrize("name", NAMES)
async def test_bits(name: str, direct: dict[str, Any], bridge: asyncbridge.Bridge) -> None:
    """With a seed, all that comes out of a model is the same as with Keras directly."""
    made = await ten_models.run(ten_models.CASES[name], keras)
    assert differences(made, direct[name], name) == []


async def test_callbacks_acted(direct: dict[str, Any]) -> None:
    """The callbacks whose training was compared lowered the learning rate, and ended it early."""
    history = direct["callbacks"]["history"]
    assert len(set(history["learning_rate"])) > 1
    assert len(history["loss"]) < ten_models.CASES["callbacks"].fit["epochs"]


async def test_structures(direct: dict[str, Any]) -> None:
    """The results that were compared have several structures: arrays, lists and dicts of such."""
    kinds = {name: type(made["predict"]) for name, made in direct.items()}
    assert kinds["two outputs"] is dict
    assert kinds["model in a model"] is list
    assert kinds["MLP"] is np.ndarray
    assert isinstance(direct["two inputs"]["evaluate"], float)
    assert isinstance(direct["MLP"]["evaluate"], list)


async def test_differences_are_found() -> None:
    """One bit, another type, another key and another length are told apart."""
    one = np.float32(1)
    assert differences([np.array([one])], [np.array([np.nextafter(one, 2)])], "a") != []
    assert differences({"loss": [1.0]}, {"loss": [1]}, "a") != []
    assert differences({"loss": 1.0}, {"other": 1.0}, "a") != []
    assert differences([1.0], [1.0, 1.0], "a") != []
