from __future__ import annotations

import enum
import subprocess
import sys
from collections import OrderedDict, defaultdict, namedtuple
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol.messages import BulkRef, Payload
from asyncbridge.serialization import MAX_DEPTH, decode, encode
from asyncbridge.serialization.walk import TakesLong

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
HASHABLE_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.complex_numbers(),
    TEXT,
    st.binary(max_size=8),
    st.builds(range, st.integers(), st.integers(), st.integers(1, 9)),
    st.just(...),
    st.builds(np.float32, st.floats(width=32)),
    st.dates(),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.timedeltas(),
    st.decimals(allow_nan=False),  # a signalling NaN has no hash
    st.fractions(),
    st.uuids(),
    st.builds(PurePosixPath, st.text("ab/.", max_size=6)),
    st.builds(np.int64, st.integers(-(2**63), 2**63 - 1)),
)
HASHABLE = st.recursive(
    HASHABLE_LEAVES,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)
LEAVES = HASHABLE_LEAVES | st.builds(bytearray, st.binary(max_size=8))
ARRAYS = st.builds(np.asarray, st.lists(st.floats(), max_size=4))
OBJECTS = st.one_of(
    ARRAYS,
    ARRAYS.map(lambda array: np.ma.MaskedArray(array, mask=array > 0)),
    ARRAYS.map(lambda array: sparse.coo_array(np.atleast_2d(array))),
    ARRAYS.map(lambda array: np.array([(item, True) for item in array], "f8,?")),
    ARRAYS.map(lambda array: array.view(np.uint16).view(ml_dtypes.bfloat16)),
)
VALUES = st.recursive(
    LEAVES | OBJECTS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=12),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(TEXT | st.just("$"), inner, max_size=4),
        st.dictionaries(HASHABLE, inner, max_size=4),
        st.sets(HASHABLE, max_size=4),
        st.frozensets(HASHABLE, max_size=4),
        st.builds(slice, inner, inner, inner),
    ),
    max_leaves=12,
)


@given(VALUES)
def test_any_value_comes_back_exact(exact: Callable[..., None], value: object) -> None:
    """Whatever is built of the listed types comes back with its types and every bit."""
    exact(value)


CONTAINERS: list[object] = [
    [],
    (),
    {},
    set(),
    frozenset(),
    [[], (), {}],
    [None] * 20,
    [True, False] * 10,
    list(range(20)),
    [*range(20), 2**64],
    [*range(20), -(2**63) - 1],
    [True, 1, 1.0] * 7,
    [0.5] * 20,
    [0.5] * 20 + [float("nan")],
    [0.5] * 20 + [float("inf")],
    ["a"] * 20,
    ["\u00e9"] * 20,
    ["a"] * 20 + ["\ud800"],
    {str(key): key / 2 for key in range(20)},
    {str(key): -0.0 for key in range(20)},
    {str(key): float("inf") for key in range(20)},
    {"b": 1, "a": 2},
    {"$": 1},
    {"$": "int", "v": "1f"},
    {"a": {"$": "tuple", "v": []}},
    {"\ud800": 1, "b": 2},
    {1: "a", "1": "b", None: "c", (1, (2,)): "d", 2.5: "e"},
    {True: 1},
    {np.str_("a"): 1},
    {frozenset({1}): b"x", b"k": b"y", range(3): b"z"},
    {"z": np.zeros(2), "y": b"1", "x": (b"2", [b"3"])},
    {1, "1", b"1", (1,)},
    frozenset({frozenset(), 1.5}),
    slice(None),
    slice(1, 2**70, -3),
    slice("a", [1], (2,)),
]


@pytest.mark.parametrize("value", CONTAINERS, ids=lambda value: type(value).__name__)
def test_containers_come_back_exact(value: object, exact: Callable[..., None]) -> None:
    """Every container keeps its type, its order and its members' types."""
    exact(value)


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Name(str):
    __slots__ = ()


Point = namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind is the one at stake


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda: Color.RED, "send value.value, or register"),
        (lambda: Level.LOW, r"send value.value, or register"),
        (lambda: Name("a"), r"send str\(value\)"),
        (lambda: Point(1, 2), r"send tuple\(value\)"),
        (lambda: OrderedDict(a=1), r"send dict\(value\)"),
        (lambda: defaultdict(int), r"send dict\(value\)"),
        (lambda: np.matrix([[1]]), r"send numpy\.array\(value\)"),
        (lambda: print, "make it in the worker"),
        (lambda: int, "take the worker's own"),
        (object, "make it in the worker"),
    ],
)
def test_no_type_passes_for_another(make: Callable[[], object], advice: str) -> None:
    """A subclass or an unknown type is refused, with its path and what to do instead."""
    value = make()
    name = type(value).__name__
    with pytest.raises(
        SerializationError, match=rf"object of type {name} has .*{advice}"
    ) as caught:
        encode({"a": [0, 1, 2, value]}, path="x")
    assert str(caught.value).startswith('x["a"][3]: object of type ')
    assert caught.value.path == 'x["a"][3]'


