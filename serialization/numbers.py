"""Long lists of nothing but floats, or of nothing but integers, as the bytes of an array."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from asyncbridge.serialization.deferred import DEFERRED_ABOVE, Deferred
from asyncbridge.serialization.slices import in_parts
from asyncbridge.serialization.walk import TAG, Form, Sink, Sources, malformed, take_buffer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["FORMS", "SHORTEST", "encode"]

SHORTEST: Final = 1024
"""Numbers from which a list travels so: it is quicker than JSON, and a reader need not parse it."""
_WIRE: Final[dict[type | None, str]] = {float: "<f8", int: "<i8"}
_SIZE: Final = 8
_AT_ONCE: Final = 2**15
"""Numbers that are converted at once, with the GIL held: less than a millisecond's work."""


def encode(value: list[Any], buffers: Sink) -> object:
    """Write a long list of numbers of one type; return None for any other."""
    kind = _kind_of(value)
    form = _WIRE.get(kind)
    if form is None:
        return None
    later = buffers.defers and len(value) * _SIZE > DEFERRED_ABOVE
    try:
        if later and kind is int:
            _check_fit(value, form)
        raw = None if later else _array_of(value, form)
    except OverflowError:  # an integer of more than 64 bits
        return None
    if raw is None:
        index = buffers.defer(_Later(value, form))
    else:
        buffers.append(raw.view(np.uint8).data)
        index = len(buffers) - 1
    return {TAG: "numbers", "t": form, "b": index}


def _check_fit(value: list[Any], form: str) -> None:
    """Convert a list for nothing: only that tells whether it can be, and takes no memory so."""
    for part in in_parts(value, _AT_ONCE):
        np.fromiter(part, form, len(part))


def _kind_of(value: list[Any]) -> type | None:
    """Return the one type of a list's items, None if there are several."""
    kind = type(value[0])
    for part in in_parts(value, _AT_ONCE):
        if {*map(type, part)} != {kind}:
            return None
    return kind


def _array_of(value: list[Any], form: str) -> np.ndarray[tuple[int], np.dtype[Any]]:
    made, start = np.empty(len(value), form), 0
    for part in in_parts(value, _AT_ONCE):
        made[start : start + len(part)] = np.fromiter(part, form, len(part))
        start += len(part)
    return made


class _Later(Deferred):
    """The bytes of a list of numbers."""

    def __init__(self, value: list[Any], form: str) -> None:
        self.nbytes = len(value) * _SIZE
        self._value = value
        self._form = form

    def pieces(self) -> Iterator[tuple[int, int, Callable[[memoryview], None]]]:
        """Yield short parts of the list, so that other threads have their turn."""
        start = 0
        for part in in_parts(self._value, _AT_ONCE):
            yield start * _SIZE, len(part) * _SIZE, partial(_put, part, self._form)
            start += len(part)


def _put(part: list[Any], form: str, target: memoryview) -> None:
    np.ndarray(len(part), form, target)[:] = np.fromiter(part, form, len(part))


def _decode(body: dict[str, object], sources: Sources, depth: int) -> list[Any]:
    if body["t"] not in _WIRE.values():
        malformed("numbers", "'<f8' or '<i8'")
    raw = memoryview(take_buffer(body["b"], sources))
    if raw.nbytes % _SIZE:
        malformed("numbers", f"a multiple of {_SIZE} bytes, got {raw.nbytes}")
    array: Any = np.frombuffer(raw, str(body["t"]))
    numbers: list[Any] = []
    for part in in_parts(array, _AT_ONCE):
        numbers += part.tolist()
    return numbers


FORMS: Final[dict[str, Form]] = {"numbers": (frozenset((TAG, "t", "b")), _decode)}
