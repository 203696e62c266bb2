"""The configs of all classes of Keras, through the bridge and from Keras directly."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import asyncbridge
from asyncbridge import models as keras
from tests.integration.simple_arguments import NAMESPACES, arguments, find
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    Direct = dict[str, dict[str, tuple[tuple[str, ...], Any]]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.asyncio(loop_scope="module"),
]

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = ("required", "with options")

AT_LEAST = {
    "constraints": 5,
    "dtype_policies": 8,
    "initializers": 17,
    "layers": 140,
    "losses": 23,
    "metrics": 46,
    "optimizers": 18,
    "optimizers.schedules": 6,
    "quantizers": 7,
    "regularizers": 4,
}
"""How many classes Keras 3.15 builds with what is required."""
NOT_BUILT = {
    # Bases that have no config of their own.
    "optimizers.schedules.LearningRateSchedule": "NotImplementedError",
    "quantizers.Quantizer": "NotImplementedError",
    "regularizers.Regularizer": "NotImplementedError",
    # What they want is no simple argument: a module of another library, a function, files.
    "layers.FlaxLayer": "KeyError: 'module'",
    "layers.JaxLayer": "KeyError: 'call_fn'",
    "layers.TFSMLayer": "KeyError: 'filepath'",
    "layers.TorchModuleWrapper": "KeyError: 'module'",
}
REFUSES_OPTIONS = {"optimizers.LossScaleOptimizer": "ValueError: LossScaleOptimizer does not"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bridge() -> AsyncIterator[asyncbridge.Bridge]:
    """One worker with TensorFlow for all tests of this file."""
    async with asyncbridge.connect() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def direct(tmp_path_factory: pytest.TempPathFactory) -> Direct:
    """The configs that Keras itself gives, in a process of its own."""
    results = tmp_path_factory.mktemp("direct") / "configs.pickle"
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.integration.simple_arguments", str(results)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False, timeout=HANG_S, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made: Direct = pickle.loads(results.read_bytes())
    return made


def refusals(direct: Direct, variant: str) -> dict[str, str]:
    """Return what Keras itself does not build, with its reasons."""
    return {path: got for path, (_, got) in direct[variant].items() if isinstance(got, str)}


async def config_of(path: str, names: tuple[str, ...]) -> Any:
    """Return a class's config through the bridge, or the reason why there is none."""
    try:
        made = find(path, keras)(**arguments(path, names, keras))
        return await made.get_config()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def is_same(ours: object, theirs: object) -> bool:
    """Compare two configs by content and by the types of all that is in them.

    Not by the order of keys: Keras keeps that in which a call names its arguments.
    """
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(is_same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)):
        return len(ours) == len(theirs) and all(map(is_same, ours, theirs))
    return repr(ours) == repr(theirs)


async def test_what_keras_builds(direct: Direct) -> None:
    """Keras itself builds every class with simple arguments, but for a few known ones."""
    reasons = refusals(direct, "required")
    assert reasons.keys() == NOT_BUILT.keys(), reasons
    assert all(reasons[path].startswith(start) for path, start in NOT_BUILT.items())
    built = Counter(path.rpartition(".")[0] for path in direct["required"] if path not in reasons)
    assert set(built) == set(NAMESPACES)
    assert {space: built[space] for space in AT_LEAST if built[space] < AT_LEAST[space]} == {}


async def test_what_keras_builds_with_options(direct: Direct) -> None:
    """With options it builds the same, but for what refuses them."""
    reasons = refusals(direct, "with options")
    assert reasons.keys() == {*NOT_BUILT, *REFUSES_OPTIONS}, reasons
    assert all(reasons[path].startswith(start) for path, start in REFUSES_OPTIONS.items())


@pytest.mark.parametrize("variant", VARIANTS)
async def test_configs(variant: str, direct: Direct, bridge: asyncbridge.Bridge) -> None:
    """What Keras itself builds the bridge builds, with the same config to the types in it."""
    built = {path: got for path, got in direct[variant].items() if not isinstance(got[1], str)}
    ours = await asyncio.gather(*(config_of(path, names) for path, (names, _) in built.items()))
    wrong = [
        f"{path}{names}\n  through the bridge: {config}\n  directly:           {theirs}"
        for (path, (names, theirs)), config in zip(built.items(), ours, strict=True)
        if not is_same(config, theirs)
    ]
    assert not wrong, "\n".join(wrong)


async def test_sameness() -> None:
    """Configs that differ in a value, a type, a key or a length are told apart."""
    assert is_same({"a": [1, (2.0, None)]}, {"a": [1, (2.0, None)]})
    assert not is_same({"a": 1}, {"a": 1.0})
    assert not is_same({"a": [1]}, {"a": (1,)})
    assert not is_same({"a": [1]}, {"a": [1, 2]})
    assert not is_same({"a": 1}, {"a": 1, "b": None})
