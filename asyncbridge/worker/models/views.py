"""Models to look at: as text and as a picture."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from typing import Any

import keras

__all__ = ["plot", "summary"]


def summary(model: Any, **arguments: Any) -> str:
    """Return what ``model.summary`` would print."""
    lines: list[str] = []

    def collect(line: str, **_options: Any) -> None:
        lines.append(line)

    model.summary(**{**arguments, "print_fn": collect})
    return "\n".join(lines)


def plot(model: Any, **arguments: Any) -> bytes:
    """Return the picture that ``keras.utils.plot_model`` would write: a PNG file's bytes.

    Raises:
        ImportError: The worker's machine lacks pydot or Graphviz.
    """
    _check_installed()
    # The default of plot_model, which model_to_dot does not share.
    arguments.setdefault("show_layer_names", False)
    dot: Any = keras.utils.model_to_dot(model, **arguments)
    picture: bytes = dot.create(prog="dot", format="png")
    return picture


def _check_installed() -> None:
    if find_spec("pydot") is None:
        raise ImportError(
            f"a model is drawn with pydot, which is not installed for the worker's "
            f"{sys.executable}: on the worker's machine, run "
            f"{sys.executable} -m pip install 'asyncbridge-keras[graph]', and install the "
            "system's package graphviz",
            name="pydot",
        )
    if shutil.which("dot") is None:
        raise ImportError(
            "a model is drawn with Graphviz, whose program 'dot' is not on the worker's PATH: "
            "on the worker's machine, install the system's package graphviz"
        )
