"""What is told of commands that another process has left."""

from __future__ import annotations

from asyncbridge.client.inherited import Inherited
from asyncbridge.protocol.holding import Holding
from asyncbridge.protocol.holdings import Holdings


def heard(*messages: Holding) -> Inherited:
    """Return what is known after these."""
    held = Holdings()
    inherited = Inherited(held)
    for message in messages:
        held.receive(message)
        inherited.heard(message)
    return inherited


LIST = Holding(
    newest=4,
    commands=((1, "a", "failed", 0), (2, "b", "running", 20), (3, "c", "queued", 30)),
    standing=((2, 0, 60_000, ()), (3, 5, 0, ())),
)


def test_one_that_is_unfinished() -> None:
    """The one that runs has run for as long as the worker says."""
    inherited = heard(LIST)
    running = inherited.info(2)
    assert running is not None
    assert (running.name, running.state, running.size) == ("b", "running", 20)
    assert 60 <= running.seconds < 600
    waiting = inherited.info(3, position=0, others=1)
    assert waiting is not None
    assert (waiting.state, waiting.priority, waiting.position) == ("queued", 5, 0)
    assert (waiting.others, waiting.outcome) == (1, "")
    assert waiting.seconds < 60


def test_one_that_has_ended() -> None:
    """Its outcome is known; of others nothing is."""
    inherited = heard(LIST, Holding(newest=4, commands=((3, "c", "cancelled", 0),)))
    for number, outcome in ((1, "failed"), (3, "cancelled")):
        info = inherited.info(number)
        assert info is not None
        assert (info.state, info.outcome) == ("done", outcome)
    assert inherited.info(4) is None


def test_its_times_go_to_who_claims_it() -> None:
    """They tell that it has started, when it does."""
    inherited = heard(LIST)
    inherited.started(3)
    inherited.started(9)
    times = inherited.take(3)
    assert times is not None
    assert times.has_started
    assert inherited.take(3) is inherited.take(1) is None