def test_a_refused_key_and_member_have_a_path() -> None:
    """The path shows a dict's key and a set's member as such."""
    with pytest.raises(SerializationError) as caught:
        encode({1: {(Level.LOW,): 2}})
    assert caught.value.path == "value[1]{key <tuple>}[0]"
    with pytest.raises(SerializationError) as caught:
        encode([{Level.LOW}], path="v")
    assert caught.value.path == "v[0]{<Level>}"


def nested(depth: int, build: Callable[[Any], object]) -> object:
    """Put containers inside one another."""
    value: object = 1
    for _ in range(depth):
        value = build(value)
    return value


WRAPS: list[Callable[[Any], object]] = [
    lambda inner: [inner],
    lambda inner: (inner,),
    lambda inner: {"a": inner},
    lambda inner: {1: inner},
    slice,
]


@pytest.mark.parametrize("wrap", WRAPS)
def test_the_depth_limit_is_the_same_on_both_sides(
    wrap: Callable[[Any], object], exact: Callable[..., None]
) -> None:
    """The deepest value that is sent is read too; one level more is refused at once."""
    exact(nested(MAX_DEPTH, wrap))
    with pytest.raises(SerializationError, match="more than 100 containers") as caught:
        encode(nested(MAX_DEPTH + 1, wrap))
    assert "…88 steps…" in caught.value.path


@pytest.mark.parametrize(
    "text", ["[%s]", '{"a":%s}', '{"$":"tuple","v":[%s]}', '{"$":"dict","v":[1,%s]}']
)
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 400])
def test_a_tree_that_is_too_deep_is_a_decode_error(text: str, depth: int) -> None:
    """Depth is counted before the interpreter's stack is at stake."""
    tree = "1"
    for _ in range(depth):
        tree = text % tree
    with pytest.raises(DecodeError, match="more than 100 containers"):
        decode(Payload(header=orjson.loads(tree)))


DEEP: Any = orjson.loads("[" * 1000 + "]" * 1000)


@pytest.mark.parametrize(
    "tree",
    [
        {"$": DEEP},
        {"$": "bytes", "b": DEEP},
        {"$": "int", "v": DEEP},
        {"$": "range", "v": [0, DEEP, 1]},
        {"$": "array", "t": DEEP, "s": [], "o": "C", "b": 0},
        {"$": "array", "t": "<f4", "s": [DEEP], "o": "C", "b": 0},
        {"$": "array", "t": "<f4", "s": [], "o": DEEP, "b": 0},
        {"$": "np.str", "v": DEEP},
    ],
    ids=lambda tree: f"{list(tree)}",
)
def test_a_deep_part_in_a_wrong_place_is_a_decode_error(tree: object) -> None:
    """The error's text never walks a part that is as deep as JSON may be."""
    with pytest.raises(DecodeError):
        decode(Payload(header=tree))


def test_a_cycle_is_named() -> None:
    """A cyclic value says where it closes, and on what."""
    inner: list[object] = [0]
    value = {"a": inner}
    inner.append({"b": inner})
    with pytest.raises(SerializationError, match=r'this is x\["a"\] again') as caught:
        encode(value, path="x")
    assert caught.value.path == 'x["a"][1]["b"]'


def test_a_value_may_hold_the_same_object_twice(wire: Callable[[object], Any]) -> None:
    """Sharing is no cycle; each place gets a value of its own."""
    shared = [1]
    one, other = wire((shared, shared))
    assert one == other == [1]
    assert one is not other


MALFORMED: list[object] = [
    {"$": "set", "v": [[1]]},
    {"$": "set", "v": [{"a": 1}]},
    {"$": "set", "v": [1, 1]},
    {"$": "set", "v": [1, True]},
    {"$": "set", "v": {"a": 1}},
    {"$": "frozenset", "v": "abc"},
    {"$": "frozenset", "v": [{"$": "set", "v": []}]},
    {"$": "dict", "v": [1]},
    {"$": "dict", "v": [1, 2, 1.0, 3]},
    {"$": "dict", "v": [[], 2]},
    {"$": "dict", "v": 7},
    {"$": "dict"},
    {"$": "tuple", "v": None},
    {"$": "tuple", "v": [], "w": []},
    {"$": "slice", "v": [1, 2]},
    {"$": "nope", "v": []},
    {"$": "os.system", "v": ["true"]},
    {"$": None},
    {"$": ["tuple"], "v": []},
    {"$": {"$": "tuple"}},
    {"$": 1},
    [{"$": "tuple", "v": [{"$": "tuple"}]}],
    [object()],
    {"a": (1,)},
    object(),
    orjson.Fragment(b"1"),
    {"$": "set", "v": [{"$": "memoryview", "b": 0, "w": True}]},
    {"$": "set", "v": [{"$": "slice", "v": [[], None, None]}]},
]


@pytest.mark.parametrize("tree", MALFORMED)
def test_a_malformed_tree_is_a_decode_error(tree: object) -> None:
    """Unhashable, equal, missing, surplus or unknown parts are refused with one error type."""
    with pytest.raises(DecodeError):
        decode(Payload(header=tree, buffers=(b"",) if "memoryview" in repr(tree) else ()))


