"""JAX's arrays through a real bridge, to a worker that imports JAX, where that is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
import pytest_asyncio
from scipy import sparse

import asyncbridge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]

SETTINGS = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_ENABLE_X64": "1"}
START = """
import numpy as np
import jax
import jax.numpy as jnp
from jax.experimental.sparse import BCOO, BCSR
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from asyncbridge.serialization import encode
from asyncbridge.worker.results import pack_up

halves = NamedSharding(Mesh(np.array(jax.devices()), "x"), PartitionSpec("x"))
matrix = jnp.array([[0.0, 1.0], [2.0, 0.0]])

def places(value):
    '''Return the addresses of what leaves, each of which is copied once.'''
    copied = []
    def place(buffer):
        copied.append(np.frombuffer(buffer, np.uint8).ctypes.data)
        return bytes(buffer)
    pack_up(encode(value), prefix="1", place=place)
    return copied

def looked_at(array):
    encode(array)
    return array
None
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bridge() -> AsyncIterator[asyncbridge.Bridge]:
    """One worker without Keras that has imported JAX, for all tests of this file."""
    async with asyncbridge.connect(backend=None, env=SETTINGS) as opened:
        await opened.send(START)
        yield opened


PLAIN = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
SMALL = (
    *("bfloat16", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn"),
    *("float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
)


@pytest.mark.parametrize("name", [*PLAIN, *SMALL])
async def test_dtypes(bridge: asyncbridge.Bridge, name: str) -> None:
    """Each dtype comes back as numpy's, or as that of ml_dtypes, with its values."""
    back: Any = await bridge.send(f"jnp.array([[0.5, 1, 2], [4, 8, 1]]).astype('{name}')")
    assert type(back) is np.ndarray
    dtype = np.dtype(name) if name in PLAIN else np.dtype(getattr(ml_dtypes, name))
    assert back.dtype == dtype
    assert back.tolist() == np.array([[0.5, 1, 2], [4, 8, 1]]).astype(dtype).tolist()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("jnp.array(3)", 3),
        ("jnp.asarray(2.0) * 1", 2),
        ("jnp.zeros((0, 4))", []),
        ("matrix.T", [[0, 2], [1, 0]]),
        ("matrix[:, ::-1]", [[1, 0], [0, 2]]),
        ("jnp.broadcast_to(matrix[0], (2, 2))", [[0, 1], [0, 1]]),
        ("jnp.array([1 + 2j]).conj()", [1 - 2j]),
        ("jax.random.PRNGKey(1)", [0, 1]),
        ("jax.device_put(jnp.arange(4), halves)", [0, 1, 2, 3]),
    ],
)
async def test_arrays(bridge: asyncbridge.Bridge, code: str, expected: object) -> None:
    """A number is an array of 0-d; what lies in parts on several devices comes as a whole."""
    back: Any = await bridge.send(code)
    assert type(back) is np.ndarray
    assert back.tolist() == expected


async def test_it_leaves_by_one_copy(bridge: asyncbridge.Bridge) -> None:
    """What is copied out is the array's own memory, of small floats and sparse matrices too."""
    assert await bridge.send("""
plain, small = jnp.ones((2, 70_000)), jnp.ones(140_000, jnp.bfloat16)
rows = BCSR((plain[0], jnp.arange(70_000), jnp.arange(70_001)), shape=(70_000, 70_000))
address = lambda array: array.unsafe_buffer_pointer()
[
    places([plain, small]) == [address(plain), address(small)],
    places(rows) == [address(part) for part in (rows.data, rows.indices, rows.indptr)],
]
""") == [True, True]


async def test_an_array_that_is_given_away_later(bridge: asyncbridge.Bridge) -> None:
    """The value is that of the command's end, whatever happens to its memory afterwards."""
    await bridge.send("kept = jnp.arange(100_000.0)\nNone")
    promise = bridge.send("kept")
    await bridge.send("kept = jax.jit(lambda x: x * 0, donate_argnums=0)(kept)\nNone")
    back: Any = await promise
    assert back[-1] == 99_999


async def test_containers(bridge: asyncbridge.Bridge) -> None:
    """An array that stands in two places comes as one."""
    back: Any = await bridge.send("[matrix, {'again': matrix}]")
    assert back[0] is back[1]["again"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("BCOO.fromdense(matrix)", sparse.coo_array),
        ("BCOO.fromdense(matrix, nse=4)", sparse.coo_array),
        ("BCSR.fromdense(matrix)", sparse.csr_array),
        ("BCSR.fromdense(matrix, nse=4)", sparse.csr_array),
    ],
)
async def test_sparse(bridge: asyncbridge.Bridge, code: str, kind: type) -> None:
    """A sparse matrix comes as scipy's; room that it does not use stays behind."""
    back: Any = await bridge.send(code)
    assert type(back).__name__ == kind.__name__
    assert back.nnz == 2
    assert back.toarray().tolist() == [[0, 1], [2, 0]]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("[jax.random.key(0)]", r"result\[0\]: .*PRNGKey dtype .*jax.random.key_data"),
        ("gone = jnp.ones(3)\ngone.delete()\ngone", "Array has been deleted"),
        ("jax.jit(looked_at)(matrix)", "a tracer of JAX .* has no value yet; return it from"),
        ("jax.vmap(looked_at)(matrix)", "a tracer of JAX"),
        ("jax.grad(lambda x: looked_at(x).sum())(matrix)", "a tracer of JAX"),
        ("jnp.ones(2, jnp.int4)", r"<ArrayImpl>: array of dtype int4 has no wire form"),
        ("BCOO.fromdense(jnp.ones(3))", "a sparse tensor of 1 dimensions"),
        ("BCOO.fromdense(matrix, n_dense=1)", "with batch or dense dimensions has no wire form"),
    ],
)
async def test_what_is_refused(bridge: asyncbridge.Bridge, code: str, text: str) -> None:
    """What has no value, or none that numpy or scipy have, says so."""
    with pytest.raises(asyncbridge.RemoteError, match=text):
        await bridge.send(code)
