from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from asyncbridge.models.mirrors.summary import LayerSummary, Summary

ROWS: list[dict[str, Any]] = [
    {
        "name": "a",
        "type": "Dense",
        "output_shape": "(None, 3)",
        "parameters": 1015,
        "trainable": True,
    },
    {"name": "b[1]", "type": "Dense", "output_shape": "", "parameters": None, "trainable": False},
]
TEXT = 'Model: "net"\n drawn as Keras draws it\n Total params: 1,015 (3.96 KB)\n'


def test_a_summary_is_its_text() -> None:
    """It is a str, that of Keras."""
    summary = Summary.of((TEXT, ROWS))
    assert summary == TEXT
    assert isinstance(summary, str)


def test_the_layers_are_data() -> None:
    """Each layer is a record of its own."""
    first, second = Summary.of((TEXT, ROWS)).layers
    assert first == LayerSummary(
        name="a", type="Dense", output_shape="(None, 3)", parameters=1015, trainable=True
    )
    assert second.parameters is None


def test_rich_shows_a_table() -> None:
    """Names (as they are), shapes and numbers stand in columns, Keras's totals below."""
    out = io.StringIO()
    Console(file=out, width=80).print(Summary.of((TEXT, ROWS)))
    shown = out.getvalue()
    assert 'Model: "net"' in shown
    assert "a (Dense)" in shown
    assert "1,015 │" in shown
    assert "b[1] (Dense), frozen" in shown
    assert "0 (not built)" in shown
    assert "Total params: 1,015 (3.96 KB)" in shown


def test_an_empty_summary_is_shown() -> None:
    """A text without lines is no error."""
    Console(file=io.StringIO()).print(Summary.of(("", [])))
