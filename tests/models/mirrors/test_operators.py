from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge import models as keras
from asyncbridge.models.mirrors.tensor import KerasTensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.models.conftest import RecordingBridge

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "@": operator.matmul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}
COMPARISONS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "<": (operator.lt, ">"),
    "<=": (operator.le, ">="),
    ">": (operator.gt, "<"),
    ">=": (operator.ge, "<="),
    "!=": (operator.ne, "!="),
}

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("symbol", BINARY)
async def test_a_binary_operator_is_a_node(bridge: RecordingBridge, symbol: str) -> None:
    """From either side, with a tensor or with a number."""
    tensor = keras.Input((4,))
    apply = BINARY[symbol]
    made = [apply(tensor, tensor), apply(tensor, 2), apply(2, tensor)]
    assert all(type(one) is KerasTensor for one in made)
    assert bridge.said(1) == [
        f"kerastensor_2 = kerastensor_1 {symbol} kerastensor_1",
        f"kerastensor_3 = kerastensor_1 {symbol} 2",
        f"kerastensor_4 = 2 {symbol} kerastensor_1",
    ]


@pytest.mark.parametrize("symbol", COMPARISONS)
async def test_a_comparison_is_a_node(bridge: RecordingBridge, symbol: str) -> None:
    """From the right it is Python's mirrored one, which means the same."""
    tensor = keras.Input((4,))
    compare, turned = COMPARISONS[symbol]
    assert type(compare(tensor, 2)) is KerasTensor
    assert type(compare(2, tensor)) is KerasTensor
    assert bridge.said(1) == [
        f"kerastensor_2 = kerastensor_1 {symbol} 2",
        f"kerastensor_3 = kerastensor_1 {turned} 2",
    ]


async def test_a_unary_operator_is_a_node(bridge: RecordingBridge) -> None:
    """Signs, inversion, and Python's functions of one number."""
    tensor = keras.Input((4,))
    for apply in (operator.neg, operator.invert, abs, round):
        assert type(apply(tensor)) is KerasTensor
    round(tensor, 2)
    assert bridge.said(1) == [
        "kerastensor_2 = -kerastensor_1",
        "kerastensor_3 = ~kerastensor_1",
        "kerastensor_4 = abs(kerastensor_1)",
        "kerastensor_5 = round(kerastensor_1)",
        "kerastensor_6 = round(kerastensor_1, 2)",
    ]


async def test_equality_is_identity(bridge: RecordingBridge) -> None:
    """As in Keras; elements are compared by ``keras.ops.equal``."""
    first, second = keras.Input((4,)), keras.Input((4,))
    assert first == first  # noqa: PLR0124 - what is tested
    assert (first == second) is False
    assert {first: 1}[first] == 1
    assert len(bridge.sent) == 2


async def test_an_array_leaves_the_operator_to_the_tensor(bridge: RecordingBridge) -> None:
    """It travels as a binding; numpy does not look into the tensor."""
    tensor = keras.Input((4,))
    array = np.ones(4)
    made: Any = array + tensor
    assert type(made) is KerasTensor
    assert bridge.said(1) == ["kerastensor_2 = operand_1 + kerastensor_1"]
    (bound,) = bridge.sent[-1].bindings.values()
    assert np.array_equal(np.asarray(bound), array)
    array[0] = 9
    assert np.asarray(bound)[0] == 1


async def test_a_chain_of_operators(bridge: RecordingBridge) -> None:
    """Each is a node of its own, in Python's order."""
    tensor = keras.Input((4,))
    made = -tensor * 2 + 1
    assert bridge.said(1) == [
        "kerastensor_2 = -kerastensor_1",
        "kerastensor_3 = kerastensor_2 * 2",
        "kerastensor_4 = kerastensor_3 + 1",
    ]
    assert repr(made) == "<KerasTensor <KerasTensor> + 1>"


async def test_an_operand_without_wire_form_is_refused(bridge: RecordingBridge) -> None:
    """The error names the operator, and nothing is sent."""
    tensor = keras.Input((4,))
    with pytest.raises(TypeError, match=r"^operand of \+.*object has no wire form"):
        _ = tensor + object()
    assert len(bridge.sent) == 1
