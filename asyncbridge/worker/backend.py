"""The backend that a worker imports: Keras on TensorFlow, JAX or torch, or nothing."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

__all__ = ["BACKENDS", "Backend", "MissingBackend"]

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
        keras = importlib.import_module("keras")
        # Both are settings of the calling thread: this one runs every Keras call. Whole
        # tracebacks let an error name the layer it was raised in.
        keras.config.disable_traceback_filtering()
        keras.utils.disable_interactive_logging()
        self._info["versions"] = versions("keras", self.name)
        self._info["devices"] = list(keras.distribution.list_devices())

    def info(self) -> dict[str, Any]:
        """Describe the backend in plain JSON data; devices are known once it is imported."""
        return self._info


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
