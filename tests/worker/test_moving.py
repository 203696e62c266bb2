from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import orjson
import pytest

from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode, serializable
from asyncbridge.worker.moving import pack, unpack


@pytest.fixture(autouse=True)
def _random_states() -> Iterator[None]:
    """Put the process's generators back: to unpack sets them."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - the one that is moved
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002 - likewise


def moved(**things: object) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what comes of these over the bridge."""
    payload = encode(pack(things))
    assert isinstance(payload.header, orjson.Fragment)
    header = orjson.loads(orjson.dumps(payload.header))
    data = decode(Payload(header=header, buffers=payload.buffers))
    assert isinstance(data, dict)
    return unpack(data)


@serializable(name="tests.moving.Point")
@dataclass
class Point:
    """A type with a form of its own."""

    x: float
    y: float


def test_data() -> None:
    """Whatever has a wire form comes back as it was, and of its type."""
    things = {
        "number": 3,
        "text": "a\ud800",
        "none": None,
        "nested": {"a": [1, (2.5, None)], 3: {b"b": {1, 2}}},
        "point": Point(1.0, 2.0),
        "large": 10**40,
        "span": slice(1, None),
    }
    made, lost = moved(**things)
    assert lost == {}
    assert made == things
    assert {key: type(value) for key, value in made.items()} == {
        key: type(value) for key, value in things.items()
    }


def test_arrays() -> None:
    """Arrays keep their dtype and shape, and a NaN stays one."""
    array = np.arange(6, dtype=">i2").reshape(2, 3)
    made, _ = moved(array=array, scalar=np.float32(0.1), nan=math.nan)
    assert made["array"].dtype == array.dtype
    assert np.array_equal(made["array"], array)
    assert type(made["scalar"]) is np.float32
    assert math.isnan(made["nan"])


def test_one_object_stays_one() -> None:
    """Under two keys, and in lists, tuples and dicts."""
    array, inner = np.zeros(3), [1]
    made, _ = moved(a=array, b=array, c=[array, {"x": inner}], d=(inner, inner), e=[1])
    assert made["a"] is made["b"] is made["c"][0]
    assert made["c"][1]["x"] is made["d"][0] is made["d"][1]
    assert made["e"] == inner
    assert made["e"] is not made["d"][0]


def test_cycles() -> None:
    """A list and a dict may hold themselves; a tuple that does is lost."""
    row: list[Any] = [1]
    table: dict[str, Any] = {"row": row}
    row += [table, row]
    inside: list[Any] = []
    knot = (inside,)
    inside.append(knot)
    made, lost = moved(row=row, knot=knot, inside=inside)
    assert made["row"][2] is made["row"]
    assert made["row"][1]["row"] is made["row"]
    assert "knot" in lost
    assert "a part of itself" in lost["knot"]


def test_names_of_modules() -> None:
    """Modules, and functions and classes in them, are imported by name."""
    made, lost = moved(module=json, function=json.dumps, builtin=math.sqrt, kind=Point, own=int)
    assert lost == {}
    assert made == {
        "module": json,
        "function": json.dumps,
        "builtin": math.sqrt,
        "kind": Point,
        "own": int,
    }


def test_what_commands_define_is_lost() -> None:
    """For a reason each, and nothing else is."""
    made_here = ModuleType("made_here")
    sys.modules["made_here"] = made_here

    class Local:
        pass

    try:
        made, lost = moved(f=lambda: 1, kind=Local, thing=Local(), module=made_here, x=1)
    finally:
        del sys.modules["made_here"]
    assert made == {"x": 1}
    assert "define it in a module that the worker can import" in lost["f"]
    assert "was made by a command" in lost["kind"]
    assert lost["module"] == "the module 'made_here' was made by a command: make it anew"
    assert "register it with asyncbridge.serializable, or make it anew" in lost["thing"]


def test_where_it_stands() -> None:
    """The reason says which part of a list or dict it is; other keys with it are lost, too."""
    bad = object()
    made, lost = moved(deep=[0, {"k": (bad,)}], bad=bad, fine=[1])
    assert made == {"fine": [1]}
    assert lost["deep"].startswith("item 1 of it: 'k' of it: item 0 of it: <class 'object'> has no")
    assert lost["bad"].startswith("<class 'object'> has no wire form")


def test_what_is_lost_leaves_nothing() -> None:
    """What stands beside it in a list is not sent for nothing."""
    data = pack({"lost": [np.zeros(1000), object()], "kept": [1]})
    assert encode(data["records"]).size < 1000


class Hostile:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("no")


def test_hostile_objects() -> None:
    """Objects whose classes raise are lost, and cost nothing else."""
    made, lost = moved(hostile=Hostile(), fine=1)
    assert made == {"fine": 1}
    assert set(lost) == {"hostile"}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_what_ends_a_command(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no ``Exception`` goes through: a command that is cancelled ends."""

    def end(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("asyncbridge.worker.packing.draft", end)
    with pytest.raises(type(error)):
        pack({"a": np.zeros(2)})


def test_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory runs out, the whole has failed, and not what happened to be next."""

    def end(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("asyncbridge.worker.packing.draft", end)
    with pytest.raises(MemoryError):
        pack({"a": np.zeros(2)})


def test_random_numbers_go_on() -> None:
    """Python's and numpy's generators give what they would have given."""
    data = pack({})
    rng: Any = np.random
    expected = random.random(), rng.random()
    random.seed(1)
    rng.seed(1)
    assert unpack(data) == ({}, {})
    assert (random.random(), rng.random()) == expected


def test_keras_is_not_imported() -> None:
    """Where nobody has imported Keras, nobody does."""
    assert "keras" not in sys.modules
    moved(a=[np.zeros(2)])
    assert "keras" not in sys.modules
