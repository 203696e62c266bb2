"""Operators on what is in the worker: code there, refusals here."""

from __future__ import annotations

import asyncio
import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge.promise import Promise
from asyncbridge.references import Binding

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.references.conftest import Home

pytestmark = pytest.mark.asyncio

BINARY: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("+", operator.add), ("-", operator.sub), ("*", operator.mul), ("/", operator.truediv),
    ("//", operator.floordiv), ("%", operator.mod), ("**", operator.pow), ("&", operator.and_),
    ("|", operator.or_), ("^", operator.xor), ("<<", operator.lshift), (">>", operator.rshift),
]  # fmt: skip
COMPARISONS: list[tuple[str, Callable[[Any, Any], Any], str]] = [
    ("<", operator.lt, ">"), ("<=", operator.le, ">="), (">", operator.gt, "<"),
    (">=", operator.ge, "<="), ("==", operator.eq, "=="), ("!=", operator.ne, "!="),
]  # fmt: skip
UNARY: list[tuple[str, Callable[[Any], Any]]] = [
    ("-", operator.neg), ("+", operator.pos), ("~", operator.invert),
]  # fmt: skip


@pytest.mark.parametrize(("symbol", "apply"), BINARY, ids=[row[0] for row in BINARY])
async def test_two_operands(home: Home, symbol: str, apply: Callable[[Any, Any], Any]) -> None:
    """The object may stand on either side, or on both; Python computes it over there."""
    six, two = home.reference(6), home.reference(2)
    built = [apply(six, 2), apply(6, two), apply(six, two)]
    assert home.sent == []
    assert [await each for each in built] == [apply(6, 2)] * 3
    assert home.codes == [f"ref {symbol} 2", f"6 {symbol} ref", f"ref {symbol} ref2"]
    assert [each.name for each in home.sent] == [
        f"(int {symbol} 2)", f"(6 {symbol} int)", f"(int {symbol} int)"
    ]  # fmt: skip


async def test_the_product_of_matrices(home: Home) -> None:
    """It has no reflected form with a plain number, so it is here with arrays."""
    matrix: Any = np.array([[1, 2], [3, 4]])
    reference = home.reference(matrix)
    for built in (reference @ matrix, matrix @ reference):
        assert (await built).tolist() == (matrix @ matrix).tolist()
    assert home.codes == ["ref @ value", "value @ ref"]


@pytest.mark.parametrize(
    ("symbol", "apply", "mirrored"), COMPARISONS, ids=[row[0] for row in COMPARISONS]
)
async def test_comparisons(
    home: Home, symbol: str, apply: Callable[[Any, Any], Any], mirrored: str
) -> None:
    """They are code as well; Python asks the right operand for the mirrored one."""
    six = home.reference(6)
    assert [await apply(six, 2), await apply(2, six)] == [apply(6, 2), apply(2, 6)]
    assert home.codes == [f"ref {symbol} 2", f"ref {mirrored} 2"]


@pytest.mark.parametrize(("symbol", "apply"), UNARY, ids=[row[0] for row in UNARY])
async def test_one_operand(home: Home, symbol: str, apply: Callable[[Any], Any]) -> None:
    """Signs are code."""
    assert await apply(home.reference(6)) == apply(6)
    assert (home.codes, home.sent[0].name) == ([f"{symbol}ref"], f"({symbol}int)")


async def test_numpy_leaves_it_to_the_object(home: Home) -> None:
    """An array on the left is an operand like any other: one command, not one an element."""
    array: Any = np.arange(3)
    reference = home.reference(2)
    assert (await (array * reference)).tolist() == [0, 2, 4]
    assert len(home.sent) == 1
    with pytest.raises(TypeError, match="is no array here: it is in the worker"):
        np.asarray(reference)


async def test_operations_in_one_another(home: Home) -> None:
    """They are one command, however deep, with each object once among its bindings."""
    x = home.reference(3)
    built = (x + 1) * (x - 1) == x**2 - 1
    assert await built is True
    assert home.codes == ["(ref + 1) * (ref - 1) == ref ** 2 - 1"]
    assert len(home.sent[0].bindings) == 1


@pytest.mark.parametrize(
    ("use", "advice"),
    [
        (bool, r"is neither true nor false here: .* `if await ref\.value\(\):`"),
        (len, r'has no length here: .* `await bridge\.send\("len\(x\)", \{"x": ref\}\)`'),
        (iter, r"cannot be iterated by `for`.* `async for item in ref:`"),
        (list, "cannot be iterated by `for`"),
        (lambda x: 1 in x, r'cannot be searched here: .* `await bridge\.send\("item in x"'),
        (int, "is no number here"),
        (float, "is no number here"),
        (complex, "is no number here"),
        (lambda x: [1, 2][x], "is no number here"),
        (lambda x: 1 < x < 3, "is neither true nor false here"),
    ],
)
async def test_what_has_to_be_known_here(
    home: Home, use: Callable[[Any], object], advice: str
) -> None:
    """It is refused, with what to write instead, and nothing is sent."""
    with pytest.raises(TypeError, match=advice):
        use(home.reference(1))
    assert home.sent == []


async def test_it_may_stand_in_sets_and_be_a_key(home: Home) -> None:
    """By its identity: a comparison would have to be awaited."""
    one, other = home.reference(1), home.reference(1)
    assert len({one, other, one}) == 2
    assert hash(one) == object.__hash__(one)


async def test_awaiting_what_is_there_already(home: Home) -> None:
    """It is refused with what to write; asyncio's own functions say so, too."""
    reference: Any = home.reference(1)
    things: list[Any] = [reference, home.module("math"), Binding("x", "eternal", home)]
    for thing in things:
        with pytest.raises(TypeError, match=r"Write `await ref\.value\(\)`"):
            await thing
    with pytest.raises(TypeError, match=r"Write `await ref\.value\(\)`"):
        await asyncio.gather(reference)
    assert home.sent == []


async def test_a_handler_that_returns_it(home: Home) -> None:
    """That is the value, and nothing that is to be awaited."""
    reference = home.reference(1)
    assert await Promise.resolve(0).then(lambda _: reference) is reference


async def test_built_in_functions(home: Home) -> None:
    """They are code like the operators, and those of the worker, whatever its names stand for."""
    number: Any = home.reference(-7.25)
    home.namespace.bind("abs", None)
    built: list[Any] = [
        abs(number),
        round(number),
        round(number, 1),
        divmod(number, 2),
        divmod(2, number),
    ]
    assert home.sent == []
    assert [await each for each in built] == [7.25, -7, -7.2, (-4.0, 0.75), (-1.0, -5.25)]
    assert [each.name for each in home.sent] == [
        "abs(float)", "round(float)", "round(float, 1)", "divmod(float, 2)", "divmod(2, float)"
    ]  # fmt: skip


async def test_formatting(home: Home) -> None:
    """Without a format it is the repr; with one, its value would have to be here."""
    reference = home.reference(1.5)
    assert f"{reference}" == repr(reference)
    with pytest.raises(TypeError, match=r"Write `f'\{await ref\.value\(\):\.2f\}'`"):
        f"{reference:.2f}"
