"""What an editor shows of the mirrors: pyright's language server is asked, as editors ask it."""

from __future__ import annotations

import shutil
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge.models import layers
from tests.typing.language_server import LanguageServer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
IMPORT = "from asyncbridge import models as keras\n\n"


def installed(folder: Path) -> Path:
    """Make an environment that has the package as a wheel leaves it; return its interpreter."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "asyncbridge", packages / "asyncbridge", ignore=ignored)
    return folder / "bin" / "python"


@pytest.fixture(scope="module", params=["checkout", "installed"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LanguageServer]:
    """Run the server in this checkout with its settings, and in an app's folder with none."""
    folder, python = ROOT, Path(sys.executable)
    if request.param == "installed":
        folder = tmp_path_factory.mktemp("app")
        python = installed(tmp_path_factory.mktemp("environment"))
    with LanguageServer(folder, python) as running:
        yield running


def at_the_end(server: LanguageServer, method: str, line: str) -> Any:
    """Ask about the place behind the last character of this line of an app."""
    uri = server.open("examples/_completion.py", IMPORT + line)
    position = {"line": IMPORT.count("\n"), "character": len(line)}
    try:
        return server.request(method, textDocument={"uri": uri}, position=position)
    finally:
        server.close(uri)


def names(server: LanguageServer, line: str) -> set[str]:
    """Return what is offered behind this line, without what every module has."""
    offered = at_the_end(server, "textDocument/completion", line)["items"]
    labels = {item["label"] for item in offered}
    return {label for label in labels if not (label.startswith("__") and label.endswith("__"))}


def errors(server: LanguageServer, line: str) -> list[str]:
    """Return the messages that are red in an app with this line."""
    uri = server.open("examples/_diagnostics.py", IMPORT + line + "\n")
    try:
        report = server.request("textDocument/diagnostic", textDocument={"uri": uri})
    finally:
        server.close(uri)
    return [item["message"] for item in report["items"] if item["severity"] == 1]


def test_the_layers_are_offered(server: LanguageServer) -> None:
    """Behind ``keras.layers.`` stand the layers, and no private name."""
    offered = names(server, "keras.layers.")
    assert offered >= {"Dense", "Conv2D", "LSTM", "MultiHeadAttention"}
    assert [name for name in offered if name.startswith("_")] == []


def test_the_namespaces_are_offered(server: LanguageServer) -> None:
    """Behind ``keras.`` stand the namespaces and what Keras has at its top."""
    assert names(server, "keras.") >= {"layers", "ops", "Sequential"}


@pytest.mark.parametrize("server", ["installed"], indirect=True)
def test_an_app_is_offered_the_public_names_alone(server: LanguageServer) -> None:
    """What a room imports for itself is not offered where the package is installed."""
    assert names(server, "keras.layers.") == set(layers.__all__)


def test_the_signature_is_shown(server: LanguageServer) -> None:
    """Inside ``keras.layers.Conv2D(`` stand its parameters, with Keras's defaults."""
    shown = at_the_end(server, "textDocument/signatureHelp", "keras.layers.Conv2D(")
    (signature,) = shown["signatures"]
    labels = [parameter["label"] for parameter in signature["parameters"]]
    texts = [label if isinstance(label, str) else cut(signature, label) for label in labels]
    assert [text.partition(":")[0] for text in texts[:4]] == [
        "filters",
        "kernel_size",
        "strides",
        "padding",
    ]
    assert texts[2].endswith("= (1, 1)")
    assert texts[3].endswith(("= 'valid'", '= "valid"'))


def cut(signature: dict[str, Any], span: list[int]) -> str:
    """Return the part of a signature that a parameter's label names by its two ends."""
    return str(signature["label"])[slice(*span)]


@pytest.mark.parametrize(
    ("line", "misspelt"),
    [
        ("keras.layers.Conv2D(32, kernal_size=3)", "kernal_size"),
        ("keras.layers.Denze(3)", "Denze"),
        ("keras.layer.Dense(3)", "layer"),
        ("keras.Sequental([])", "Sequental"),
    ],
)
def test_a_misspelt_name_is_red(server: LanguageServer, line: str, misspelt: str) -> None:
    """An argument, a layer or a namespace that Keras has not is an error that names it."""
    assert any(f'"{misspelt}"' in message for message in errors(server, line))


def test_correct_code_is_not_red(server: LanguageServer) -> None:
    """What Keras takes has no error, neither a layer nor a model that is called."""
    correct = """\
inputs = keras.Input((28, 28, 1))
x = keras.layers.Conv2D(32, kernel_size=3, activation="relu")(inputs)
x = keras.layers.Flatten()(x)
model = keras.Model(inputs, keras.layers.Dense(10)(x))
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse", metrics=["accuracy"])
model.fit([[1.0]], [[2.0]], epochs=3)
"""
    assert errors(server, correct) == []
