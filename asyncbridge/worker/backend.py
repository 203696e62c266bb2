"""The backend that a worker imports: Keras on TensorFlow, JAX or torch, or nothing."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BACKENDS", "Backend", "MissingBackend"]

_UNKNOWN_ARGUMENT = ("unexpected keyword argument", "Unrecognized keyword arguments")

_FOR_MIRRORS = "from asyncbridge.worker import models as "
"""How the code of mirrors' commands begins, once they call our side."""
_MESSAGES = "asyncbridge.worker.models.messages"

BACKENDS = ("tensorflow", "jax", "torch")
"""The Keras backends that a worker can import."""


class MissingBackend(Exception):
    """The backend is not installed; the text says how to install it."""


class Backend:
    """What a worker imports in its GPU thread before its first command.

    Args:
        name: A Keras backend, or None for a worker without Keras.
    """

    def __init__(self, name: str | None) -> None:
        self.name = name
        self._info: dict[str, Any] = {"backend": name, "versions": versions(), "devices": []}
        self._keras: Any = None

    def check(self) -> None:
        """Look whether the backend is installed, without importing it.

        Raises:
            MissingBackend: It is not, or its name is unknown.
        """
        if self.name is None:
            return
        if self.name not in BACKENDS:
            raise MissingBackend(
                f"no backend is called {self.name!r}: use one of {', '.join(BACKENDS)}, or None "
                "for a worker without Keras"
            )
        for package in (self.name, "keras"):
            if find_spec(package) is None:
                raise MissingBackend(
                    f"{package} is not installed for {sys.executable}: "
                    f"{sys.executable} -m pip install 'asyncbridge-keras[{self.name}]'"
                )

    def load(self) -> None:
        """Import the backend; called in the GPU thread."""
        if self.name is None:
            return
        os.environ["KERAS_BACKEND"] = self.name
        self._keras = importlib.import_module("keras")
        self._set_up()
        self._info["versions"] = versions("keras", self.name)
        self._info["devices"] = self._devices()
        # Collections pass over a million objects less, which are there for good.
        gc.freeze()

    def _devices(self) -> list[str]:
        if self.name != "torch":
            return list(self._keras.distribution.list_devices())
        # Keras knows none of torch's; named as it names those of the others.
        count = importlib.import_module("torch").cuda.device_count()
        return [f"gpu:{index}" for index in range(count)] or ["cpu:0"]

    def _set_up(self) -> None:
        # Both are settings of the calling thread: this one runs every Keras call. Whole
        # tracebacks let an error name the layer it was raised in.
        self._keras.config.disable_traceback_filtering()
        self._keras.utils.disable_interactive_logging()

    def settle(self) -> None:
        """Look after a command whether Keras is still set up; called in the GPU thread.

        ``clear_session`` puts back all of Keras's settings. One alone was set by somebody who
        wants it so.
        """
        keras = self._keras
        if keras is None or not keras.config.is_traceback_filtering_enabled():
            return
        if keras.config.is_interactive_logging_enabled():
            self._set_up()

    def info(self) -> dict[str, Any]:
        """Describe the backend in plain JSON data; devices are known once it is imported."""
        return self._info

    def clean(self, error: BaseException, code: str, bindings: Mapping[str, object]) -> None:
        """Take a mirror's data out of the messages of its command's error.

        What a person's own command says is left as it is.
        """
        if _FOR_MIRRORS in code and (messages := sys.modules.get(_MESSAGES)) is not None:
            messages.take_data_out(error, bindings.values())

    def note(self, error: BaseException) -> str | None:
        """Return what to add to an error that another version of Keras may be the reason of.

        The client may have been written for a Keras that has the name, or the argument.
        """
        release = self._info["versions"].get("keras")
        if release is None or not (_is_missing_name(error) or _is_unknown_argument(error)):
            return None
        return f"this worker has Keras {release}"


def _is_missing_name(error: BaseException) -> bool:
    if not isinstance(error, AttributeError) or not isinstance(error.obj, ModuleType):
        return False
    return error.obj.__name__.partition(".")[0] == "keras"


def _is_unknown_argument(error: BaseException) -> bool:
    # Keras raises a ValueError for what it finds among its keyword arguments itself.
    return isinstance(error, (TypeError, ValueError)) and any(
        words in str(error) for words in _UNKNOWN_ARGUMENT
    )


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of the given packages, as installed."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in ("asyncbridge-keras", *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            # tensorflow-cpu installs the package tensorflow under another name.
            module = sys.modules.get(package)
            found[package] = getattr(module, "__version__", "unknown")
    return found
