"""Which binding it is that makes a command's bindings too large, and what to do about its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from asyncbridge.errors import TooLarge
from asyncbridge.serialization.codec import draft
from asyncbridge.serialization.paths import short
from asyncbridge.transport.sizes import LARGEST_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.protocol.messages import Payload
    from asyncbridge.serialization.drafts import Draft

__all__ = ["check_weight"]

_RAISE: Final = (
    f"or raise the limit by connect(largest_value=...) or {LARGEST_VARIABLE}, on both sides"
)
_BY_KIND: Final[Mapping[type, str]] = {
    np.ndarray: "send parts of it, map it from a file by asyncbridge.by_path()",
    **dict.fromkeys(
        (str, bytes, bytearray, memoryview), "send parts of it, have the worker read it from a file"
    ),
    **dict.fromkeys(
        (list, tuple, dict, set, frozenset), "send its numbers as numpy arrays, or parts of it"
    ),
}
_OTHERS: Final = "send parts of it"


def check_weight(
    value: Payload | Draft, bindings: Mapping[str, object], *, limit: int, one_hot: bool
) -> None:
    """Refuse bindings that are too large, by the name of the one that weighs most.

    Args:
        value: All of them in wire form.
        bindings: Themselves.
        limit: Bytes that they may have; 0 for any.
        one_hot: As they were written.

    Raises:
        TooLarge: They are.
    """
    if limit and value.size > limit:
        name, size = _heaviest(value, bindings, one_hot)
        advice = f"{_BY_KIND.get(type(bindings[name]), _OTHERS)}, {_RAISE}"
        raise _refusal(bindings, name, f"{size} bytes", value.size, limit, advice)


def _heaviest(
    value: Payload | Draft, bindings: Mapping[str, object], one_hot: bool
) -> tuple[str, int]:
    if len(bindings) == 1:
        return next(iter(bindings)), value.size
    # Each is written once more: the form of them together does not tell who has made what of it.
    sizes = {
        name: draft({name: binding}, path="bindings", one_hot=one_hot).size
        for name, binding in bindings.items()
    }
    name = max(sizes, key=lambda name: sizes[name])
    return name, sizes[name]


def _refusal(
    bindings: Mapping[str, object], name: str, size: str, total: int, limit: int, advice: str
) -> TooLarge:
    kind = type(bindings[name]).__name__
    others = f", {total} with the other bindings," if len(bindings) > 1 else ""
    return TooLarge(
        f"a value of type {kind} with {size}{others} where the limit is {limit}: {advice}",
        path=f"bindings[{short(name)}]",
    )
