"""Values of every kind through a real bridge, to a worker with TensorFlow and back."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import pytest_asyncio
from scipy import sparse

import asyncbridge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bridge() -> AsyncIterator[asyncbridge.Bridge]:
    """One worker with TensorFlow for all tests of this file."""
    async with asyncbridge.connect() as opened:
        await opened.send("import tensorflow as tf, keras, numpy as np\nNone")
        yield opened


@asyncbridge.serializable(name="tests.Sample")
@dataclasses.dataclass
class Sample:
    name: str
    pixels: Any


async def test_a_type_that_both_sides_register(bridge: asyncbridge.Bridge) -> None:
    """The worker's class is its own; the name on the wire is the same."""
    lacking = r"""bindings\["s"\]: no type is registered under 'tests.Sample' in the worker"""
    with pytest.raises(asyncbridge.RemoteError, match=lacking):
        await bridge.send("s", {"s": Sample("a", 1)})
    await bridge.send("""
import asyncbridge, dataclasses
@asyncbridge.serializable(name="tests.Sample")
@dataclasses.dataclass
class Sample:
    name: str
    pixels: object
None
""")
    pixels = np.arange(6).reshape(2, 3)
    back: Any = await bridge.send("Sample(s.name.upper(), s.pixels.T)", {"s": Sample("a", pixels)})
    assert type(back) is Sample
    assert back.name == "A"
    assert np.array_equal(back.pixels, pixels.T)


async def test_values_of_many_kinds(bridge: asyncbridge.Bridge) -> None:
    """What is sent and what comes back is of the same type on both sides."""
    hot = np.eye(1000, dtype=np.float32)
    value: dict[str, Any] = {
        "moment": datetime(2024, 1, 1, tzinfo=UTC),
        "price": Decimal("1.50"),
        "half": np.array([1, 2], ml_dtypes.bfloat16),
        "rows": sparse.csr_matrix(np.eye(3)),
        "frame": pd.DataFrame({"a": [1, 2], "b": ["x", None]}),
        "hot": hot,
        "again": hot,
    }
    back: Any = await bridge.send("assert v['hot'] is v['again']\nv", {"v": value})
    assert {key: type(part) for key, part in back.items()} == {
        key: type(part) for key, part in value.items()
    }
    assert back["moment"] == value["moment"]
    assert back["half"].dtype == ml_dtypes.bfloat16
    pd.testing.assert_frame_equal(back["frame"], value["frame"])
    assert (back["hot"] == hot).all()
    assert back["hot"] is back["again"]


async def test_tensors_come_back_as_arrays(bridge: asyncbridge.Bridge) -> None:
    """Tensors and variables of TensorFlow and Keras, in containers, a shared one once."""
    back: Any = await bridge.send("""
t = tf.cast(tf.reshape(tf.range(6), (2, 3)), tf.int16)
[t, {"v": tf.Variable([1.5]), "k": keras.Variable([2.5])}, t, tf.constant([1], tf.bfloat16)]
""")
    assert back[0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert back[0].dtype == np.int16
    assert back[0] is back[2]
    assert back[1]["v"].tolist() == [1.5]
    assert back[1]["k"].tolist() == [2.5]
    assert back[3].dtype == ml_dtypes.bfloat16


async def test_a_tensor_is_not_copied_on_its_way_into_the_payload(
    bridge: asyncbridge.Bridge,
) -> None:
    """The payload's buffer is the tensor's own memory; freezing copies it, once."""
    shared = await bridge.send("""
from asyncbridge.serialization import encode
t = tf.random.uniform((300, 300))
buffer, = encode(t).buffers
bool(np.shares_memory(np.frombuffer(buffer, np.uint8), np.asarray(t)))
""")
    assert shared is True


async def test_sparse_and_ragged_tensors(bridge: asyncbridge.Bridge) -> None:
    """A sparse tensor comes as scipy's, a ragged one as a list of its rows."""
    back: Any = await bridge.send("""
[
    tf.sparse.from_dense([[0.0, 2.0], [0.0, 0.0]]),
    tf.ragged.constant([[1, 2], [], [3]]),
    tf.ragged.constant([[[1], [2, 3]], []]),
    tf.RaggedTensor.from_row_lengths(tf.ones((3, 2)), [1, 2]),
]
""")
    assert type(back[0]) is sparse.coo_array
    assert back[0].toarray().tolist() == [[0, 2], [0, 0]]
    assert [row.tolist() for row in back[1]] == [[1, 2], [], [3]]
    assert [[part.tolist() for part in row] for row in back[2]] == [[[1], [2, 3]], []]
    assert [row.shape for row in back[3]] == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("tf.constant(['a'])", "string (1,)"),
        ("tf.sparse.from_dense([1.0])", "float32 (1,)"),
        ("keras.Input((3,))", "float32 (None, 3)"),
    ],
)
async def test_other_tensors_stay(bridge: asyncbridge.Bridge, code: str, text: str) -> None:
    """Text, sparse tensors that are no matrices, and symbolic ones are told by dtype and shape."""
    value: Any = await bridge.send(f"[{code}], {{'a': {code}}}, np.arange(3)")
    assert value[2].tolist() == [0, 1, 2]
    for reference in (value[0][0], value[1]["a"], await bridge.send(code)):
        assert isinstance(reference, asyncbridge.Ref)
        assert reference.about.text == text
