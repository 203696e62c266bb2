"""Torch's tensors through a real bridge, to a worker that imports torch, where that is installed."""

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
    pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]

START = """
import warnings
import numpy as np
import torch
from torch import nested, nn, sparse_coo_tensor, sparse_csr_tensor, tensor
from asyncbridge.serialization import encode
from asyncbridge.worker.results import pack_up

warnings.simplefilter("ignore")  # of torch's own, about what is new in it
eye = torch.eye(4)

def places(value):
    '''Return the addresses of what leaves, each of which is copied once.'''
    copied = []
    def place(buffer):
        copied.append(np.frombuffer(buffer, np.uint8).ctypes.data)
        return bytes(buffer)
    pack_up(encode(value), prefix="1", place=place)
    return copied
None
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bridge() -> AsyncIterator[asyncbridge.Bridge]:
    """One worker without Keras that has imported torch, for all tests of this file."""
    async with asyncbridge.connect(backend=None) as opened:
        await opened.send(START)
        yield opened


NAMES = {
    "bool": "bool",
    **{name: name for name in ("int8", "int16", "int32", "int64")},
    **{name: name for name in ("uint8", "uint16", "uint32", "uint64")},
    **{name: name for name in ("float16", "float32", "float64", "complex64", "complex128")},
}
SMALL = (
    "bfloat16",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
)


@pytest.mark.parametrize("name", [*NAMES, *SMALL])
async def test_dtypes(bridge: asyncbridge.Bridge, name: str) -> None:
    """Each dtype comes back as numpy's, or as that of ml_dtypes, with its values."""
    back: Any = await bridge.send(f"tensor([[0.5, 1.0, 2.0], [4.0, 8.0, 1.0]]).to(torch.{name})")
    assert type(back) is np.ndarray
    dtype = np.dtype(NAMES[name]) if name in NAMES else np.dtype(getattr(ml_dtypes, name))
    assert back.dtype == dtype
    expected = np.array([[0.5, 1, 2], [4, 8, 1]]).astype(dtype)
    assert back.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("tensor(3)", 3),
        ("torch.empty((0, 4))", []),
        ("tensor(1.5, dtype=torch.bfloat16)", 1.5),
        ("torch.arange(6).reshape(2, 3).T", [[0, 3], [1, 4], [2, 5]]),
        ("torch.arange(6).reshape(2, 3)[:, ::2]", [[0, 2], [3, 5]]),
        ("torch.arange(6).to(torch.bfloat16)[::2]", [0, 2, 4]),
        ("tensor([[1], [2]]).expand(2, 3)", [[1, 1, 1], [2, 2, 2]]),
        ("tensor([1.0, 2.0], requires_grad=True) * 2", [2, 4]),
        ("nn.Parameter(torch.ones(2))", [1, 1]),
        ("tensor([1 + 2j]).conj()", [1 - 2j]),
        ("tensor([1 + 2j]).conj().imag", [-2]),
        ("torch.arange(16).reshape(1, 2, 2, 4).to(memory_format=torch.channels_last)[0, 1, 1]",
         [12, 13, 14, 15]),
    ],
)  # fmt: skip
async def test_views_and_marks(bridge: asyncbridge.Bridge, code: str, expected: object) -> None:
    """Strides, gradients and lazy conjugates are looked through; a number is an array of 0-d."""
    back: Any = await bridge.send(code)
    assert type(back) is np.ndarray
    assert back.tolist() == expected


async def test_it_leaves_by_one_copy(bridge: asyncbridge.Bridge) -> None:
    """What is copied out is the tensor's own memory, of small floats and sparse tensors too."""
    assert await bridge.send("""
plain, small = torch.ones(2, 70_000), torch.ones(140_000).to(torch.bfloat16)
parameter = nn.Parameter(torch.ones(70_000))
rows = sparse_csr_tensor(torch.arange(70_001), torch.arange(70_000), plain[0], (70_000, 70_000))
parts = (rows.values(), rows.col_indices(), rows.crow_indices())
[
    places(plain) == [plain.data_ptr()],
    places([small, parameter]) == [small.data_ptr(), parameter.data_ptr()],
    places(rows) == [part.data_ptr() for part in parts],
]
""") == [True, True, True]


