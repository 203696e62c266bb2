"""Kept objects: who has them, and when they go."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from asyncbridge.errors import StaleReference
from asyncbridge.worker.objects import Claimant, Objects


class Thing:
    """What has no wire form."""


def test_one_number_for_one_object() -> None:
    """While it is kept; equal objects have numbers of their own."""
    objects, thing = Objects(), [1]
    number = objects.number_of(thing, 1.0)
    assert (number, objects.number_of(thing, 2.0), objects.number_of([1], 2.0)) == (1, 1, 2)
    assert objects.value_of(number) is thing
    assert (objects.known(thing), objects.known([1])) == (1, None)
    assert objects.items()[0][1].since == 1.0
    assert (len(objects), [*objects.numbers()], 1 in objects, 3 in objects) == (
        2,
        [1, 2],
        True,
        False,
    )


def test_it_goes_with_its_last_handle() -> None:
    """Whoever has had it, and however often; nothing is left of it."""
    objects, one, other = Objects(), Claimant("one"), Claimant("other")
    thing = Thing()
    gone, number = weakref.ref(thing), objects.number_of(thing, 0.0)
    for claimant in (one, one, other):
        objects.claim(claimant, number)
    del thing
    objects.give_back(one, number, 2)
    assert gone() is not None
    objects.give_back(other, number, 1)
    assert gone() is None
    assert (len(objects), one.counts, other.counts) == (0, {}, {})


def test_numbers_are_not_used_again() -> None:
    """Though Python gives a new object the place of an old one."""
    objects = Objects()
    numbers = set[int]()
    for _ in range(100):
        number = objects.number_of(Thing(), 0.0)
        numbers.add(number)
        objects.tidy([number])
    assert numbers == set(range(1, 101))
    assert len(objects) == 0


def test_what_is_there_no_longer() -> None:
    """The error says whether it ever was."""
    objects = Objects()
    objects.tidy([objects.number_of(Thing(), 0.0)])
    with pytest.raises(
        StaleReference, match="object 1 is not in the worker: nothing refers"
    ) as gone:
        objects.value_of(1)
    assert gone.value.number == 1
    with pytest.raises(StaleReference, match="this worker has kept no such object"):
        objects.claim(Claimant("c"), 2)


def test_nobody_gives_back_what_is_anothers() -> None:
    """A client that says it had more than it was told of takes nothing from others."""
    objects, mine, yours = Objects(), Claimant("mine"), Claimant("yours")
    number = objects.number_of(Thing(), 0.0)
    objects.claim(mine, number)
    objects.claim(yours, number)
    objects.give_back(mine, number, 1_000)
    objects.give_back(mine, number, 1)
    assert number in objects
    assert yours.counts == {number: 1}
    objects.give_back(yours, 99, 1)
    assert number in objects


def test_a_lease() -> None:
    """It is a claim of nobody's, and there is none on what has gone."""
    objects, claimant = Objects(), Claimant("c")
    number = objects.number_of(Thing(), 0.0)
    objects.claim(claimant, number)
    assert objects.lease(number)
    assert objects.items()[0][1].leases == 1
    objects.give_back(claimant, number, 1)
    assert number in objects
    objects.end_lease(number)
    assert number not in objects
    assert not objects.lease(number)
    objects.end_lease(number)


def test_a_handle_that_moves() -> None:
    """The next client has it then; one that the former did not have does not."""
    objects, before, after = Objects(), Claimant("s"), Claimant("s")
    number = objects.number_of(Thing(), 0.0)
    objects.claim(before, number)
    objects.move(before, after, number)
    assert (before.counts, after.counts) == ({}, {number: 1})
    objects.move(before, after, number)
    assert after.counts == {number: 1}
    assert objects.holders([before, after]) == {number: ["s"]}


def test_what_nobody_claims_is_tidied_away() -> None:
    """What somebody has stays."""
    objects, claimant = Objects(), Claimant("c")
    numbers = [objects.number_of(Thing(), 0.0) for _ in range(2)]
    objects.claim(claimant, numbers[0])
    objects.tidy(numbers)
    assert [*objects.numbers()] == numbers[:1]


def test_a_successor_goes_on_counting() -> None:
    """What has moved keeps its number; a new object gets one that none has had."""
    before, thing = Objects(), Thing()
    number = before.number_of(thing, 3.0)
    after = Objects()
    after.begin_after(before.newest)
    after.put(number, thing, 3.0)
    assert after.known(thing) == number
    assert after.number_of(Thing(), 4.0) == number + 1


class Handles(RuleBasedStateMachine):
    """Clients claim, give back and leave in any order; the account is a plain list of handles."""

    def __init__(self) -> None:
        super().__init__()
        self.objects = Objects()
        self.clients = [Claimant("a"), Claimant("b")]
        self.things: dict[int, Any] = {}
        self.handles: list[tuple[Claimant, int]] = []

    @rule(client=st.integers(0, 1), fresh=st.booleans())
    def tell(self, client: int, fresh: bool) -> None:
        living = [number for number in self.things if number in self.objects]
        thing = Thing() if fresh or not living else self.things[living[0]]
        number = self.objects.number_of(thing, 0.0)
        self.things[number] = thing
        self.objects.claim(self.clients[client], number)
        self.handles.append((self.clients[client], number))

    @rule(place=st.integers(0, 20))
    def give_back(self, place: int) -> None:
        if self.handles:
            claimant, number = self.handles.pop(place % len(self.handles))
            self.objects.give_back(claimant, number, 1)

    @rule(client=st.integers(0, 1))
    def leave(self, client: int) -> None:
        leaving = self.clients[client]
        for number, count in list(leaving.counts.items()):
            self.objects.give_back(leaving, number, count)
        self.handles = [each for each in self.handles if each[0] is not leaving]

    @invariant()
    def what_has_a_handle_is_kept(self) -> None:
        assert set(self.objects.numbers()) == {number for _, number in self.handles}
        for number in self.objects.numbers():
            assert self.objects.value_of(number) is self.things[number]


test_any_order = Handles.TestCase
