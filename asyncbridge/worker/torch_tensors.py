"""Torch's tensors as arrays over the same memory, where numpy has such arrays."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from asyncbridge.serialization.registry import Unfit
from asyncbridge.worker.sparse_tensors import compressed, coordinates

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["from_torch", "is_ordinary"]

Array = np.ndarray[Any, Any]

_COMPRESSED: Final[Mapping[str, tuple[Literal["csr", "csc", "bsr"], str, str]]] = {
    "torch.sparse_csr": ("csr", "col_indices", "crow_indices"),
    "torch.sparse_csc": ("csc", "row_indices", "ccol_indices"),
    "torch.sparse_bsr": ("bsr", "col_indices", "crow_indices"),
}
"""By layout: scipy's form of it, and the names of its two indices."""
_COORDINATES: Final = "torch.sparse_coo"

_SMALL_FLOATS: Final = {
    "torch.bfloat16": "int16",
    "torch.float8_e4m3fn": "uint8",
    "torch.float8_e4m3fnuz": "uint8",
    "torch.float8_e5m2": "uint8",
    "torch.float8_e5m2fnuz": "uint8",
    "torch.float8_e8m0fnu": "uint8",
}
"""The dtypes that ml_dtypes has by the same name, with what numpy may read their bytes as."""


def is_ordinary(tensor: Any) -> bool:
    """Tell whether a tensor is rows and columns of numbers: not sparse, ragged or quantized."""
    return (
        str(tensor.layout) == "torch.strided"
        and not tensor.is_nested
        and not tensor.is_quantized
        and not tensor.is_meta
    )


def from_torch(tensor: Any) -> object:
    """Return what a tensor comes back as.

    Returns:
        An array; of a sparse tensor scipy's, of a nested one a list of what its parts are.

    Raises:
        Unfit: There is nothing that it can be.
    """
    if tensor.is_meta:
        raise Unfit("a tensor on the device 'meta' has no data to send")
    plain = tensor.detach().cpu()
    if plain.is_nested:
        return [from_torch(part) for part in plain.unbind()]
    if is_ordinary(plain):
        return _array(plain)
    if plain.is_quantized:
        raise Unfit(
            "a quantized tensor has no wire form; send its dequantize(), or its int_repr() "
            "with its scale and its zero point"
        )
    return _sparse(plain)


def _array(plain: Any) -> Array:
    # What is conjugated or negated by a mark alone is no numpy's array: only such is copied.
    settled = plain.resolve_conj().resolve_neg()
    dtype = str(settled.dtype)
    bits = _SMALL_FLOATS.get(dtype)
    if bits is not None:
        small = _small_float(dtype.removeprefix("torch."))
        raw: Array = settled.view(getattr(sys.modules["torch"], bits)).numpy()
        return raw.view(small)
    try:
        array: Array = settled.numpy()
    except TypeError:
        raise Unfit(
            f"a tensor of {dtype} has no wire form; convert it to a dtype that numpy has, or "
            "send its view(torch.uint8)"
        ) from None
    return array


def _small_float(name: str) -> type[np.generic]:
    try:
        found: type[np.generic] = getattr(import_module("ml_dtypes"), name)
    except (ImportError, AttributeError):
        raise Unfit(
            f"a tensor of {name} needs a newer ml_dtypes here: "
            f"{sys.executable} -m pip install -U ml_dtypes"
        ) from None
    return found


def _sparse(plain: Any) -> object:
    layout = str(plain.layout)
    if layout != _COORDINATES and layout not in _COMPRESSED:
        raise Unfit(f"a tensor of layout {layout} has no wire form; send its to_dense()")
    if plain.dense_dim():
        raise Unfit(
            "a sparse tensor whose values are tensors has no wire form; send its indices(), "
            "its values() and its shape"
        )
    shape = tuple(plain.shape)
    if layout == _COORDINATES:
        # By these names also where places come twice, for what is not coalesced.
        return coordinates(_array(plain._values()), tuple(plain._indices().numpy()), shape)
    form, *names = _COMPRESSED[layout]
    indices, starts = (getattr(plain, name)().numpy() for name in names)
    return compressed(form, _array(plain.values()), indices, starts, shape)