def test_each_buffer_belongs_to_one_value() -> None:
    """A buffer that two values or none refer to is an error."""
    one = {"$": "bytes", "b": 0}
    with pytest.raises(DecodeError, match="two values refer"):
        decode(Payload(header=[one, one], buffers=(b"a",)))
    with pytest.raises(DecodeError, match="no value refers to 1 of 2 buffers"):
        decode(Payload(header=one, buffers=(b"a", b"b")))
    with pytest.raises(DecodeError, match="not fetched"):
        decode(Payload(header=one, buffers=(BulkRef(id="b", size=1),)))


def test_decoding_leaves_the_payload_as_it_was() -> None:
    """What is done to a decoded value does not reach the payload, which may be decoded again."""
    payload = Payload(header={"a": [1], "b": {"c": [[]]}})
    first = decode(payload)
    assert isinstance(first, dict)
    first["a"].append(2)
    first["b"]["c"][0].append(3)
    assert decode(payload) == {"a": [1], "b": {"c": [[]]}}


def test_encoding_leaves_the_value_as_it_was() -> None:
    """The payload holds bytes, so a list that changes later was sent as it stood."""
    value = {"a": list(range(20))}
    payload = encode(value)
    value["a"].clear()
    assert orjson.loads(orjson.dumps(payload.header)) == {"a": list(range(20))}


JSON_TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.text(max_size=4),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
        st.fixed_dictionaries(
            {
                "$": st.sampled_from(
                    [
                        "int",
                        "float",
                        "complex",
                        "str",
                        "bytes",
                        "bytearray",
                        "memoryview",
                        "range",
                        "ellipsis",
                        "tuple",
                        "set",
                        "frozenset",
                        "dict",
                        "slice",
                        "array",
                        "scalar",
                        "np.str",
                        "np.bytes",
                    ]
                )
            },
            optional={
                "v": inner | st.just("0" * 16) | st.lists(inner, max_size=4),
                "b": st.integers(-1, 2),
                "t": st.sampled_from(["<f4", "|b1", ">U1", "|S2", "<M8[s]", ">i2", "<x16", "O"]),
                "s": st.lists(st.integers(-1, 3) | st.integers(), max_size=3),
                "o": st.sampled_from(["C", "F", "A"]),
                "w": inner | st.booleans(),
            },
        ),
    ),
    max_leaves=12,
)


@given(JSON_TREES, st.lists(st.binary(max_size=9), max_size=2))
def test_any_tree_is_a_value_or_a_decode_error(tree: object, buffers: list[bytes]) -> None:
    """No tree, however made up, raises anything but DecodeError."""
    try:
        decode(Payload(header=tree, buffers=tuple(buffers)))
    except DecodeError:
        return


@given(VALUES, st.data())
def test_a_damaged_header_is_a_value_or_a_decode_error(value: object, data: st.DataObject) -> None:
    """A real header with one byte changed is refused, or stands for another value."""
    payload = encode(value)
    header = bytearray(orjson.dumps(payload.header))
    header[data.draw(st.integers(0, len(header) - 1))] = data.draw(st.integers(0, 255))
    try:
        tree = orjson.loads(header)
    except orjson.JSONDecodeError:
        return
    try:
        decode(Payload(header=tree, buffers=payload.buffers))
    except DecodeError:
        return


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("beside", [0.5, "null", None])
def test_floats_that_json_lacks_among_many_scalars(
    odd: float, beside: object, exact: Callable[..., None]
) -> None:
    """They are found, in a list and in a dict, whatever stands beside them."""
    numbers = [*(n / 7 for n in range(20)), "null", beside, odd]
    exact([numbers, dict(zip(map(str, range(30)), numbers, strict=False))])


@pytest.mark.parametrize("odd", [1, None, ("a",), "\ud800", "$"])
def test_a_large_dict_with_a_key_that_json_lacks(odd: object, exact: Callable[..., None]) -> None:
    """It comes back with it."""
    exact([{**{str(number): number for number in range(20)}, odd: 0.5}])


def test_what_takes_long_is_left_to_another_thread() -> None:
    """A few bytes that stand for a large matrix; all else is read as ever."""
    matrix = np.zeros((2000, 200), np.float32)
    matrix[:, 7] = 1
    written = encode([matrix, 1])
    header = orjson.loads(orjson.dumps(written.header))
    payload = Payload(header=header, buffers=written.buffers)
    with pytest.raises(TakesLong):
        decode(payload, quickly=True)
    back: Any = decode(payload)
    np.testing.assert_array_equal(back[0], matrix, strict=True)
    assert decode(Payload(header={"a": [1]}), quickly=True) == {"a": [1]}


def test_the_first_value_of_a_package_is_left_to_another_thread() -> None:
    """In a process that has not read one yet: the import takes some tenths of a second."""
    code = """
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.codec import decode
from asyncbridge.serialization.walk import (TakesLong)
import sys
tree = {"$": "pd.NA", "v": None}
try:
    decode(Payload(header=tree), quickly=True)
except TakesLong:
    assert "pandas" not in sys.modules
    first = decode(Payload(header=tree))
    assert decode(Payload(header=tree), quickly=True) is first
    print("left")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "left\n"
