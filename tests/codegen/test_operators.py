"""Operators: each builds the code it looks like, and none computes."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from asyncbridge.codegen import Name, render
from asyncbridge.errors import CodegenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.codegen import Expression

A, B = Name("a"), Name("b")
BINARY = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "//": operator.floordiv, "%": operator.mod, "**": operator.pow, "@": operator.matmul,
    "&": operator.and_, "|": operator.or_, "^": operator.xor, "<<": operator.lshift,
    ">>": operator.rshift,
}  # fmt: skip
COMPARED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@pytest.mark.parametrize("sign", BINARY)
def test_binary(sign: str) -> None:
    """A binary operator builds itself, whichever side the node stands on."""
    space = "" if sign == "**" else " "
    assert render(BINARY[sign](A, 2)) == f"a{space or ' '}{sign}{space or ' '}2"
    assert render(BINARY[sign](2, A)) == f"2{space or ' '}{sign}{space or ' '}a"


@pytest.mark.parametrize("sign", COMPARED)
def test_comparison(sign: str) -> None:
    """An ordering builds itself."""
    assert render(COMPARED[sign](A, B)) == f"a {sign} b"


@pytest.mark.parametrize(
    ("node", "code"),
    [
        (-A, "-a"),
        (+A, "+a"),
        (~A, "~a"),
        (A.not_(), "not a"),
        (A.eq(B), "a == b"),
        (A.ne(B), "a != b"),
        (A.is_(None), "a is None"),
        (A.is_not(None), "a is not None"),
        (A.in_([1]), "a in [1]"),
        (A.not_in(B), "a not in b"),
        (A.and_(B).or_(True), "a and b or True"),
        ((A + B) * 2, "(a + b) * 2"),
        ((-A) ** 2, "(-a) ** 2"),
    ],
)
def test_methods_and_precedence(node: Expression, code: str) -> None:
    """What Python lets nobody overload is a method; parentheses come where they are needed."""
    assert render(node) == code


@pytest.mark.parametrize("use", [bool, list, lambda node: 1 in node, lambda node: 1 < node < 3])
def test_what_would_lose_code_raises(use: Callable[[object], object]) -> None:
    """Truth, iteration, membership and chained comparisons raise with the way out."""
    with pytest.raises(TypeError, match="build with"):
        use(A)


def test_arrays_do_not_spread_over_nodes() -> None:
    """NumPy builds no array of nodes: an array beside a node is refused, on either side."""
    for left, right in ((np.ones(2), A), (A, np.ones(2)), (np.float32(1), A)):
        with pytest.raises(CodegenError, match="as a binding"):
            operator.add(left, right)


def test_equality_compares_nodes() -> None:
    """``==`` and ``hash`` treat nodes as data."""
    assert Name("a") + 1 == A + 1
    assert A + 1 != A + True
    assert len({A + 1, Name("a") + 1, A - 1}) == 2
