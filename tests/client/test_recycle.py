"""The policy by which a worker is replaced."""

from __future__ import annotations

from typing import Any

import pytest

from asyncbridge.client import Recycle, connect


def test_each_reason_may_stand_alone() -> None:
    """One of the three is enough."""
    assert Recycle(rss=2**30).rss == 2**30
    assert Recycle(age=60.0).age == 60.0
    assert Recycle(commands=100).commands == 100


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({}, ValueError, "a Recycle has a reason: rss=, age= or commands="),
        ({"rss": 0}, ValueError, "rss= is a number from 1 up, got 0"),
        ({"commands": -1}, ValueError, "commands= is a number from 1 up, got -1"),
        ({"rss": 1.5}, TypeError, "rss= is a whole number, not 1.5"),
        ({"commands": True}, TypeError, "commands= is a whole number, not True"),
        ({"age": 0}, ValueError, "age= is a positive number of seconds, got 0"),
    ],
)
def test_what_is_no_policy(given: dict[str, Any], error: type[Exception], text: str) -> None:
    """It is refused where it is made."""
    with pytest.raises(error) as caught:
        Recycle(**given)
    assert str(caught.value) == text


def test_connect_takes_a_policy_alone() -> None:
    """A number of bytes might be meant for anything."""
    with pytest.raises(TypeError, match=r"recycle= is a policy such as asyncbridge\.Recycle"):
        connect(recycle=2**30)  # type: ignore[arg-type]  # what is refused


def test_a_worker_of_somebody_elses() -> None:
    """Who has started it replaces it."""
    with pytest.raises(ValueError, match="for a worker that connect"):
        connect("unix:///tmp/worker.sock", token="t", recycle=Recycle(commands=1))
