"""Dtypes on the wire: by their name in a fixed table, or field by field.

A peer's text never reaches ``numpy.dtype`` before the table, or its grammar, has it.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import numpy as np

from asyncbridge.errors import DecodeError
from asyncbridge.serialization.values import is_plain_text
from asyncbridge.serialization.walk import malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = np.ndarray[Any, Any]
DType = np.dtype[Any]
Order = Literal["<", ">"]

MAX_DIMENSIONS: Final = 64
_IS_LITTLE: Final = sys.byteorder == "little"
_MAX_ITEM: Final = 2**31 - 1
_MAX_NESTING: Final = 32
"""Structured dtypes inside one another."""
_EXTENDED_BYTES: Final = 10
"""Significant bytes of an x87 extended float; the other six of its sixteen are padding."""

# By scalar type, not by dtype.char or dtype equality: long and long long are equal dtypes of
# different scalar types, and third-party dtypes reuse the characters.
CODES: dict[type[np.generic], str] = {
    np.bool_: "b1",
    np.int8: "i1",
    np.int16: "i2",
    np.int32: "i4",
    np.int64: "i8",
    np.uint8: "u1",
    np.uint16: "u2",
    np.uint32: "u4",
    np.uint64: "u8",
    np.float16: "f2",
    np.float32: "f4",
    np.float64: "f8",
    np.complex64: "c8",
    np.complex128: "c16",
}
# Where they are types of their own; elsewhere they are int64 and uint64 themselves.
CODES.setdefault(np.longlong, "q8")
CODES.setdefault(np.ulonglong, "Q8")
EXTENDED: Final = frozenset[type]((np.longdouble, np.clongdouble))
if np.finfo(np.longdouble).nmant == 63 and np.dtype(np.longdouble).itemsize == 16:
    # Its bytes mean the same only where long double is the x87 format: elsewhere unknown.
    CODES.update({np.longdouble: "x16", np.clongdouble: "x32"})

MACHINE_LEARNING: Final = (
    "bfloat16",
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3b11fnuz",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
)
"""The dtypes of the package ml_dtypes that have a wire form; their bytes are little-endian."""

_UNITS: Final = "Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as"
_MOMENT: Final = re.compile(rf"([<>])([Mm]8)(?:\[([1-9][0-9]*)?({_UNITS})\])?", re.ASCII)
_TEXT: Final = re.compile(r"(?:\|([SV])|([<>]U))([1-9][0-9]*)", re.ASCII)
_TEXT_WIDTHS: Final = {"S": 1, "V": 1, "U": 4}
_STRUCTURE: Final = frozenset(("n", "l", "f", "o", "z", "a"))
_SUBARRAY: Final = frozenset(("t", "s"))


def _fixed_dtypes() -> Iterator[tuple[str, DType]]:
    for kind, code in CODES.items():
        dtype = np.dtype(kind)
        if dtype.itemsize == 1:
            yield f"|{code}", dtype
        else:
            native: Order = "<" if _IS_LITTLE else ">"
            swapped: Order = ">" if _IS_LITTLE else "<"
            # The native one itself: marked as little-endian, it would read as another dtype.
            yield native + code, dtype
            yield swapped + code, dtype.newbyteorder(swapped)


_DTYPES: Final = dict(_fixed_dtypes())

# --- to the wire -------------------------------------------------------------------------


def describe(dtype: DType) -> object:
    """Return a dtype's form on the wire, None when it has none: a name, or its fields.

    A dtype's metadata is no part of it, as it is none of numpy's equality.
    """
    code = CODES.get(dtype.type)
    if code is not None:
        return dtype.str[0] + code
    if dtype.itemsize == 0:
        return None
    if dtype.type is np.void:
        return dtype.str if dtype.names is None else _describe_fields(dtype)
    if dtype.kind in "MmSU":
        return dtype.str
    return _machine_learning_name(dtype)


def _machine_learning_name(dtype: DType) -> str | None:
    module = sys.modules.get("ml_dtypes")
    name = dtype.type.__name__
    known = module is not None and name in MACHINE_LEARNING and _IS_LITTLE
    return name if known and getattr(module, name, None) is dtype.type else None


def _describe_fields(dtype: DType) -> object:
    names = dtype.names or ()
    # The format and the offset of each field, and its title if it has one.
    entries = [cast("Any", dtype.fields)[name] for name in names]
    titles = [entry[2] if len(entry) > 2 else None for entry in entries]
    texts = [*names, *(title for title in titles if title is not None)]
    if not names or not all(type(text) is str and is_plain_text(text) for text in texts):
        return None
    formats = [_describe_field(entry[0]) for entry in entries]
    if None in formats:
        return None
    return {
        "n": list(names),
        "l": titles,
        "f": formats,
        "o": [entry[1] for entry in entries],
        "z": dtype.itemsize,
        "a": dtype.isalignedstruct,
    }


def _describe_field(dtype: DType) -> object:
    if dtype.subdtype is None:
        return describe(dtype)
    base, shape = dtype.subdtype
    form = describe(base)
    return None if form is None else {"t": form, "s": list(shape)}


def converted(array: Array, dtype: DType) -> Array:
    """Return an array in another byte order, or itself.

    Dates as the integers that they are: numpy leaves the bytes of those without a unit in their order.
    """
    if array.dtype == dtype:
        return array
    if array.dtype.kind not in "mM":
        return array.astype(dtype, copy=False)
    before, after = (np.dtype(f"{each.str[0]}i8") for each in (array.dtype, dtype))
    return array.view(before).astype(after).view(dtype)


def wire_dtype(dtype: DType) -> DType:
    """Return the dtype whose bytes stand on the wire: little-endian, but for fields."""
    if dtype.type is np.void or (dtype.isnative and _IS_LITTLE):
        return dtype
    return dtype.newbyteorder("=" if _IS_LITTLE else "<")


# --- from the wire -----------------------------------------------------------------------


def read_dtype(form: object, tag: str, depth: int = 0) -> DType:
    """Return the dtype that a form on the wire stands for.

    Raises:
        DecodeError: It stands for none here.
    """
    if type(form) is str:
        return named_dtype(form)
    if type(form) is not dict or form.keys() != _STRUCTURE or depth >= _MAX_NESTING:
        malformed(tag, "a dtype's name, or its fields")
    return _read_fields(form, tag, depth + 1)


def _read_fields(form: dict[str, Any], tag: str, depth: int) -> DType:
    columns = names, titles, formats, offsets = form["n"], form["l"], form["f"], form["o"]
    size, aligned = form["z"], form["a"]
    if {*map(type, columns)} != {list} or not names or len({*map(len, columns)}) != 1:
        malformed(tag, "as many names, titles, formats and offsets of fields")
    if type(size) is not int or not 0 < size <= _MAX_ITEM or type(aligned) is not bool:
        malformed(tag, "a size of the fields together, and whether they are aligned")
    fields = [_read_field(part, tag, depth) for part in formats]
    for name, title, offset, field in zip(names, titles, offsets, fields, strict=True):
        if type(name) is not str or type(title) not in (str, type(None)):
            malformed(tag, "text for a field's name, and for its title or null")
        if type(offset) is not int:
            malformed(tag, "integers for offsets")
        if not 0 <= offset <= size - field.itemsize:
            malformed(tag, f"fields inside {size} bytes")
    spec: Any = {
        "names": names,
        "titles": titles,
        "formats": fields,
        "offsets": offsets,
        "itemsize": size,
    }
    try:
        dtype: DType = np.dtype(spec, align=aligned)
    except (TypeError, ValueError):
        malformed(tag, "fields that numpy can lay out so")
    if dtype.names != tuple(names) or dtype.itemsize != size or dtype.isalignedstruct != aligned:
        malformed(tag, "fields that numpy lays out so")
    return dtype


def _read_field(form: object, tag: str, depth: int) -> DType:
    if type(form) is not dict or form.keys() != _SUBARRAY:
        return read_dtype(form, tag, depth)
    base = read_dtype(form["t"], tag, depth)
    shape = read_shape(form["s"], tag)
    size = base.itemsize
    for side in shape:
        size *= side
        if not 0 < size <= _MAX_ITEM:
            malformed(tag, "a field of at least one byte, and of less than 2 GiB")
    field: DType = np.dtype((base, tuple(shape)))
    return field


def read_shape(shape: object, tag: str) -> list[int]:
    """Return an array's shape.

    Raises:
        DecodeError: It is none.
    """
    if type(shape) is not list or len(shape) > MAX_DIMENSIONS:
        malformed(tag, f"a shape of at most {MAX_DIMENSIONS} dimensions")
    for side in shape:
        if type(side) is not int or side < 0:
            malformed(tag, "a shape of integers from 0 up")
    return shape


@lru_cache(maxsize=256)
def named_dtype(name: str) -> DType:
    """Return the dtype of a name on the wire.

    Raises:
        DecodeError: No dtype has this name here.
    """
    dtype = _DTYPES.get(name)
    if dtype is None:
        dtype = _moment_dtype(name) or _text_dtype(name)
    if dtype is None and name in MACHINE_LEARNING:
        dtype = _machine_learning_dtype(name)
    if dtype is None:
        raise DecodeError(f"unknown dtype {name!r:.40}")
    return dtype


def _machine_learning_dtype(name: str) -> DType:
    try:
        kind = getattr(import_module("ml_dtypes"), name, None)
    except ImportError:
        kind = None
    if kind is None or not _IS_LITTLE:
        raise DecodeError(
            f"the dtype {name} needs a newer ml_dtypes here: pip install -U ml_dtypes"
        )
    dtype: DType = np.dtype(kind)
    return dtype


def _moment_dtype(name: str) -> DType | None:
    match = _MOMENT.fullmatch(name)
    if match is None:
        return None
    order, kind, count, unit = match.groups()
    if count is not None and (len(count) > 10 or int(count) > _MAX_ITEM):
        return None
    return np.dtype(f"{order}{kind}" + (f"[{count or ''}{unit}]" if unit else ""))


def _text_dtype(name: str) -> DType | None:
    match = _TEXT.fullmatch(name)
    if match is None:
        return None
    kind, digits = match[1] or match[2], match[3]
    if len(digits) > 10 or int(digits) * _TEXT_WIDTHS[kind[-1]] > _MAX_ITEM:
        return None
    return np.dtype(f"{kind}{digits}")


# --- the bytes of elements ---------------------------------------------------------------


def has_holes(dtype: DType) -> bool:
    """Tell whether items have bytes that belong to no field, or to no number."""
    if dtype.subdtype is not None:
        return has_holes(dtype.subdtype[0])
    if dtype.names is None:
        return dtype.type in EXTENDED
    fields = [cast("Any", dtype.fields)[name] for name in dtype.names]
    covered = 0
    for field, offset in sorted(((f[0], f[1]) for f in fields), key=lambda pair: pair[1]):
        if offset > covered or has_holes(field):
            return True
        covered = max(covered, offset + field.itemsize)
    return covered < dtype.itemsize


def without_holes(array: Array) -> Array:
    """Copy an array in C order, with zeros for the bytes that hold nothing of its values.

    They may hold anything else of the sender's memory.
    """
    clean: Array = np.zeros(array.shape, array.dtype)
    fill(clean, array)
    return clean


def fill(clean: Array, array: Array) -> None:
    """Copy an array's values, and not what else is in its bytes, into one full of zeros."""
    dtype = array.dtype
    if dtype.names is not None:
        for name in dtype.names:
            fill(clean[name], array[name])
    elif dtype.type in EXTENDED:
        _fill_extended(clean, array)
    else:
        clean[...] = array


def _fill_extended(clean: Array, array: Array) -> None:
    """Copy x87 floats byte by byte: a copy of whole numbers takes their padding along."""
    parts = (*array.shape, array.dtype.itemsize // 16, 16)
    raw = np.ascontiguousarray(array).view(np.uint8).reshape(parts)
    kept = slice(6, None) if array.dtype.str[0] == ">" else slice(_EXTENDED_BYTES)
    whole = np.zeros(parts, np.uint8)
    whole[..., kept] = raw[..., kept]
    clean[...] = whole.reshape(-1).view(array.dtype).reshape(array.shape)
