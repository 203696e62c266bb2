"""The backend: what is looked for before it is imported, and what is told of it."""

from __future__ import annotations

import os
import platform
import sys
import threading
import types
from importlib.machinery import ModuleSpec
from typing import Any

import pytest

from asyncbridge.worker import backend as module
from asyncbridge.worker.backend import BACKENDS, Backend, MissingBackend, versions


class FakeKeras(types.ModuleType):
    """Keras as far as a worker touches it at its import."""

    def __init__(self) -> None:
        super().__init__("keras")
        self.__version__ = "3.99"
        self.calls: list[tuple[str, int]] = []
        self.filtering = self.logging = False
        self.config = types.SimpleNamespace(
            disable_traceback_filtering=lambda: self._note("whole tracebacks"),
            is_traceback_filtering_enabled=lambda: self.filtering,
            is_interactive_logging_enabled=lambda: self.logging,
        )
        self.utils = types.SimpleNamespace(
            disable_interactive_logging=lambda: self._note("no progress bars")
        )
        self.distribution = types.SimpleNamespace(list_devices=lambda: ["cpu:0"])

    def _note(self, what: str) -> None:
        self.calls.append((what, threading.get_ident()))


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make exactly these packages seem installed."""
    monkeypatch.setattr(
        module, "find_spec", lambda name: ModuleSpec(name, None) if name in names else None
    )


def test_none() -> None:
    """A worker without Keras needs nothing, and says so."""
    backend = Backend(None)
    backend.check()
    backend.load()
    info = backend.info()
    assert (info["backend"], info["devices"]) == (None, [])
    assert info["versions"]["python"] == platform.python_version()


def test_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is no backend is refused, with the names that are."""
    installed(monkeypatch, "mxnet", "keras")
    with pytest.raises(MissingBackend, match="'mxnet': use one of tensorflow, jax, torch, or None"):
        Backend("mxnet").check()


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("there", ["keras", "backend"])
def test_not_installed(monkeypatch: pytest.MonkeyPatch, name: str, there: str) -> None:
    """What is not installed is named, with the interpreter and the command that installs it."""
    installed(monkeypatch, name if there == "backend" else there)
    with pytest.raises(MissingBackend) as caught:
        Backend(name).check()
    missing = "keras" if there == "backend" else name
    assert str(caught.value) == (
        f"{missing} is not installed for {sys.executable}: "
        f"{sys.executable} -m pip install 'asyncbridge-keras[{name}]'"
    )


@pytest.mark.parametrize("name", BACKENDS)
def test_installed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A backend that is installed passes, and is not imported by the look."""
    installed(monkeypatch, name, "keras")
    before = set(sys.modules)
    Backend(name).check()
    assert set(sys.modules) == before


def test_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """The import chooses the backend, sets the thread's settings, and then devices are known."""
    keras = FakeKeras()
    monkeypatch.setitem(sys.modules, "keras", keras)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    backend = Backend("jax")
    assert backend.info()["devices"] == []
    backend.load()
    assert os.environ["KERAS_BACKEND"] == "jax"
    me = threading.get_ident()
    assert keras.calls == [("whole tracebacks", me), ("no progress bars", me)]
    info = backend.info()
    assert (info["backend"], info["devices"]) == ("jax", ["cpu:0"])
    assert set(info["versions"]) == {"python", "asyncbridge-keras", "keras", "jax"}


@pytest.mark.parametrize(
    ("count", "devices"), [(0, ["cpu:0"]), (2, ["gpu:0", "gpu:1"])], ids=["none", "two"]
)
def test_devices_of_torch(monkeypatch: pytest.MonkeyPatch, count: int, devices: list[str]) -> None:
    """They are torch's own, for Keras knows none of them."""
    torch = types.ModuleType("torch")
    vars(torch)["cuda"] = types.SimpleNamespace(device_count=lambda: count)
    keras = FakeKeras()
    del keras.distribution
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "keras", keras)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    backend = Backend("torch")
    backend.load()
    assert backend.info()["devices"] == devices


def loaded(monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Return a backend that has imported the fake."""
    monkeypatch.setitem(sys.modules, "keras", FakeKeras())
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setattr(module, "version", lambda package: f"3.99 of {package}")
    backend = Backend("tensorflow")
    backend.load()
    return backend


def missing(owner: object) -> AttributeError:
    """Return the error of a name that is not there."""
    with pytest.raises(AttributeError) as caught:
        owner.no_such_name  # type: ignore[attr-defined]  # noqa: B018 - which is the point
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        missing(FakeKeras()),
        missing(types.ModuleType("keras.layers")),
        TypeError("Dense.__init__() got an unexpected keyword argument 'unit'"),
        ValueError("Unrecognized keyword arguments passed to Dense: {'unit': 3}"),
    ],
)
def test_note(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A name or an argument that Keras lacks: the note says which Keras this is."""
    assert loaded(monkeypatch).note(error) == "this worker has Keras 3.99 of keras"
    assert Backend(None).note(error) is None


@pytest.mark.parametrize(
    "error",
    [
        missing(types.ModuleType("kerasoid")),
        missing(3),
        AttributeError("of nothing"),
        TypeError("a number is wanted"),
        ValueError("units=-4"),
        KeyError("unexpected keyword argument"),
    ],
)
def test_no_note(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Other errors have nothing to do with the version."""
    assert loaded(monkeypatch).note(error) is None


@pytest.mark.parametrize(
    ("filtering", "logging", "again"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
)
def test_settle(
    monkeypatch: pytest.MonkeyPatch, filtering: bool, logging: bool, again: bool
) -> None:
    """Settings are made again when all were put back; one alone is somebody's will."""
    backend = loaded(monkeypatch)
    keras: Any = sys.modules["keras"]
    keras.calls.clear()
    keras.filtering, keras.logging = filtering, logging
    backend.settle()
    told = ["whole tracebacks", "no progress bars"]
    assert [what for what, _ in keras.calls] == (told if again else [])


def test_settle_without_keras() -> None:
    """There is nothing to look after."""
    Backend(None).settle()


@pytest.mark.parametrize(
    ("code", "cleaned"),
    [
        ("from asyncbridge.worker import models as m\nm.plain(layer(x_a))", True),
        ("layer(x_a)", False),
    ],
)
def test_clean(monkeypatch: pytest.MonkeyPatch, code: str, cleaned: bool) -> None:
    """Data is taken out of what a mirror's command says; a person's own is left as it is."""
    asked: list[tuple[BaseException, list[object]]] = []
    fake: Any = types.ModuleType("messages")
    fake.take_data_out = lambda error, data: asked.append((error, [*data]))
    monkeypatch.setitem(sys.modules, "asyncbridge.worker.models.messages", fake)
    error = ValueError("it says the data")
    Backend(None).clean(error, code, {"x_a": [1], "y_b": "word"})
    assert asked == ([(error, [[1], "word"])] if cleaned else [])


def test_clean_before_any_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    """The import of our side may be what failed."""
    monkeypatch.delitem(sys.modules, "asyncbridge.worker.models.messages", raising=False)
    Backend(None).clean(ValueError(), "from asyncbridge.worker import models as m\nm", {})


def test_versions_of_another_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that was installed under another name tells its version itself."""
    fake: Any = types.ModuleType("no_distribution_of_this_name")
    fake.__version__ = "9.9"
    monkeypatch.setitem(sys.modules, "no_distribution_of_this_name", fake)
    found = versions("no_distribution_of_this_name", "nor_module_of_this_name")
    assert found["no_distribution_of_this_name"] == "9.9"
    assert found["nor_module_of_this_name"] == "unknown"
