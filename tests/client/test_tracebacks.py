from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.client.tracebacks import FULL_VARIABLE, plain, whole_wanted, written
from asyncbridge.protocol.messages import Fault


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1mbold\x1b[0m", "bold"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("over\rwritten\x08", r"over\rwritten\x08"),
        ("a\tb\nc", "a\tb\nc"),
        ("\u202egnirts", r"\u202egnirts"),
        ("\x85\x9b2J", r"\x85\x9b2J"),
        ("käse 🧀", "käse 🧀"),
    ],
)
def test_a_text_steers_no_terminal(text: str, shown: str) -> None:
    """Colours go, other control characters are shown as what they are."""
    assert plain(text) == shown


@given(st.text(), st.lists(st.tuples(st.integers(-3, 9), st.integers(-3, 9), st.text(max_size=3))))
def test_any_folds_of_any_text(text: str, folds: list[tuple[int, int, str]]) -> None:
    """What a worker tells cannot break the text, and what does not fit folds nothing away."""
    fault = Fault(type="E", message="m", text=text, folds=tuple(folds))
    whole = written(fault, origin="", label="", whole=True)
    short = written(fault, origin="", label="", whole=False)
    assert short.startswith("E: m")
    if all(count <= 0 for _, count, _ in folds):
        assert short == whole


@pytest.mark.parametrize(
    ("value", "wanted"), [(None, False), ("", False), ("0", False), ("1", True)]
)
def test_the_variable(monkeypatch: pytest.MonkeyPatch, value: str | None, wanted: bool) -> None:
    """It is off where it is not set, empty or 0."""
    monkeypatch.delenv(FULL_VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(FULL_VARIABLE, value)
    assert whole_wanted() is wanted
