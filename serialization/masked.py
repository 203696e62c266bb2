"""Numpy's masked arrays, as their data, their mask and what fills it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.ma.core import MaskedConstant

from asyncbridge.serialization.registry import Entry, Unfit, own
from asyncbridge.serialization.walk import malformed

_Masked = np.ma.MaskedArray[Any, Any]


def _take_apart(value: _Masked) -> object:
    data, mask = value.data, value.mask
    if type(data) is not np.ndarray:
        raise Unfit("a masked array over another kind than numpy.ndarray has no wire form")
    # The attribute behind `fill_value`: None until somebody asks for the default.
    fill: Any = getattr(value, "_fill_value", None)
    hard = bool(value.hardmask)
    return [data, None if mask is np.ma.nomask else mask, fill, hard]


def _put_together(parts: Any) -> _Masked:
    if type(parts) is not list or len(parts) != 4:
        malformed("masked", "data, a mask, a filling and whether the mask is hard")
    data, mask, fill, hard = parts
    if type(data) is not np.ndarray or type(hard) is not bool:
        malformed("masked", "an array for its data, and whether its mask is hard")
    if mask is not None:
        _check(mask, data.shape, np.ma.make_mask_descr(data.dtype), "mask")
    result: _Masked = np.ma.MaskedArray(data, mask=np.ma.nomask if mask is None else mask)
    if fill is not None:
        _check(fill, (), data.dtype, "filling")
        result.fill_value = fill[()]
    if hard:
        result.harden_mask()
    return result


def _check(part: Any, shape: tuple[int, ...], dtype: np.dtype[Any], what: str) -> None:
    if type(part) is not np.ndarray or part.shape != shape or part.dtype != dtype:
        malformed("masked", f"a {what} of the data's shape and kind")


def _put_constant(parts: object) -> object:
    if parts is not None:
        malformed("np.masked", "null")
    return np.ma.masked


ENTRIES: Final[tuple[Entry, ...]] = (
    own(np.ma.MaskedArray, "masked", _take_apart, _put_together),
    own(MaskedConstant, "np.masked", lambda value: None, _put_constant),
)
