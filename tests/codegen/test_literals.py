"""Literals: which values are code, and that they evaluate to themselves."""

from __future__ import annotations

import ast
import enum
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.codegen.literals import (
    MAX_DEPTH,
    checked_literal,
    literal_key,
    literal_syntax,
)
from asyncbridge.errors import CodegenError

ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(),
    st.binary(),
    st.just(...),
)
KEYS = st.recursive(ATOMS, lambda inner: st.tuples(inner, inner), max_leaves=4)
LITERALS = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.sets(KEYS, max_size=4)
    ),
    max_leaves=12,
)
SIGNS = [0.0, -0.0, 1.5, -1.5, math.inf, -math.inf, math.nan]


class Colour(enum.IntEnum):
    """An int that is more than an int."""

    RED = 1


def evaluated(value: object) -> object:
    """Return what the source of a literal evaluates to where no name is known."""
    source = ast.unparse(literal_syntax(checked_literal(value)))
    return eval(source, {"__builtins__": {}})


@given(LITERALS)
def test_evaluates_to_the_same_value_and_type(value: object) -> None:
    """The source of any literal evaluates to the same value and types, with no name known."""
    assert literal_key(evaluated(value)) == literal_key(value)


@pytest.mark.parametrize("real", SIGNS)
@pytest.mark.parametrize("imaginary", SIGNS)
def test_complex_keeps_both_parts(real: float, imaginary: float) -> None:
    """Signed zeros, infinities and NaN survive in either part of a complex number."""
    result = evaluated(complex(real, imaginary))
    assert isinstance(result, complex)
    assert [repr(result.real), repr(result.imag)] == [repr(real), repr(imaginary)]


@given(LITERALS)
def test_syntax_is_what_the_parser_gives(value: object) -> None:
    """The syntax of a literal survives being written and parsed."""
    syntax = literal_syntax(checked_literal(value))
    parsed = ast.parse(ast.unparse(syntax), mode="eval").body
    assert ast.dump(parsed) == ast.dump(syntax)


@pytest.mark.parametrize(
    "value",
    [np.zeros(3), np.float64(1), object(), Colour.RED, frozenset(), bytearray(), range(3), len],
)
def test_other_values_belong_in_bindings(value: object) -> None:
    """A value that code cannot say whole is refused, with the way out."""
    with pytest.raises(CodegenError, match="pass it as a binding"):
        checked_literal(value)


def test_error_says_where() -> None:
    """The error names the place in the container."""
    with pytest.raises(CodegenError, match=r"the literal\['a'\]\[1\] is a numpy"):
        checked_literal({"a": [1, np.zeros(2)]})


def test_large_ints_belong_in_bindings() -> None:
    """An int with more digits than Python may be set to read is refused, one bit less is not."""
    assert evaluated(-(2**2126 - 1)) == -(2**2126 - 1)
    with pytest.raises(CodegenError, match="2127 bits"):
        checked_literal(2**2126)


def test_a_list_in_itself_is_refused() -> None:
    """A container that contains itself is refused, not recursed into."""
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(CodegenError, match=f"deeper than {MAX_DEPTH}"):
        checked_literal(loop)


def test_containers_are_copied() -> None:
    """What is done to the caller's list later does not reach the code."""
    mine = [1]
    checked = checked_literal(mine)
    mine.append(2)
    assert checked == [1]


def test_sets_are_written_in_one_order() -> None:
    """A set's source does not depend on the process's hashes."""
    assert ast.unparse(literal_syntax({"b", "a", "c"})) == "{'a', 'b', 'c'}"


def test_key_tells_equal_values_of_other_types_apart() -> None:
    """``1``, ``True`` and ``1.0`` have three keys, ``0.0`` and ``-0.0`` two, NaN one."""
    assert len({literal_key(value) for value in (1, True, 1.0)}) == 3
    assert literal_key(0.0) != literal_key(-0.0)
    assert literal_key(math.nan) == literal_key(float("nan"))
