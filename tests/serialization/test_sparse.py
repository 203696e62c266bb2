from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = ["csr", "csc", "coo", "bsr", "dia"]
KINDS = [f"{form}_{way}" for form in FORMATS for way in ("matrix", "array")]
INDICES = ("indices", "indptr", "offsets", "coords")


def parts_of(value: Any) -> dict[str, Any]:
    """Return the arrays that a sparse matrix is made of."""
    names = [name for name in ("data", *INDICES) if hasattr(value, name)]
    return {name: getattr(value, name) for name in names}


def sample(kind: str, dtype: str, index: str) -> Any:
    """Make a matrix of 4 x 6 with a few values, and indices of the given dtype."""
    dense = np.zeros((4, 6), dtype)
    dense[0, 1], dense[3, 5], dense[2, 0] = 1, 1, 1
    value = getattr(sparse, kind)(dense)
    for name, part in parts_of(value).items():
        if name == "coords":
            value.coords = tuple(places.astype(index) for places in part)
        elif name in INDICES:
            setattr(value, name, part.astype(index))
    return value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("dtype", ["float32", "complex128", "bool", "int8"])
def test_every_kind_comes_back_exact(
    kind: str,
    dtype: str,
    index: str,
    wire: Callable[[object], Any],
    same: Callable[[object, object], bool],
) -> None:
    """Class, shape, values and the dtype of the indices are kept: nothing is converted."""
    value = sample(kind, dtype, index)
    back = wire([value])[0]
    assert type(back) is type(value)
    assert back.shape == value.shape
    assert same(parts_of(back), parts_of(value))
    assert (back.toarray() == value.toarray()).all()


def test_duplicates_and_unsorted_indices_stay(wire: Callable[[object], Any]) -> None:
    """A matrix is not tidied up on the way, nor are explicit zeros lost."""
    indices, starts = np.array([2, 0, 0, 1], np.int32), np.array([0, 3, 4], np.int32)
    value = sparse.csr_array((np.array([1.0, 2.0, 3.0, 0.0]), indices, starts), shape=(2, 3))
    back = wire(value)
    assert back.indices.tolist() == [2, 0, 0, 1]
    assert back.data.tolist() == [1.0, 2.0, 3.0, 0.0]
    assert (back.toarray() == value.toarray()).all()
    twice = sparse.coo_matrix((np.ones(2), (np.zeros(2, int), np.zeros(2, int))), shape=(1, 1))
    assert wire(twice).nnz == 2


@pytest.mark.parametrize(
    "value",
    [
        sparse.csr_array((0, 5)),
        sparse.csc_matrix((5, 0)),
        sparse.coo_array((3, 2**40)),
        sparse.dia_matrix((3, 4)),
        sparse.bsr_array((4, 6), blocksize=(2, 3)),
        sparse.bsr_array(np.kron(np.eye(2), np.ones((2, 3)))),
        sparse.csr_array(np.array([0, 1, 0, 2])),
        sparse.coo_array(np.array([0, 1, 0, 2])),
    ],
    ids=repr,
)
def test_odd_shapes_come_back(
    value: Any, wire: Callable[[object], Any], same: Callable[[object, object], bool]
) -> None:
    """Empty, very wide, blocked and one-dimensional ones, too."""
    back = wire(value)
    assert (type(back), back.shape) == (type(value), value.shape)
    assert same(parts_of(back), parts_of(value))


