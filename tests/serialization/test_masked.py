from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable


def hardened() -> Any:
    """Return an array whose mask no assignment lifts."""
    return np.ma.array([1.5, 2.5], mask=[False, True], hard_mask=True)


def filled() -> Any:
    """Return an array with a filling of its own."""
    return np.ma.array(
        [[1, 2], [3, 4]], mask=[[False, True], [False, False]], fill_value=-7, dtype=">i4"
    )


def structured() -> Any:
    """Return an array whose fields are masked one by one."""
    mask = np.array([(True, False)], "?,?")
    array: Any = np.ma.MaskedArray(np.array([(1, 2.0)], "i4,f8"), mask=mask)
    array.fill_value = (7, 8.0)
    return array


MASKED: list[Any] = [
    np.ma.array([1, 2, 3], mask=[False, True, False]),
    np.ma.array([1, 2, 3]),
    np.ma.array([1, 2, 3], mask=False),
    np.ma.array(5, mask=True),
    np.ma.array(np.zeros((0, 2)), mask=np.zeros((0, 2), bool)),
    np.ma.array(np.zeros((3, 4), order="F"), mask=np.eye(3, 4, dtype=bool)),
    structured(),
    np.ma.array(["a", "b"], mask=[True, False], fill_value="-"),
    hardened(),
    filled(),
]


@pytest.mark.parametrize("value", MASKED, ids=repr)
def test_masked_arrays_come_back_exact(value: Any, exact: Callable[..., None]) -> None:
    """Data under the mask, the mask or its absence, the filling and the hardness are kept."""
    exact(value)


def test_the_default_filling_stays_a_default(wire: Callable[[object], Any]) -> None:
    """A filling that nobody chose is not fixed by the way."""
    assert wire(np.ma.array([1, 2]))._fill_value is None
    assert wire(filled()).fill_value == -7


def test_the_masked_constant_is_itself(wire: Callable[[object], object]) -> None:
    """What a masked place gives is the one object for it."""
    assert wire([np.ma.masked]) == [np.ma.masked]
    assert wire(np.ma.masked) is np.ma.masked


def test_what_stands_below_is_named() -> None:
    """An array without a wire form is refused with the way to it."""
    value = np.ma.array([None, 1], mask=[True, False])
    with pytest.raises(SerializationError, match=r"^x\[0\]<masked>\[0\]: array of dtype object"):
        encode([value], path="x")
    with pytest.raises(SerializationError, match="masked array over another kind"):
        encode(np.ma.array(np.zeros((2, 2)).view(np.recarray)))


def part(values: object) -> tuple[dict[str, Any], bytes]:
    """Return the wire form of a small array."""
    array = np.asarray(values)
    tree = {"$": "array", "t": array.dtype.str, "s": list(array.shape), "o": "C"}
    return tree, array.tobytes()


@pytest.mark.parametrize(
    ("data", "mask", "fill", "hard"),
    [
        ([1, 2], [True], None, False),
        ([1, 2], [1, 0], None, False),
        ([1, 2], [True, False], [5], False),
        ([1, 2], [True, False], 5.0, False),
        ([1, 2], [True, False], 5, 0),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    data: object, mask: object, fill: object, hard: object
) -> None:
    """A mask or a filling of another shape or kind is a lie of the peer's."""
    trees: list[object] = []
    buffers: list[bytes] = []
    for values in (data, mask, fill):
        if values is None:
            trees.append(None)
            continue
        tree, raw = part(values)
        trees.append({**tree, "b": len(buffers)})
        buffers.append(raw)
    header = {"$": "masked", "v": [*trees, hard]}
    with pytest.raises(DecodeError, match="^value: malformed 'masked'"):
        decode(Payload(header=header, buffers=tuple(buffers)))


@pytest.mark.parametrize("parts", [None, [], [1, None, None, False], {"a": 1}])
def test_other_parts_are_refused(parts: object) -> None:
    """Anything but four parts, an array first, is no masked array."""
    with pytest.raises(DecodeError, match="malformed 'masked'"):
        decode(Payload(header={"$": "masked", "v": parts}))
    if parts is not None:
        with pytest.raises(DecodeError, match=r"malformed 'np\.masked'"):
            decode(Payload(header={"$": "np.masked", "v": parts}))
