"""Decisions of the HTTP pair, as they are read."""

from __future__ import annotations

import orjson
import pytest

from asyncbridge.worker.problems import Problem
from asyncbridge.worker.verdicts import Verdict, read_verdict


def test_all_its_fields() -> None:
    """Bindings come in wire form, with their bytes."""
    body = {
        "error_id": "e", "decision": "retry", "epoch": 2, "code": "a",
        "bindings": {"a": {"$": "bytes", "b": 0}}, "buffers": ["AQI="],
    }  # fmt: skip
    verdict = read_verdict(orjson.dumps(body))
    assert (verdict.error, verdict.kind, verdict.epoch, verdict.code) == ("e", "retry", 2, "a")
    assert verdict.values is not None
    assert verdict.values.buffers == (b"\x01\x02",)
    assert verdict.values.size == 2 + len(b'{"a":{"$":"bytes","b":0}}')


def test_what_may_be_left_out() -> None:
    """No value is none at all, and null is one."""
    assert read_verdict(b'{"error_id": "e", "decision": "drop"}') == Verdict(error="e", kind="drop")
    verdict = read_verdict(b'{"error_id": "e", "decision": "ignore", "value": null}')
    assert verdict.values is not None
    assert verdict.values.header is None


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        ({"error_id": 1}, 400, "'error_id'"),
        ({"decision": "guess"}, 400, "one of raise, ignore, replace, retry, drop"),
        ({"decision": None}, 400, "'decision'"),
        ({"epoch": -1}, 400, "'epoch'"),
        ({"epoch": 2**63}, 400, "'epoch'"),
        ({"code": "1"}, 400, "to raise has no use for the field 'code'"),
        ({"decision": "drop", "value": 1}, 400, "to drop has no use for the field 'value'"),
        ({"decision": "ignore", "bindings": {}}, 400, "no use for the field 'bindings'"),
        ({"decision": "retry", "value": 1}, 400, "no use for the field 'value'"),
        ({"decision": "replace"}, 400, "to replace has no field 'code'"),
        ({"decision": "retry", "buffers": []}, 400, "'buffers' and no 'bindings'"),
        ({"decision": "ignore", "buffers": []}, 400, "'buffers' and no 'value'"),
        ({"decision": "ignore", "value": {"$": "nothing"}}, 400, "nothing"),
        ({"decision": "ignore", "value": {"$": "bytes", "b": 3}}, 400, "value"),
        ({"decision": "ignore", "value": "x" * 200}, 413, "the limit is 100"),
        ({"odd": 1}, 400, "'odd'"),
    ],
)
def test_bad_decisions(more: dict[str, object], status: int, message: str) -> None:
    """The problem names the field and what is wrong with it."""
    body = {"error_id": "e", "decision": "raise", **more}
    with pytest.raises(Problem) as caught:
        read_verdict(orjson.dumps(body), largest=100)
    assert caught.value.status == status
    assert message in str(caught.value)


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"decision": "raise"}', b'{"error_id": "e"}'])
def test_what_is_no_decision(body: bytes) -> None:
    """It is refused."""
    with pytest.raises(Problem):
        read_verdict(body)


def test_values_that_are_nested_too_deeply() -> None:
    """They are refused, before anything else would break of them."""
    body = b'{"error_id": "e", "decision": "ignore", "value": ' + b"[" * 900 + b"]" * 900 + b"}"
    with pytest.raises(Problem, match="nested too deeply"):
        read_verdict(body)
