"""What the tests of values share: a comparison that sees types, signs, order and layout."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest

from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable


def fingerprint(value: Any) -> Any:
    """Return plain data that is equal for two values only when they are the same to the bit."""
    kind = type(value)
    if kind is np.ndarray:
        flags = (value.flags.c_contiguous, value.flags.f_contiguous)
        return kind, dtype_of(value), value.shape, flags, significant(value)
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
    if kind is memoryview:
        return kind, value.readonly, value.format, value.tobytes()
    return kind, value


def dtype_of(value: Any) -> tuple[object, str]:
    """Tell apart dtypes that numpy calls equal, such as long and long long."""
    return value.dtype.type, value.dtype.str


def significant(value: Any) -> bytes:
    """Return the bytes in memory's order, without the padding of extended floats."""
    if value.dtype.type not in (np.longdouble, np.clongdouble):
        return bytes(value.tobytes("A"))
    raw = value.astype(value.dtype.newbyteorder("<")).tobytes("A")
    return b"".join(raw[start : start + 10] for start in range(0, len(raw), 16))


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
