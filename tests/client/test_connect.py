from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from asyncbridge.client import Options, connect
from asyncbridge.protocol.limits import Bound


def test_it_returns_a_new_bridge_and_starts_nothing() -> None:
    """Entering does."""
    bridge = connect(backend=None)
    assert bridge.state == "new"
    assert "new" in repr(bridge)


def test_it_takes_every_option_under_its_name() -> None:
    """None is forgotten, none is made up."""
    assert set(inspect.signature(connect).parameters) == {field.name for field in fields(Options)}


def test_what_is_given_reaches_the_options() -> None:
    """As it is."""
    bridge = connect(
        "unix:///w", token="t", backend="jax", python="/p", env={"A": "1"}, connect_timeout=1,
        close_timeout=2, backlog=Bound(count=3, size=4),
    )  # fmt: skip
    assert bridge._options == Options(
        url="unix:///w", token="t", backend="jax", python="/p", env={"A": "1"}, connect_timeout=1,
        close_timeout=2, backlog=Bound(count=3, size=4),
    )  # fmt: skip


def test_a_time_limit_of_none_is_refused_at_once() -> None:
    """Before anything is started."""
    with pytest.raises(ValueError, match="positive"):
        connect(connect_timeout=0)
