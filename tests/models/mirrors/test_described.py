from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge.models import layers
from asyncbridge.models.mirrors.described import described_in, name_in_worker, reach
from asyncbridge.references.binding import Binding

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge


@pytest.mark.usefixtures("no_bridge")
def test_it_begins_as_a_description() -> None:
    """It has a recipe, a line, and neither a bridge nor a name nor facts."""
    dense = layers.Dense(3)
    assert dense._recipe.text() == dense._origin.call == "keras.layers.Dense(3)"
    assert (dense._bridge, dense._name, dense._facts) == (None, None, {})
    assert dense._ledger.creation is None


def test_serials_follow_the_order_of_making() -> None:
    """They are what puts the worker's order right."""
    first, second = layers.Dense(1), layers.Dense(1)
    assert first._serial < second._serial


def test_those_in_values_are_found_in_containers() -> None:
    """Lists, tuples and dicts are looked into; nothing else counts."""
    one, two, three = layers.Dense(1), layers.Dense(2), layers.Dense(3)
    values = [one, [(two, 5)], {"a": {"b": three}}, Binding("x", "eternal"), layers.Dense, "text"]
    assert [id(found) for found in described_in(values)] == [id(one), id(two), id(three)]


@pytest.mark.usefixtures("no_bridge")
def test_reach_goes_through_what_they_are_made_of() -> None:
    """Each is found once, and the one that was described first comes first."""
    inner = layers.Dense(1)
    middle = layers.TimeDistributed(inner)
    outer = layers.Bidirectional(middle)
    assert [id(one) for one in reach([outer, inner, middle])] == list(
        map(id, (inner, middle, outer))
    )


@pytest.mark.asyncio
async def test_reach_may_stop_at_what_is_made(bridge: RecordingBridge) -> None:
    """What is in the worker has all it is made of there."""
    inner = layers.Dense(1)
    outer = layers.TimeDistributed(inner)
    assert [id(one) for one in reach([outer])] == [id(inner), id(outer)]
    assert [id(one) for one in reach([outer], through_made=False)] == [id(outer)]


@pytest.mark.asyncio
async def test_a_cycle_ends(bridge: RecordingBridge) -> None:
    """Two that hold one another are found once each."""
    first, second = layers.Dense(1), layers.Dense(2)
    first._parts = lambda: [second]  # type: ignore[method-assign]  # no constructor makes a cycle
    second._parts = lambda: [first]  # type: ignore[method-assign]  # likewise
    assert [id(one) for one in reach([second])] == [id(first), id(second)]


@pytest.mark.asyncio
async def test_a_name_is_that_of_the_object_there(bridge: RecordingBridge) -> None:
    """What is no mirror has none, and neither has a description."""
    dense = layers.Dense(1)
    assert name_in_worker(dense) == bridge.name_of("keras.layers.Dense")
    assert name_in_worker(3) is None
    dense._name = None
    assert name_in_worker(dense) is None


@pytest.mark.asyncio
async def test_facts_are_added_to(bridge: RecordingBridge) -> None:
    """What the worker tells later replaces what it told before, key by key."""
    dense = layers.Dense(1)
    dense._note({"name": "dense", "built": False})
    dense._note({"built": True})
    assert dense._facts == {"name": "dense", "built": True}
