"""Commands of the HTTP pair, as they are read; what is refused, ``test_commands`` looks at."""

from __future__ import annotations

import orjson
import pytest
from yarl import URL

from asyncbridge.worker.orders import check_name, read_orders
from asyncbridge.worker.problems import Problem


def test_all_its_fields() -> None:
    """Numbers as ids are keys as text; buffers are bytes."""
    body = {
        "id": 7, "code": "a", "bindings": {"a": {"$": "bytes", "b": 0}}, "buffers": ["AQI="],
        "lifetime": "eternal", "after": [1, "x"], "label": "l", "callback": "http://c",
        "callback_token": "t", "callback_batch": True, "priority": -3, "run_timeout": 1.5,
        "halt_on_error": True, "halt_timeout": 20,
    }  # fmt: skip
    (order,), is_list = read_orders(orjson.dumps(body))
    assert not is_list
    assert (order.id, order.key, order.after) == (7, "7", ("1", "x"))
    assert order.bindings is not None
    assert (order.bindings.buffers, order.bindings.size) == ((b"\x01\x02",), 2)
    assert (order.lifetime, order.label) == ("eternal", "l")
    assert (order.priority, order.run_ms, order.halt_timeout) == (-3, 1500, 20.0)
    assert (order.callback, order.callback_token, order.callback_batch) == (
        URL("http://c"), "t", True,
    )  # fmt: skip


def test_time_limits() -> None:
    """None is none; of a halt one of five minutes; the shortest is a millisecond."""
    bodies = [
        {"code": "1"},
        {"code": "1", "run_timeout": 1e-9, "halt_on_error": True},
        {"code": "1", "halt_on_error": False},
    ]
    orders, _ = read_orders(orjson.dumps(bodies))
    limits = [(order.run_ms, order.halt_timeout) for order in orders]
    assert limits == [(0, 0.0), (1, 300.0), (0, 0.0)]


def test_digests() -> None:
    """They are of the work alone, in whatever order its fields stand."""
    bodies = [
        {"code": "1", "bindings": {"a": 1, "b": 2}},
        {"bindings": {"b": 2, "a": 1}, "code": "1", "id": 5, "callback": "http://c",
         "priority": 1, "run_timeout": 2, "halt_on_error": True, "halt_timeout": 3},
        {"code": "1", "bindings": {"a": 1, "b": 3}},
    ]  # fmt: skip
    orders, is_list = read_orders(orjson.dumps(bodies))
    assert is_list
    first, second, third = (order.digest for order in orders)
    assert first == second != third


def test_bindings_that_are_nested_too_deeply() -> None:
    """They are refused, and nothing breaks."""
    with pytest.raises(Problem):
        read_orders(b'{"code": "1", "bindings": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 129, "\u00e4", "a\n"])
def test_names_that_are_none(name: str) -> None:
    """They stand in URLs and headers as they are."""
    with pytest.raises(Problem, match="letters, digits"):
        check_name(name, "the name")
