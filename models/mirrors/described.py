"""What a mirror is made of, and what becomes of it: a recipe, then a name behind a bridge."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from asyncbridge.models.mirrors.calls import Ledger
from asyncbridge.models.mirrors.origins import Origin, call_site
from asyncbridge.models.mirrors.wire import leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from asyncbridge.client import Bridge
    from asyncbridge.models.mirrors.recipes import Recipe

__all__ = ["Described", "described_in", "name_in_worker", "reach"]

_serials = itertools.count()


class Described:
    """An object that is in the worker, or that the worker would know how to make."""

    _is_symbolic = False
    """Whether it stands for a tensor of a graph, so that calls with it are nodes there."""

    _released = ""
    """How the worker was told to let go of it, though it lives."""
    _recipe: Recipe
    _serial: int
    _origin: Origin
    _ledger: Ledger
    _bridge: Bridge | None
    _name: str | None
    _facts: dict[str, object]

    def _set_up(self, recipe: Recipe) -> None:
        """Begin as a description."""
        # Keras draws from global random generators in constructors: the order of the calls
        # here must be the order of the calls there.
        self._serial = next(_serials)
        self._recipe = recipe
        self._origin = Origin(call=recipe.text(), site=call_site(self), verb=recipe.verb)
        self._ledger = Ledger()
        self._bridge = None
        self._name = None
        # What the worker told of it last.
        self._facts = {}

    def _parts(self) -> Iterable[object]:
        """Return what this one is made of, in which others may stand."""
        return self._recipe.parts

    def _watched(self) -> Sequence[Described]:
        """Return those of whom the worker tells facts when this one is made."""
        return ()

    def _note(self, facts: Mapping[str, object]) -> None:
        """Take the facts that the worker told."""
        self._facts.update(facts)


def described_in(values: Iterable[object]) -> Iterator[Described]:
    """Yield those that stand in the values, inside any lists, tuples and dicts."""
    return (leaf for leaf in leaves(values) if isinstance(leaf, Described))


def reach(values: Iterable[object], *, through_made: bool = True) -> list[Described]:
    """Return all those in the values, and in what they are made of, oldest first.

    Args:
        values: Where to begin.
        through_made: Whether to look into those that are in the worker, too.
    """
    found: dict[int, Described] = {}
    todo = list(described_in(values))
    while todo:
        one = todo.pop()
        if id(one) in found:
            continue
        found[id(one)] = one
        if through_made or one._bridge is None:
            todo.extend(described_in(one._parts()))
    return sorted(found.values(), key=lambda one: one._serial)


def name_in_worker(value: object) -> str | None:
    """Return the name, in the worker, of what is there."""
    return value._name if isinstance(value, Described) else None
