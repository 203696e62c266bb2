"""Elements whose bytes may stand for nothing: bools other than 0 and 1, characters beyond Unicode.

Numpy trusts such bytes blindly, and they come about by a view, or from a file. Both sides look: who
sends, so that nothing wrong leaves, and who reads, since a peer may say anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.lib.stride_tricks import as_strided

from asyncbridge.serialization.deferred import DEFERRED_ABOVE, Outgoing, Undecided
from asyncbridge.serialization.layouts import lay_out
from asyncbridge.serialization.walk import Refused, malformed

if TYPE_CHECKING:
    from asyncbridge.serialization.dtypes import Array, DType
    from asyncbridge.serialization.walk import Sink

__all__ = [
    "CHECKED",
    "Unchecked",
    "are_few_bools",
    "check_content",
    "check_elements",
    "is_checked_later",
    "may_be_wrong",
]

CHECKED: Final = "bUV"
"""The kinds of dtypes of which some may be wrong."""
_MAX_CODE_POINT: Final = 0x10FFFF
_BOOLS: Final = "bytes 0 and 1 alone for its bools"
_CHARACTERS: Final = "code points of Unicode for its text"
_WHAT_TO_SEND: Final = "send the numbers that its bytes are, or make it anew of those"
_SHORT: Final = 1024
"""Bytes up to which those of bools are compared as a text: a call of numpy's takes longer."""


def may_be_wrong(dtype: DType) -> bool:
    """Tell whether bytes of a dtype may stand for nothing."""
    if dtype.subdtype is not None:
        return may_be_wrong(dtype.subdtype[0])
    if dtype.names is None:
        return dtype.kind in "bU"
    return any(may_be_wrong(cast("Any", dtype.fields)[name][0]) for name in dtype.names)


def are_few_bools(array: Array) -> bool:
    """Tell whether an array of bools is short and sound: most of those by number are."""
    return array.nbytes <= _SHORT and not array.tobytes().translate(None, b"\0\1")


def check_content(array: Array, tag: str) -> None:
    """Refuse what a peer has sent.

    Raises:
        DecodeError: An element stands for nothing; the text says where.
    """
    fault = _fault_of(array)
    if fault is not None:
        malformed(tag, fault)


def check_elements(value: Array | np.generic, depth: int) -> None:
    """Refuse what is about to be sent.

    Args:
        value: An array, or a scalar.
        depth: How many containers stand around it.

    Raises:
        Refused: An element stands for nothing; the text says where.
    """
    fault = _fault_of(np.asarray(value))
    if fault is not None:
        reason = (
            f"{type(value).__name__} of dtype {value.dtype} has to have {fault}; {_WHAT_TO_SEND}"
        )
        raise Refused(value, reason, depth)


def is_checked_later(value: Array, buffers: Sink) -> bool:
    """Tell whether an array is looked through in a thread: that takes longer than a loop may."""
    return buffers.drafts and value.nbytes > DEFERRED_ABOVE


class Unchecked(Undecided):
    """A large array that has still to be looked through; its form does not depend on it.

    Args:
        value: The array.
    """

    def __init__(self, value: Array) -> None:
        self.nbytes = value.nbytes
        self._value = value

    def decide(self) -> tuple[Outgoing, None]:
        """Look through the array.

        Raises:
            Refused: An element stands for nothing.
        """
        check_elements(self._value, 0)
        return lay_out(self._value, defers=True), None


def _fault_of(array: Array) -> str | None:
    """Return what was to be there, and where there is something else."""
    dtype = array.dtype
    if array.size == 0:
        return None
    if dtype.names is not None:
        faults = ((name, _fault_of(array[name])) for name in dtype.names)
        return next(
            (f"{fault}, in the field {name!r:.40}" for name, fault in faults if fault), None
        )
    if dtype.kind == "b":
        return _first_over(1, array.view(np.uint8), array.ndim, _BOOLS)
    if dtype.kind == "U":
        return _first_over(_MAX_CODE_POINT, _code_points(array), array.ndim, _CHARACTERS)
    return None


def _first_over(limit: int, raw: Array, dimensions: int, expected: str) -> str | None:
    if int(raw.max()) <= limit:
        return None
    place = np.unravel_index(int((raw > limit).argmax()), raw.shape)
    where = ", ".join(str(int(index)) for index in place[:dimensions])
    return f"{expected}, got {int(raw[place])} at [{where}]"


def _code_points(array: Array) -> Array:
    """View texts as their characters, along one dimension more."""
    size = array.dtype.itemsize
    apart = as_strided(array, (*array.shape, 1), (*array.strides, size))
    return apart.view(f"{array.dtype.str[0]}u4")