@given(st.sampled_from(KINDS), st.integers(0, 6), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_any_matrix_comes_back(
    wire: Callable[[object], Any],
    same: Callable[[object, object], bool],
    kind: str,
    rows: int,
    columns: int,
    seed: int,
) -> None:
    """Whatever is where, the parts are the same."""
    random = np.random.default_rng(seed)
    dense = random.integers(0, 2, (rows, columns)) * random.standard_normal((rows, columns))
    value = getattr(sparse, kind)(dense)
    assert same(parts_of(wire(value)), parts_of(value))


def test_the_parts_are_not_copied() -> None:
    """The payload's buffers are the matrix's own arrays."""
    value = sample("csr_matrix", "float64", "int32")
    shared = [
        np.shares_memory(np.frombuffer(buffer, np.uint8), part)  # type: ignore[arg-type]  # encode makes no BulkRef
        for buffer, part in zip(encode(value).buffers, parts_of(value).values(), strict=True)
    ]
    assert shared == [True, True, True]


@pytest.mark.parametrize("form", ["lil", "dok"])
def test_other_formats_are_refused(form: str) -> None:
    """Those that scipy builds with say what to send instead."""
    value = getattr(sparse, f"{form}_matrix")((2, 2))
    with pytest.raises(SerializationError, match=rf"type {form}_matrix .*send value\.to"):
        encode(value)


def tampered(kind: str, change: Callable[[list[Any]], object]) -> Payload:
    """Return the payload of a matrix whose parts a peer has changed."""
    value = sample(kind, "float64", "int32")
    parts = [kind, list(value.shape)]
    for name, part in parts_of(value).items():
        parts.extend(part if name == "coords" else [part])
    change(parts)
    payload = encode(parts)
    return Payload(
        header={"$": "sparse", "v": orjson.loads(orjson.dumps(payload.header))},
        buffers=payload.buffers,
    )


def put(place: int, value: object) -> Callable[[list[Any]], object]:
    """Return what replaces a part."""
    return lambda parts: parts.__setitem__(place, value)


def poke(place: int, index: int, value: int) -> Callable[[list[Any]], object]:
    """Return what changes an item of a part."""
    return lambda parts: parts[place].__setitem__(index, value)


HOSTILE: list[tuple[str, Callable[[list[Any]], object]]] = [
    ("csr_matrix", put(0, "os.system")),
    ("csr_matrix", put(0, "lil_matrix")),
    ("csr_matrix", put(0, ["csr_matrix"])),
    ("csr_matrix", put(1, [4])),
    ("csr_matrix", put(1, [4, 5])),
    ("csr_matrix", put(1, [5, 6])),
    ("csr_matrix", put(1, [2**62, 6])),
    ("csr_matrix", put(1, [-1, 6])),
    ("csr_matrix", put(1, [True, 6])),
    ("csr_matrix", put(1, "46")),
    ("csr_matrix", put(2, [1.0, 1.0, 1.0])),
    ("csr_matrix", put(2, np.ones((3, 1)))),
    ("csr_matrix", put(2, np.ones(2))),
    ("csr_matrix", put(2, np.array(["a", "b", "c"]))),
    ("csr_matrix", put(3, np.zeros(3))),
    ("csr_matrix", put(3, np.zeros(3, ">i4"))),
    ("csr_matrix", put(3, np.zeros((3, 1), np.int32))),
    ("csr_matrix", poke(3, 0, -1)),
    ("csr_matrix", poke(3, 0, 6)),
    ("csr_matrix", poke(4, 0, 1)),
    ("csr_matrix", poke(4, 1, -5)),
    ("csr_matrix", poke(4, -1, 4)),
    ("csr_matrix", poke(4, 2, 100)),
    ("csr_matrix", lambda parts: parts.pop()),
    ("csr_matrix", lambda parts: parts.append(parts[-1])),
    ("csc_array", put(1, [6, 4])),
    ("csc_array", poke(3, 0, 4)),
    ("coo_matrix", put(1, [4])),
    ("coo_matrix", poke(3, 0, 4)),
    ("coo_array", poke(4, 0, -1)),
    ("coo_array", put(4, np.zeros(2, np.int32))),
    ("coo_array", put(1, [4, 6, 1])),
    ("dia_matrix", put(3, np.zeros(3, np.int32))),
    ("dia_matrix", put(3, np.zeros(2, np.int32))),
    ("dia_matrix", put(2, np.zeros(3))),
    ("bsr_matrix", put(2, np.zeros((3, 0, 2)))),
    ("bsr_matrix", put(2, np.zeros(3))),
    ("bsr_matrix", put(2, np.zeros((3, 3, 2)))),
    ("bsr_matrix", poke(3, 0, 6)),
]


@pytest.mark.parametrize(("kind", "change"), HOSTILE)
def test_a_lie_is_a_decode_error(kind: str, change: Callable[[list[Any]], object]) -> None:
    """Indices beyond the shape never reach scipy, whose loops would follow them."""
    with pytest.raises(DecodeError, match=r"^value: (malformed 'sparse'|the decoder of 'sparse')"):
        decode(tampered(kind, change))


def run(code: str, *arguments: str) -> str:
    """Run code in an interpreter of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_scipy_is_loaded_only_for_its_values() -> None:
    """Other values load nothing; without scipy a sparse matrix is a clear error."""
    code = (
        "import sys\n"
        "from asyncbridge.errors import DecodeError\n"
        "from asyncbridge.protocol.messages import Payload\n"
        "from asyncbridge.serialization import decode, encode\n"
        "decode(Payload(header=[1, {'$': 'tuple', 'v': []}]))\n"
        "print('scipy' in sys.modules)\n"
        "sys.modules['scipy'] = None\n"
        "try:\n"
        "    decode(Payload(header={'$': 'sparse', 'v': []}))\n"
        "except DecodeError as error:\n"
        "    print(error)\n"
    )
    first, second = run(code).splitlines()
    assert first == "False"
    assert second.startswith("value: a value of scipy came, which is not installed here: ")
    assert second.endswith("-m pip install 'asyncbridge-keras[sparse]'")
