from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

CAN_DRAW = find_spec("pydot") is not None and shutil.which("dot") is not None


def test_summary(worker: KerasProcess) -> None:
    """The summary is the text that Keras would print; nothing is printed."""
    assert worker.run("""
import contextlib, io
printed, expected = io.StringIO(), []
model = classifier()
with contextlib.redirect_stdout(printed):
    text = worker_models.summary(model, line_length=60, print_fn=None)
model.summary(line_length=60, print_fn=expected.append)
[text == "\\n".join(expected), "Total params" in text, printed.getvalue()]
""") == [True, True, ""]


def test_plot_without_pydot(worker: KerasProcess) -> None:
    """Without pydot the error says what to install, for which Python."""
    fault = worker.fault("""
import sys
before = {name: sys.modules.get(name) for name in ["pydot"]}
sys.modules["pydot"] = None
try:
    worker_models.plot(classifier())
finally:
    if before["pydot"] is None:
        del sys.modules["pydot"]
    else:
        sys.modules.update(before)
""")
    assert fault["type"] == "ImportError"
    assert fault["message"] == (
        f"a model is drawn with pydot, which is not installed for the worker's {sys.executable}: "
        f"on the worker's machine, run {sys.executable} -m pip install "
        "'asyncbridge-keras[graph]', and install the system's package graphviz"
    )


def test_plot_without_graphviz(worker: KerasProcess) -> None:
    """Without Graphviz's program the error says which package has it."""
    fault = worker.fault("""
import importlib.machinery, os, sys, types
path, pydot = os.environ["PATH"], sys.modules.get("pydot")
os.environ["PATH"] = "/nowhere"
sys.modules["pydot"] = types.ModuleType("pydot")
sys.modules["pydot"].__spec__ = importlib.machinery.ModuleSpec("pydot", None)
try:
    worker_models.plot(classifier())
finally:
    os.environ["PATH"] = path
    if pydot is None:
        del sys.modules["pydot"]
    else:
        sys.modules["pydot"] = pydot
""")
    assert fault["type"] == "ImportError"
    assert fault["message"] == (
        "a model is drawn with Graphviz, whose program 'dot' is not on the worker's PATH: on the "
        "worker's machine, install the system's package graphviz"
    )


@pytest.mark.skipif(not CAN_DRAW, reason="pydot, or the program dot of Graphviz, is not installed")
def test_plot(worker: KerasProcess) -> None:
    """The picture is a PNG file's bytes; what plot_model shows can be chosen."""
    assert worker.run("""
plain, shapes = (worker_models.plot(classifier(), show_shapes=shown) for shown in (False, True))
[plain[:8] == shapes[:8] == b"\\x89PNG\\r\\n\\x1a\\n", plain != shapes]
""") == [True, True]
