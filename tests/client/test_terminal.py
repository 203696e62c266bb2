"""What a terminal shows of errors that halt, and what is made of what is typed there."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from asyncbridge.client.asking import Answer
from asyncbridge.client.terminal import bindings_of, document_of, text_of, unexpected
from asyncbridge.errors import DecodeError, IdentifierError

HALT: dict[str, Any] = {
    "error_id": "5f0c9a1e-1", "epoch": 2, "client": "bridge", "session": "nightly", "id": 30,
    "label": "six", "code": "6 / n", "bindings": ["n", "x"], "seconds": 41.2,
    "default": "raise", "remaining": 258.8,
    "error": {"type": "ZeroDivisionError", "message": "division by zero"},
}  # fmt: skip


def test_an_entry() -> None:
    """It has what is needed for a decision."""
    assert text_of([HALT]).splitlines() == [
        "5f0c9a1e-1  epoch 2: six",
        "    ZeroDivisionError: division by zero",
        "    command 30 of the bridge session nightly, bindings: n, x",
        "    halted for 41 s; by itself the error stands (raise) in 4 min 19 s",
    ]


def test_nothing() -> None:
    """It is said so."""
    assert text_of([]) == "nothing is halted"


def test_a_command_without_a_name() -> None:
    """It is called by its first line; without bindings, and without an end, that is said."""
    halt = {**HALT, "label": "", "code": "\n\ntotal = 0\nmore", "bindings": [], "remaining": None}
    first, _, third, fourth = text_of([halt]).splitlines()
    assert first.endswith("epoch 2: total = 0...")
    assert third.endswith("bindings: none")
    assert fourth.endswith("it stays so until somebody decides")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (3600, "1 h 0 min"), (90061, "25 h 1 min")]
)  # fmt: skip
def test_times(seconds: float, shown: str) -> None:
    """As people say them."""
    assert f"halted for {shown};" in text_of([{**HALT, "seconds": seconds}])


def test_what_a_worker_tells_steers_no_terminal() -> None:
    """Controls are escaped, further lines and long ones are cut."""
    error = {"type": "E", "message": "a\x1b]0;title\x07\n5f0c9a1e-9  epoch 1: a lie"}
    shown = text_of([{**HALT, "label": "x" * 1000, "session": "s\nt", "error": error}])
    assert "\x1b" not in shown
    assert "E: a\\x1b]0;title\\x07..." in shown
    assert len(shown.splitlines()) == 4
    assert "session s..., " in shown
    assert max(map(len, shown.splitlines())) < 200


def test_decisions() -> None:
    """As the route takes them; JSON goes as it was typed."""
    given = bindings_of(["n=2", 'text="a=b"', "nothing=null"])
    document = document_of("e-1", "retry", epoch=3, code="6 / n", bindings=given)
    assert orjson.loads(orjson.dumps(document)) == {
        "error_id": "e-1", "decision": "retry", "epoch": 3, "code": "6 / n",
        "bindings": {"n": 2, "text": "a=b", "nothing": None},
    }  # fmt: skip
    ignored = document_of("e-1", "ignore", value="[1.50]")
    assert (
        orjson.dumps(ignored) == b'{"error_id":"e-1","decision":"ignore","epoch":0,"value":[1.50]}'
    )
    assert document_of("e-1", "raise") == {"error_id": "e-1", "decision": "raise", "epoch": 0}


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (["n"], ValueError, "a binding is name=JSON, such as n=2, not 'n'"),
        (["=2"], IdentifierError, "the name '' is refused"),
        (["class=2"], IdentifierError, "the name 'class' is refused"),
        (["n=x"], DecodeError, "the value of 'n', 'x', is no JSON"),
        (["n="], DecodeError, "the value of 'n', '', is no JSON"),
        (["n=NaN"], DecodeError, "is no JSON"),
        (["n=\udcff"], DecodeError, "is no JSON"),
        (['n={"a":1,"a":2}'], DecodeError, "has the key 'a' twice"),
        (["n=1", "n=2"], ValueError, "the binding 'n' is given twice"),
    ],
)
def test_bindings_that_are_none(given: list[str], error: type[Exception], told: str) -> None:
    """Each is named."""
    with pytest.raises(error, match=told):
        bindings_of(given)


def test_code_that_is_none() -> None:
    """It is refused before it could halt the command again."""
    with pytest.raises(SyntaxError):
        document_of("e-1", "replace", code="6 //")


def test_an_id_that_is_none() -> None:
    """Such as one of bytes that are no text."""
    with pytest.raises(ValueError, match="is no error's id"):
        document_of("e\udcff", "raise")


def test_an_answer_that_is_not_expected() -> None:
    """It is told with its status, and with what the worker says."""
    told = str(unexpected("unix:///x", Answer(404, {"detail": "nothing\x1b here"})))
    assert told == r"the worker at unix:///x answers with status 404: nothing\x1b here"
    assert str(unexpected("u", Answer(200, 7))) == "the worker at u answers with status 200"
