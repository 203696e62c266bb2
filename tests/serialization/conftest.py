"""What the tests of values share: a comparison that sees types, signs, order and layout."""

from __future__ import annotations

import dataclasses
import struct
from datetime import datetime, time, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pandas as pd
import pytest
from scipy import sparse

from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode
from asyncbridge.serialization.dtypes import without_holes

if TYPE_CHECKING:
    from collections.abc import Callable


def fingerprint(value: Any) -> Any:
    """Return plain data that is equal for two values only when they are the same to the bit."""
    kind = type(value)
    if kind is np.ndarray:
        flags = (value.flags.c_contiguous, value.flags.f_contiguous)
        return kind, dtype_of(value), value.shape, flags, significant(value)
    if value is np.ma.masked:
        return kind
    if isinstance(value, np.generic):
        content = value.tolist() if kind in (np.str_, np.bytes_) else significant(np.asarray(value))
        return kind, dtype_of(value), content
    if kind is float:
        return kind, struct.pack("<d", value)
    if kind is complex:
        return kind, struct.pack("<dd", value.real, value.imag)
    if kind in (list, tuple):
        return kind, [fingerprint(item) for item in value]
    if kind is dict:
        return kind, [(fingerprint(key), fingerprint(item)) for key, item in value.items()]
    if kind in (set, frozenset):
        return kind, sorted((fingerprint(item) for item in value), key=repr)
    if kind in (slice, range):
        return kind, [fingerprint(part) for part in (value.start, value.stop, value.step)]
    if kind is np.ma.MaskedArray:
        parts = (value.data, value.mask, value._fill_value, value.hardmask)
        return kind, [fingerprint(part) for part in parts]
    if kind in (datetime, time):
        return kind, value.isoformat(), value.fold, fingerprint(value.tzinfo)
    if kind in (timezone, ZoneInfo, Decimal):
        return kind, repr(value)
    if kind is UUID:
        return kind, value.hex, value.is_safe
    if kind is memoryview:
        return kind, value.readonly, value.format, value.tobytes()
    if sparse.issparse(value):
        names = ("data", "indices", "indptr", "offsets", "coords")
        arrays = [getattr(value, name) for name in names if hasattr(value, name)]
        return kind, value.shape, fingerprint(arrays)
    if isinstance(value, pd.Index | pd.Series | pd.DataFrame):
        return kind, fingerprint(orjson.loads(orjson.dumps(encode(value).header))), repr(value)
    if dataclasses.is_dataclass(kind):
        return kind, fingerprint(vars(value))
    return kind, value


def dtype_of(value: Any) -> tuple[object, ...]:
    """Tell apart dtypes that numpy calls equal, such as long and long long."""
    dtype = value.dtype
    return dtype.type, dtype.str, dtype, dtype.itemsize, dtype.isalignedstruct


def significant(value: Any) -> bytes:
    """Return the bytes in memory's order, without the padding of extended floats."""
    if value.dtype.type in (np.longdouble, np.clongdouble):
        value = value.astype(value.dtype.newbyteorder("<"))
    fortran = value.flags.f_contiguous and not value.flags.c_contiguous
    return bytes(without_holes(value.T if fortran else value).tobytes())


def over_the_wire(value: object) -> object:
    """Encode a value, parse its header as a reader does, and decode it from read-only bytes."""
    payload = encode(value)
    header = orjson.dumps(payload.header)
    buffers = tuple(memoryview(bytes(buffer)) for buffer in payload.buffers)  # type: ignore[arg-type]  # encode makes no BulkRef
    assert payload.size == len(header) + sum(buffer.nbytes for buffer in buffers)
    return decode(Payload(header=orjson.loads(header), buffers=buffers))


@pytest.fixture(scope="session")
def wire() -> Callable[[object], object]:
    """Send a value to bytes and back."""
    return over_the_wire


@pytest.fixture(scope="session")
def exact() -> Callable[[object], None]:
    """Assert that a value comes back as it was, types and all."""

    def check(value: object) -> None:
        assert fingerprint(over_the_wire(value)) == fingerprint(value)

    return check


@pytest.fixture(scope="session")
def same() -> Callable[[object, object], bool]:
    """Compare two values to the bit."""
    return lambda one, other: bool(fingerprint(one) == fingerprint(other))
