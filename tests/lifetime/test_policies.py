"""The policies, by their names and by themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from asyncbridge.lifetime.finalizers import Finalizers
from asyncbridge.lifetime.holds import Hold
from asyncbridge.lifetime.policies import (
    LIFETIMES,
    Collected,
    Eternal,
    Leased,
    PerCommand,
    Policy,
    Terms,
    policy_of,
)
from asyncbridge.worker.bindings import seconds_of


class Owner:
    """An object here that stands for a binding."""


@dataclass
class Own:
    """A user's policy."""

    name: str = "own"
    terms: Any = field(default_factory=partial(Terms, ends="session"))
    held: list[Hold] = field(default_factory=list)

    def begin(self, hold: Hold) -> None:
        self.held.append(hold)


@pytest.mark.parametrize(
    ("name", "policy"),
    [("eternal", Eternal()), ("command", PerCommand()), ("collected", Collected())],
)
def test_the_three(name: str, policy: Policy) -> None:
    """The paper's three lifetimes are policies of these names."""
    assert policy_of(name) == policy
    assert policy_of(name).name == name
    assert LIFETIMES == ("eternal", "command", "collected")


@pytest.mark.parametrize("lifetime", ["", "Eternal", "forever"])
def test_any_other(lifetime: str) -> None:
    """Anything else is refused, and the text lists what there is."""
    with pytest.raises(ValueError, match=f"{lifetime!r}: use one of eternal, command, collected"):
        policy_of(lifetime)


def test_a_policy_stands_for_itself() -> None:
    """One of ours, or anything that has what a policy has."""
    for policy in (Leased(3), Own()):
        assert policy_of(policy) is policy
        assert isinstance(policy, Policy)


@pytest.mark.parametrize("wrong", [None, 3, Leased, Own, object()])
def test_what_is_no_policy(wrong: object) -> None:
    """It is refused; a class is no policy, though it has all the names."""
    with pytest.raises(TypeError, match=r"takes a name, or a policy with name, terms and begin"):
        policy_of(wrong)


def test_terms_that_are_none() -> None:
    """A policy's terms are what the worker is told, so no other class will do."""
    with pytest.raises(TypeError, match="its terms are 'session', and no Terms"):
        policy_of(Own(terms="session"))


def test_the_words_of_a_command() -> None:
    """The worker reads what the terms say, and of a lease the very seconds."""
    wires = [Terms(ends=ends).wire for ends in ("command", "session", "never")]
    assert wires == ["command", "collected", "eternal"]
    assert [seconds_of(wire) for wire in wires] == [None] * 3
    assert seconds_of(Leased(0.1).terms.wire) == 0.1


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
def test_no_seconds(seconds: float) -> None:
    """A lease has an end, and it is not there already."""
    with pytest.raises(ValueError, match="a lease is for more than 0 seconds"):
        Leased(seconds)


def test_no_such_end() -> None:
    """Terms end in one of four ways."""
    with pytest.raises(ValueError, match="ends= is one of 'command', 'session', 'lease', 'never'"):
        Terms(ends="tomorrow")  # type: ignore[arg-type]  # what a user may write


def test_a_name_of_a_lease() -> None:
    """It says for how long."""
    assert Leased(90).name == "leased for 90 s"
    assert repr(Leased(90)) == "Leased(seconds=90)"


@pytest.mark.parametrize("policy", [Eternal(), PerCommand(), Leased(1)])
def test_what_is_left_to_the_worker(policy: Policy) -> None:
    """Nothing is tied here: the end of the handle releases nothing."""
    finalizers, owner = Finalizers(lambda: None), Owner()
    policy.begin(Hold("x", finalizers, owner))
    del owner
    assert finalizers.take() == ()


def test_what_is_collected() -> None:
    """The end of the handle releases the binding; without a handle there is nothing to tie it to."""
    finalizers, owner = Finalizers(lambda: None), Owner()
    Collected().begin(Hold("x", finalizers, owner))
    assert finalizers.take() == ()
    del owner
    assert finalizers.take() == ("x",)
    with pytest.raises(ValueError, match=r"x: a collected binding needs an object .*: use put\(\)"):
        Collected().begin(Hold("x", finalizers))