async def test_containers(bridge: asyncbridge.Bridge) -> None:
    """A tensor that stands in two places comes as one array, and is sent once."""
    back: Any = await bridge.send(
        "[eye, {'again': eye, 'state': dict(nn.Linear(2, 1).state_dict())}]"
    )
    assert back[0] is back[1]["again"]
    assert {name: part.shape for name, part in back[1]["state"].items()} == {
        "weight": (1, 2),
        "bias": (1,),
    }


TWICE = "sparse_coo_tensor([[0, 0], [1, 1]], [1.0, 2.0], (2, 2), requires_grad=True)"


@pytest.mark.parametrize(
    ("code", "kind", "expected"),
    [
        ("tensor([[0, 1], [2, 0]]).to_sparse()", sparse.coo_array, [[0, 1], [2, 0]]),
        (TWICE, sparse.coo_array, [[0, 3], [0, 0]]),
        ("tensor([[0, 1], [2, 0]]).to_sparse_csr()", sparse.csr_array, [[0, 1], [2, 0]]),
        ("tensor([[0, 1], [2, 0]]).to_sparse_csc()", sparse.csc_array, [[0, 1], [2, 0]]),
        ("eye.to_sparse_bsr((2, 2))", sparse.bsr_array, np.eye(4).tolist()),
        ("torch.zeros(2, 3).to_sparse_csr()", sparse.csr_array, [[0] * 3] * 2),
        ("tensor([[0, 1 + 2j]]).conj().to_sparse()", sparse.coo_array, [[0, 1 - 2j]]),
        ("tensor([[False, True]]).to_sparse()", sparse.coo_array, [[False, True]]),
    ],
)
async def test_sparse(
    bridge: asyncbridge.Bridge, code: str, kind: type, expected: list[object]
) -> None:
    """A sparse matrix comes as scipy's of the same layout; what stands twice adds up there, too."""
    back: Any = await bridge.send(code)
    assert type(back).__name__ == kind.__name__
    assert back.toarray().tolist() == expected


@pytest.mark.parametrize("layout", ["strided", "jagged"])
async def test_nested(bridge: asyncbridge.Bridge, layout: str) -> None:
    """A nested tensor comes as a list of the arrays of its parts."""
    back: Any = await bridge.send(
        f"nested.nested_tensor([torch.ones(2, 5), torch.zeros(1, 5)], layout=torch.{layout}, "
        "requires_grad=True)"
    )
    assert type(back) is list
    assert [part.tolist() for part in back] == [[[1] * 5] * 2, [[0] * 5]]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("[torch.ones(3, device='meta')]", r"result\[0\]: a tensor on the device 'meta' has no"),
        ("torch.quantize_per_tensor(eye, 0.1, 0, torch.qint8)", r"a quantized .* dequantize\(\)"),
        ("tensor([1j]).to(torch.complex32)", "a tensor of torch.complex32 .* that numpy has"),
        ("torch.empty(2, dtype=torch.int4)", r"torch.int4 .* view\(torch.uint8\)"),
        ("eye.to_sparse_bsc((2, 2))", r"layout torch.sparse_bsc has no wire form; .*to_dense\(\)"),
        ("sparse_coo_tensor([[0, 1]], [1.0, 2.0], (4,))", "a sparse tensor of 1 dimensions"),
        ("torch.stack([eye, eye]).to_sparse_csr()", "a sparse tensor of 3 dimensions"),
        ("sparse_coo_tensor([[0, 1]], torch.ones(2, 3), (4, 3))", "whose values are tensors"),
        ("eye.half().to_sparse()", "of float16 has no form of scipy's; convert it to float32"),
        ("eye.bfloat16().to_sparse()", "of bfloat16 has no wire form"),
        ("nn.Linear(2, 1).state_dict()", r"OrderedDict has no wire form.* dict\(value\)"),
        ("torch.func.vmap(lambda part: encode(part))(eye)", "cannot be turned into an array"),
    ],
)
async def test_what_is_refused(bridge: asyncbridge.Bridge, code: str, text: str) -> None:
    """What has no data, or none that numpy or scipy have, says so, and what to send instead."""
    with pytest.raises(asyncbridge.RemoteError, match=text):
        await bridge.send(code)
