from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from asyncbridge import models as keras
from asyncbridge.models.mirrors.mirror import Mirror

ROOT = Path(keras.__file__).resolve().parent.parent


def run(code: str) -> str:
    """Run a script in a fresh interpreter, from the repository's root."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_the_exports_are_these() -> None:
    """Names that users see are added on purpose."""
    assert sorted(keras.__all__) == [
        "Input",
        "Layer",
        "Loss",
        "Metric",
        "Mirror",
        "Model",
        "Optimizer",
        "Sequential",
        "TrainingHistory",
        "layers",
        "losses",
        "metrics",
        "models",
        "optimizers",
        "utils",
    ]


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


@pytest.mark.parametrize("namespace", ["layers", "losses", "metrics", "optimizers", "models"])
def test_a_namespace_has_keras_names_for_its_mirrors(namespace: str) -> None:
    """Every public class says its name in Keras, what it is, and where Keras describes it."""
    module = getattr(keras, namespace)
    for name in module.__all__:
        cls = getattr(module, name)
        assert issubclass(cls, Mirror)
        assert cls.keras_name.startswith("keras.")
        assert cls.keras_name.endswith(f".{name}")
        doc = inspect.getdoc(cls)
        assert doc is not None
        assert "https://keras.io/api/" in doc
