"""The order of commands that wait, by priority, against a model of it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from asyncbridge.protocol.levels import Levels
from asyncbridge.protocol.messages import Command


@dataclass(eq=False)
class Item:
    """A command that waits."""

    command: Command

    @property
    def priority(self) -> int:
        """Its present one."""
        return self.command.priority


def item(number: int, priority: int = 0, after: tuple[int, ...] = ()) -> Item:
    """Return a command that waits."""
    return Item(Command(id=number, code="", after=after, priority=priority))


def filled(*items: Item) -> Levels[Item]:
    """Return levels that hold these."""
    levels: Levels[Item] = Levels()
    for one in items:
        levels.add(one)
    return levels


def drained(levels: Levels[Item]) -> list[int]:
    """Take one after another, and return their ids."""
    numbers: list[int] = []
    while (one := levels.first()) is not None:
        levels.remove(one)
        numbers.append(one.command.id)
    return numbers


@pytest.mark.parametrize(
    ("items", "order"),
    [
        ([], []),
        ([item(1), item(2), item(3)], [1, 2, 3]),
        ([item(1), item(2, 1), item(3)], [2, 1, 3]),
        ([item(1, -1), item(2), item(3, 5), item(4, 5)], [3, 4, 2, 1]),
        # one that waits for another, and those of its own priority with it
        ([item(1), item(2, 1, after=(1,)), item(3, 1), item(4)], [1, 2, 3, 4]),
        # the default ones behind one that waits for a lower one keep their order, too
        ([item(1, -1), item(2, 0, after=(1,)), item(3)], [1, 2, 3]),
        # what has gone already holds nobody up, nor does what comes later
        ([item(2, 1, after=(1,)), item(3)], [2, 3]),
        ([item(1, 1, after=(2,)), item(2)], [1, 2]),
    ],
)
def test_order(items: list[Item], order: list[int]) -> None:
    """Higher ones first, equal ones as they were sent, none ahead of what it depends on."""
    assert [one.command.id for one in filled(*items).order()] == order
    assert drained(filled(*items)) == order


def test_one_that_comes_late() -> None:
    """It stands where it was sent, not where it came."""
    assert drained(filled(item(3), item(5, 1), item(1), item(4, 1))) == [4, 5, 1, 3]


def test_one_that_may_not_go() -> None:
    """Those of its priority wait with it, lower ones go on."""
    high, low = item(1, 1), item(2)
    levels = filled(high, item(3, 1), low)
    assert levels.first(lambda one: one is not high) is low
    assert levels.first(lambda _: False) is None
    assert filled(low).first(lambda _: False) is None


def test_moved() -> None:
    """Another priority is another place, in the order of sending there."""
    first, second, third = item(1), item(2), item(3)
    levels = filled(first, second, third)
    levels.move(third, 1)
    levels.move(second, 1)
    assert levels.ranks == [-1]
    assert (levels.lowest(), [one.command.id for one in levels.order()]) == (1, [2, 3, 1])
    levels.move(second, 0)
    levels.move(third, 0)
    assert levels.ranks == []
    assert drained(levels) == [1, 2, 3]
    assert not levels
    assert levels.lowest() is None


class LevelsMachine(RuleBasedStateMachine):
    """Commands come, go, are cancelled and moved; a list says what must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: Levels[Item] = Levels()
        self.waiting: list[Item] = []
        self.newest = 0

    @rule(data=st.data(), priority=st.integers(-2, 2), sent=st.integers(1, 3))
    def add(self, data: st.DataObject, priority: int, sent: int) -> None:
        """Add a command that may depend on earlier ones, there or gone."""
        self.newest += sent
        known = st.integers(1, self.newest)
        after = data.draw(st.lists(known, max_size=2))
        self.waiting.append(item(self.newest, priority, tuple(after)))
        self.levels.add(self.waiting[-1])

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), priority=st.integers(-2, 2))
    def move(self, data: st.DataObject, priority: int) -> None:
        """Give one another priority."""
        self.levels.move(data.draw(st.sampled_from(self.waiting)), priority)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Take any one out."""
        one = data.draw(st.sampled_from(self.waiting))
        self.levels.remove(one)
        self.waiting.remove(one)

    @precondition(lambda self: self.waiting)
    @rule()
    def take(self) -> None:
        """Take the next one: nobody of its priority was sent before it, nor waits for it to go."""
        one = self.levels.first()
        assert one is not None
        heads = {w.priority: w for w in reversed(self.waiting)}
        waits = {w.command.id for w in self.waiting} - {one.command.id}
        assert heads[one.priority] is one
        assert waits.isdisjoint(one.command.after)
        for head in heads.values():
            if head.priority > one.priority:
                assert any(n in waits | {one.command.id} for n in head.command.after)
        self.levels.remove(one)
        self.waiting.remove(one)

    @invariant()
    def nothing_is_lost(self) -> None:
        """All that waits is there, and its order ends."""
        assert sorted(one.command.id for one in self.levels) == [
            one.command.id for one in self.waiting
        ]
        assert len(self.levels.order()) == len(self.waiting)
        assert self.levels.lowest() == (self.waiting[0].command.id if self.waiting else None)
        ranks = {-one.priority for one in self.waiting} - {0}
        assert self.levels.ranks == sorted(ranks)


TestLevels = LevelsMachine.TestCase


@given(st.lists(st.integers(-3, 3), max_size=30))
def test_the_order_is_a_stable_sort(priorities: list[int]) -> None:
    """Without dependencies."""
    items = [item(number, priority) for number, priority in enumerate(priorities, 1)]
    ranked = sorted(items, key=lambda one: -one.priority)
    assert filled(*items).order() == ranked
