"""Bindings that outlive their commands: whose they are, and when they go."""

from __future__ import annotations

import pytest

from asyncbridge.errors import InUse, NameTaken
from asyncbridge.worker.bindings import Bindings, Record, seconds_of
from asyncbridge.worker.objects import Claimant


class Bench:
    """Two sessions, and the names that were dropped."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self.alive = {"mine", "yours"}
        self.bindings = Bindings(self.dropped.append, lambda owner: owner in self.alive)
        self.mine, self.yours = Claimant("mine"), Claimant("yours")

    def set(self, name: str, lifetime: str = "collected", claimant: Claimant | None = None) -> None:
        """Set a name, as a command of a session does."""
        claimant = claimant or self.mine
        self.bindings.check([name], claimant.owner)
        self.bindings.note([name], lifetime, claimant, 1.0)


@pytest.fixture
def bench() -> Bench:
    """Bindings of a worker."""
    return Bench()


def test_an_eternal_one(bench: Bench) -> None:
    """It has no holders; its owner's policy ends it, and nobody else's."""
    bench.set("x", "eternal")
    bench.bindings.hold("x", bench.yours)
    bench.bindings.release("x", bench.yours)
    record = bench.bindings.get("x")
    assert record is not None
    assert (record.holders, record.is_held, bench.dropped) == (set(), True, [])
    assert bench.mine.names == bench.yours.names == set()
    bench.bindings.release("x", bench.mine)
    assert (bench.bindings.get("x"), bench.dropped) == (None, ["x"])


def test_a_collected_one(bench: Bench) -> None:
    """It goes with the last of those who have a handle on it."""
    bench.set("x")
    bench.bindings.hold("x", bench.yours)
    assert (bench.mine.names, bench.yours.names) == ({"x"}, {"x"})
    bench.bindings.release("x", bench.mine)
    assert (bench.dropped, bench.mine.names) == ([], set())
    bench.bindings.release("x", bench.yours)
    assert (bench.dropped, bench.bindings.all()) == (["x"], [])


def test_a_leased_one(bench: Bench) -> None:
    """It goes when its time is over, unless its owner's policy has ended it before."""
    bench.set("x", "leased 60.0")
    record = bench.bindings.get("x")
    assert record is not None
    bench.bindings.release("x", bench.yours)
    assert bench.dropped == []
    bench.bindings.end_lease(record)
    assert bench.dropped == ["x"]
    bench.set("y", "leased 60.0")
    bench.bindings.release("y", bench.mine)
    assert bench.dropped == ["x", "y"]


def test_a_lease_of_a_collected_one(bench: Bench) -> None:
    """A pickled handle keeps it, for its time, when all others are gone."""
    bench.set("x")
    record = bench.bindings.lease("x")
    assert record is not None
    bench.bindings.release("x", bench.mine)
    assert bench.dropped == []
    bench.bindings.end_lease(record)
    assert bench.dropped == ["x"]
    assert bench.bindings.lease("x") is None


def test_the_lease_of_one_that_was_set_anew(bench: Bench) -> None:
    """Its end is not the new one's."""
    bench.set("x", "leased 60.0")
    old = bench.bindings.get("x")
    assert old is not None
    bench.set("x")
    bench.bindings.end_lease(old)
    assert bench.dropped == []
    assert bench.bindings.get("x") is not old


def test_set_anew_by_its_owner(bench: Bench) -> None:
    """Who held the old value holds the new one no more."""
    bench.set("x")
    bench.bindings.hold("x", bench.yours)
    bench.set("x", "eternal")
    assert bench.mine.names == bench.yours.names == set()
    bench.bindings.release("x", bench.yours)
    assert bench.dropped == []


def test_a_name_is_its_owners(bench: Bench) -> None:
    """Another session may set it once nobody waits for the owner any more."""
    bench.set("x", "eternal")
    with pytest.raises(NameTaken, match="'x' is taken by session mine") as caught:
        bench.set("x", "eternal", bench.yours)
    assert (caught.value.name, caught.value.owner) == ("x", "mine")
    bench.alive.remove("mine")
    bench.set("x", "eternal", bench.yours)
    record = bench.bindings.get("x")
    assert record is not None
    assert record.owner == "yours"


def test_deleting(bench: Bench) -> None:
    """Its owner may, and a name of code's anybody; it is dropped and forgotten."""
    bench.set("x", "eternal")
    bench.bindings.delete("x", bench.mine)
    bench.bindings.delete("of_code", bench.yours)
    assert (bench.dropped, bench.bindings.all()) == (["x", "of_code"], [])


def test_deleting_what_is_anothers(bench: Bench) -> None:
    """It is refused, and stays."""
    bench.set("x", "eternal")
    with pytest.raises(NameTaken):
        bench.bindings.delete("x", bench.yours)
    assert bench.dropped == []


def test_deleting_what_others_have(bench: Bench) -> None:
    """They are told, those that have it and those that may get it; one's own handle is no reason."""
    bench.set("x")
    bench.bindings.hold("x", bench.yours)
    record = bench.bindings.lease("x")
    assert record is not None
    with pytest.raises(
        InUse, match="in use by yours, a handle that was pickled: it goes"
    ) as caught:
        bench.bindings.delete("x", bench.mine)
    assert caught.value.holders == ("yours", "a handle that was pickled")
    bench.bindings.release("x", bench.yours)
    bench.bindings.end_lease(record)
    bench.bindings.delete("x", bench.mine)
    assert (bench.dropped, bench.mine.names) == (["x"], set())


def test_deleting_a_leased_one(bench: Bench) -> None:
    """Its own lease is no reason to keep it."""
    bench.set("x", "leased 5.0")
    bench.bindings.delete("x", bench.mine)
    assert bench.dropped == ["x"]


def test_a_name_that_is_no_binding(bench: Bench) -> None:
    """A mirror's name, say, goes with its release; to hold it is nothing."""
    bench.bindings.hold("x", bench.mine)
    bench.bindings.release("x", bench.mine)
    assert bench.dropped == ["x"]


def test_taken_over_from_the_worker_before(bench: Bench) -> None:
    """With whoever holds it."""
    record = Record(name="x", lifetime="collected", owner="mine", since=0.0, holders={bench.mine})
    bench.bindings.put(record)
    assert (bench.bindings.all(), bench.mine.names) == ([record], {"x"})


@pytest.mark.parametrize(
    ("lifetime", "seconds"),
    [("command", None), ("eternal", None), ("collected", None), ("leased 0.5", 0.5)],
)
def test_lifetimes(lifetime: str, seconds: float | None) -> None:
    """A lease has seconds."""
    assert seconds_of(lifetime) == seconds


@pytest.mark.parametrize(
    "lifetime", ["", "leased", "leased ", "leased x", "leased 0", "leased -1", "leased nan",
                 "leased inf", "leased 1e10", "for ever"]
)  # fmt: skip
def test_what_is_no_lifetime(lifetime: str) -> None:
    """It is refused, whatever a client has sent."""
    with pytest.raises(
        ValueError, match="it must be 'command', 'eternal', 'collected' or 'leased'"
    ):
        seconds_of(lifetime)
