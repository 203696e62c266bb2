"""Long values, in slices."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import encoders, slices, walk
from asyncbridge.serialization.codec import decode, draft, encode
from asyncbridge.serialization.deferred import size_of, whole
from asyncbridge.serialization.drafts import Draft
from asyncbridge.serialization.walk import LONG, TakesLong
from tests.serialization.conftest import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

DAY: Final = datetime(2026, 1, 1)  # noqa: DTZ001 - it has no zone
COUNT: Final = 3 * LONG
LONG_VALUES: Final[dict[str, Callable[[], object]]] = {
    "texts": lambda: [f"text {number}" for number in range(COUNT)],
    "long texts": lambda: ["é" * 60_000] * 9,
    "scalars": lambda: [None, True, 1, 1.5, "x"] * COUNT,
    "lists": lambda: [[number, "x", 0.5] for number in range(COUNT)],
    "tuples": lambda: tuple((number, "x") for number in range(COUNT)),
    "records": lambda: [{"id": number, "ratio": 0.5, "name": None} for number in range(COUNT)],
    "one record": lambda: {f"key {number}": number for number in range(COUNT)},
    "dict": lambda: {number: (number,) for number in range(COUNT)},
    "odd keys": lambda: {"$": 1, "\ud800": 2, **{str(number): 0 for number in range(COUNT)}},
    "long keys": lambda: {"x" * 70_000: 1, **{str(number): 0 for number in range(COUNT)}},
    "set": lambda: set(range(COUNT)),
    "times": lambda: [DAY + timedelta(seconds=number) for number in range(2000)],
    "nested": lambda: {"a": {"b": [{"c": list(map(str, range(COUNT)))}, 1]}},
    "one in another": lambda: [[["x"] * (LONG - 9)] * 2, [["y"] * LONG, "z"]],
    "text": lambda: "é\U0001f600x" * 200_000,
    "odd text": lambda: "x" * 300_000 + "\ud800" + "é" * 300_000,
    "not finite": lambda: [[math.nan, -0.0, "x"], [math.inf, "y"]] * LONG,
    "large integers": lambda: [[2**64, -(2**63) - 1, "x"]] * LONG,
    "lone surrogates": lambda: ["x"] * COUNT + ["\udc00"],
    "frame": lambda: pd.DataFrame({"text": ["é", None, "x"] * LONG, "count": range(COUNT)}),
}


def through(value: object) -> Any:
    """Return what a value comes out as."""
    return decode(read(encode(value)))


def read(payload: Payload) -> Payload:
    """Return a payload as its reader has it."""
    return Payload(header=orjson.loads(orjson.dumps(payload.header)), buffers=payload.buffers)


@pytest.mark.parametrize("make", LONG_VALUES.values(), ids=LONG_VALUES)
def test_it_comes_back_as_it_was(make: Callable[[], object]) -> None:
    """To the bit, whatever it holds and wherever the slices end."""
    value = make()
    assert fingerprint(through(value)) == fingerprint(value)


@pytest.mark.parametrize("make", LONG_VALUES.values(), ids=LONG_VALUES)
def test_no_document_is_long(make: Callable[[], object]) -> None:
    """Neither what travels with the command nor any slice of the rest."""
    value = make()
    made = draft(value)
    header = made.header if isinstance(made, Draft) else orjson.dumps(made.header)
    assert len(header) < 32 * 1024
    sizes = [size for tree in tagged(orjson.loads(header)) for size in tree["n"]]
    assert max(sizes, default=0) < 512 * 1024


def tagged(tree: Any) -> list[Any]:
    """Return the places of a header that refer to slices."""
    parts = tree.values() if type(tree) is dict else tree if type(tree) is list else ()
    own = [tree] if type(tree) is dict and tree.get("$") == "slices" else []
    return own + [found for part in parts for found in tagged(part)]


@pytest.mark.parametrize("make", LONG_VALUES.values(), ids=LONG_VALUES)
def test_a_thread_with_a_loop_leaves_it_to_another(make: Callable[[], object]) -> None:
    """It breaks off soon."""
    with pytest.raises(TakesLong):
        draft(make(), quickly=True)


def test_what_is_short_is_one_document() -> None:
    """As it ever was, and no other thread is asked."""
    value = {"rows": [[number, "x"] for number in range(500)], "name": "x" * 1000}
    made = draft(value, quickly=True)
    assert isinstance(made, Payload)
    assert made.buffers == ()
    assert orjson.loads(orjson.dumps(made.header)) == value


def test_arrays_in_several_slices() -> None:
    """One that stands in two of them is one, and each has its own bytes."""
    shared = np.arange(5)
    value = [{"own": np.array(number), "shared": shared} for number in range(2000)]
    back = through(value)
    assert [int(item["own"]) for item in back] == list(range(2000))
    assert len({id(item["shared"]) for item in back}) == 1


def test_nothing_is_copied_before_it_leaves() -> None:
    """The slices are joined where they go."""
    made = draft(["x" * 100] * 10**5)
    assert isinstance(made, Draft)
    (buffer,) = made.buffers
    assert not isinstance(buffer, bytes | memoryview)
    assert len(memoryview(whole(buffer))) == size_of(buffer)  # type: ignore[arg-type]


# --- what is wrong -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([*range(COUNT), "x", object()], f"[{COUNT + 1}]"),
        ({"a": ["x"] * COUNT + [{"b": object()}]}, f'["a"][{COUNT}]["b"]'),
        ({**dict.fromkeys(range(COUNT)), -1: {"b": object()}}, '[-1]["b"]'),
    ],
)
def test_what_has_no_form(value: object, path: str) -> None:
    """Is refused with its path, in whatever slice it stands."""
    with pytest.raises(SerializationError, match="object of type object") as caught:
        encode(value, path="x")
    assert caught.value.path == f"x{path}"


def test_a_cycle() -> None:
    """Is found among the items of a long list, too."""
    value: list[object] = ["x"] * COUNT
    value.append([value])
    with pytest.raises(SerializationError, match="cyclic value: this is value again"):
        encode(value)


def test_a_type_that_is_not_known_here() -> None:
    """The reader names the place, through the slices."""
    tree = {"$": "registered", "n": "unheard of", "e": 1, "v": None}
    documents = [orjson.dumps([0] * 7), orjson.dumps([0, [tree]])]
    with pytest.raises(DecodeError, match=r'^value\["a"\]\[8\]\[0\]: no type is registered'):
        decode(Payload(header={"a": sliced(*documents)}, buffers=(b"".join(documents),)))


def sliced(*documents: bytes) -> dict[str, object]:
    """Return what refers to documents in the first buffer."""
    return {"$": "slices", "b": 0, "n": [len(each) for each in documents]}


@pytest.mark.parametrize(
    ("raw", "lengths", "message"),
    [
        (b"[1][2]", [3], "6 bytes together, got 3"),
        (b"[1][2]", [3, 4], "6 bytes together, got 7"),
        (b"[1]", [3, 0], "the bytes of each"),
        (b"[1]", [True, 2], "the bytes of each"),
        (b"[1]", {"0": 3}, "the bytes of each"),
        (b"[1][2]", [2, 4], "a slice of a value is no JSON"),
        (b"{}", [2], "a list in each"),
        (b"17", [2], "a list in each"),
    ],
)
def test_slices_that_are_none(raw: bytes, lengths: object, message: str) -> None:
    """The reader says what it expected."""
    tree = {"$": "slices", "b": 0, "n": lengths}
    with pytest.raises(DecodeError, match=message):
        decode(Payload(header=tree, buffers=(raw,)))


@pytest.mark.parametrize("tag", ["tuple", "set", "dict"])
def test_only_slices_stand_for_a_containers_items(tag: str) -> None:
    """No other object does."""
    with pytest.raises(DecodeError, match=f"'{tag}' value: expected a list of items"):
        decode(Payload(header={"$": tag, "v": {"$": "tuple", "v": []}}, buffers=()))


def test_slices_inside_one_another() -> None:
    """As deep as containers may stand."""
    text = orjson.dumps([1])
    for _ in range(walk.MAX_DEPTH):
        text = orjson.dumps([orjson.Fragment(text)])
    with pytest.raises(DecodeError, match="stand inside one another"):
        decode(Payload(header=sliced(text), buffers=(text,)))


# --- all shapes --------------------------------------------------------------------------

SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=40)
)
KEYS: Final = st.text(st.characters(exclude_categories=()), max_size=4) | st.integers(0, 9)
VALUES: Final = st.recursive(
    SCALARS | st.builds(np.arange, st.integers(0, 3)),
    lambda inner: (
        st.lists(inner, max_size=30)
        | st.lists(inner, max_size=12).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=12)
        | st.sets(SCALARS, max_size=12)
    ),
    max_leaves=60,
)


@given(VALUES, st.integers(1, 12))
def test_any_value_in_slices_of_any_size(value: object, size: int) -> None:
    """Comes back as it was, however short the slices are."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (walk, slices, encoders):
            patch.setattr(module, "LONG", size)
        patch.setattr(slices, "_TOGETHER", 3)
        patch.setattr(slices, "breathe", lambda: None)
        back = through(value)
    assert fingerprint(back) == fingerprint(value)


def test_others_go_first_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the slices of a long text, and of a list, there and back."""
    pauses: list[None] = []
    monkeypatch.setattr(slices, "breathe", lambda: pauses.append(None))
    for value in ("x" * 2**21, ["x"] * 2**17):
        pauses.clear()
        assert through(value) == value
        assert 8 < len(pauses) < 64
