"""Short reprs: in one line, cut in number and in depth, and whatever a class does."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any, NamedTuple

import pytest

from asyncbridge.worker.reprs import FAILED, REPR_LIMIT, Short


class Point(NamedTuple):
    x: int
    y: int


class Rows(list[Any]):
    """A list by another name."""


class Hostile:
    """Does in its repr whatever it is told to."""

    def __init__(self, act: Any) -> None:
        self.act = act

    def __repr__(self) -> Any:
        return self.act()


def leave() -> None:
    """Raise what ends a program."""
    raise SystemExit


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (1, "1"),
        (dict.fromkeys(range(1000)), "{0: None, 1: None, 2: None, 3: None, ...}"),
        (set(range(1000)), "{0, 1, 2, 3, 4, 5, ...}"),
        (frozenset([1]), "frozenset({1})"),
        (set(), "set()"),
        ([[[[[1]]]]], "[[[[...]]]]"),
        ([{1: {2: {3: 4}}}, {((1,),)}], "[{1: {2: {...}}}, {((...),)}]"),
        ("one\ntwo", r"'one\ntwo'"),
        (Point(1, 2), "Point(x=1, y=2)"),
        (Rows(range(1000)), "Rows([0, 1, 2, 3, 4, 5, ...])"),
        (OrderedDict.fromkeys(range(9)), "OrderedDict({0: None, 1: None, 2: None, 3: None, ...})"),
        (Counter("a"), "Counter({'a': 1})"),
        (defaultdict(int, a=1), "defaultdict({'a': 1})"),
        (deque(range(1000)), "deque([0, 1, 2, 3, 4, 5, ...])"),
        (dict.fromkeys(range(1000)).keys(), "dict_keys([0, 1, 2, 3, 4, 5, ...])"),
        ({1: 2}.items(), "dict_items([(1, 2)])"),
    ],
)
def test_containers_are_cut(value: object, told: str) -> None:
    """In number and in depth, also those that are derived from Python's own."""
    assert Short().line(value) == told


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_bytes_are_cut(kind: type[bytes | bytearray]) -> None:
    """Of many bytes the first are told; of few, all."""
    assert Short().line(kind(b"ab")) in {"b'ab'", "bytearray(b'ab')"}
    told = Short().line(kind(b"\0" * 10_000))
    assert r"b'\x00\x00" in told
    assert told.endswith(("...", "...)"))
    assert len(told) <= REPR_LIMIT + len("bytearray()")


def test_reprs_that_fail() -> None:
    """They are named, and those beside them are told."""
    assert Short().line(Hostile(leave)) == FAILED
    assert Short().line(10**5000) == FAILED
    assert Short().line([1, Hostile(lambda: 3)]) == f"[1, {FAILED}]"


def test_long_texts_are_cut() -> None:
    """Whatever makes them, and lines are joined."""
    assert len(Short().line(Hostile(lambda: "é" * 10**6)).encode()) <= REPR_LIMIT
    assert Short().line(Hostile(lambda: "one\n  two")) == "one two"
