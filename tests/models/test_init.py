from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asyncbridge import models as keras

ROOT = Path(keras.__file__).resolve().parent.parent


def run(code: str) -> str:
    """Run a script in a fresh interpreter, from the repository's root; imports are cached."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.strip()


OWN = ["KERAS_VERSION", "KerasDataWarning", "Mirror", "Training", "TrainingHistory", "history_of"]
ROOT_NAMES = """
    DTypePolicy FloatDTypePolicy Function Initializer Input InputSpec KerasTensor Layer Loss Metric
    Model Operation Optimizer Quantizer Regularizer RematScope Sequential StatelessScope
    SymbolicScope Variable device name_scope remat version
"""
NAMESPACES = """
    activations applications backend callbacks config constraints datasets distillation
    distribution dtype_policies export initializers layers legacy losses metrics mixed_precision
    models ops optimizers preprocessing quantizers random regularizers saving tree utils
    visualization wrappers
"""


def test_the_exports_are_these() -> None:
    """They are Keras's own root names and namespaces, and five of ours."""
    assert sorted(keras.__all__) == sorted([*OWN, *ROOT_NAMES.split(), *NAMESPACES.split()])


@pytest.mark.parametrize("name", keras.__all__)
def test_every_export_is_there(name: str) -> None:
    """Each name can be had, and dir() shows it."""
    assert getattr(keras, name) is not None
    assert name in dir(keras)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """The error is Python's usual one."""
    with pytest.raises(AttributeError, match=r"'asyncbridge\.models' has no attribute 'Layers'"):
        keras.Layers  # type: ignore[attr-defined]  # noqa: B018 - what is tested


def test_keras_namespaces_share_their_objects() -> None:
    """A name that Keras has in two places is one object."""
    assert keras.Sequential is keras.models.Sequential
    assert keras.Model is keras.models.Model
    assert keras.Input is keras.layers.Input


def test_the_import_loads_nothing_heavy() -> None:
    """Neither numpy nor aiohttp comes with the names; nor, with a description, anything else."""
    code = """
import sys
from asyncbridge import models as keras
before = set(sys.modules)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
print(sorted(set(sys.modules) - before), sorted({"aiohttp", "numpy", "orjson"} & before))
"""
    assert run(code) == "[] []"


def test_the_bare_name_is_refused() -> None:
    """Imported as ``models``, the folder says what it is called."""
    code = "try:\n    import models\nexcept ImportError as error:\n    print(error)"
    assert "imported as 'asyncbridge.models'" in run(code)


def test_nested_namespaces_are_reached_as_in_keras() -> None:
    """They come with their parent: no import is needed."""
    code = """
from asyncbridge import models as keras
print(keras.ops.numpy.add.__name__, keras.datasets.mnist.load_data.__name__,
      keras.applications.resnet.ResNet50.__name__, keras.legacy.saving.__name__)
"""
    assert run(code) == "add load_data ResNet50 asyncbridge.models.legacy.saving"
