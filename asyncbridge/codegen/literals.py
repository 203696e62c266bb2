"""Literals: the values that may stand in code, and the syntax that evaluates to each of them.

Everything else that a user passes is a value, not code: it travels as a binding.
"""

from __future__ import annotations

import ast
import math
from types import EllipsisType, NoneType
from typing import Final

from asyncbridge.errors import CodegenError

MAX_DEPTH: Final = 100
"""Levels of syntax that a tree may have: Python reads 99 indents, and ``ast.unparse``, which
recurses, takes up to five frames a level out of a thousand (both measured on Python 3.11)."""

_MAX_INT_BITS = 2126
"""Every int of so many bits has at most 640 digits, which no setting of Python refuses to read."""
_ATOMS = frozenset({NoneType, bool, int, float, complex, str, bytes, EllipsisType})


def checked_literal(value: object, path: str = "the literal", depth: int = 0) -> object:
    """Return the value, its containers copied, if code can say it.

    Args:
        value: What should stand in code.
        path: Where it stands, for the error.
        depth: How many containers are around it.

    Raises:
        CodegenError: It is of another type, nested too deep, or too large an int.
    """
    kind = type(value)
    if depth > MAX_DEPTH:
        raise CodegenError(f"{path} is nested deeper than {MAX_DEPTH} levels, or contains itself")
    if kind in _ATOMS:
        _check_size(value, path)
        return value
    # By exact type: a subclass (a NumPy scalar, an enum member, a named tuple) would lose what
    # it is more than its base.
    if isinstance(value, dict) and kind is dict:
        return {
            checked_literal(key, f"{path}'s key {key!r}", depth + 1): checked_literal(
                item, f"{path}[{key!r}]", depth + 1
            )
            for key, item in value.items()
        }
    if isinstance(value, tuple | list | set) and kind in {tuple, list, set}:
        places = ((f"{path}[{index}]", item) for index, item in enumerate(value))
        return kind(checked_literal(item, place, depth + 1) for place, item in places)
    raise CodegenError(
        f"{path} is a {kind.__module__}.{kind.__qualname__}, which is a value and no code: "
        "pass it as a binding and use the binding's name"
    )


def literal_key(value: object) -> tuple[object, ...]:
    """Return what two literals share only if they evaluate to the same values and types.

    ``1 == True`` and ``0.0 == -0.0``, and no NaN equals itself, so the values cannot be compared.
    """
    kind = type(value)
    if isinstance(value, dict):
        return (kind, *((literal_key(key), literal_key(item)) for key, item in value.items()))
    if isinstance(value, tuple | list):
        return (kind, *map(literal_key, value))
    if isinstance(value, set):
        return (kind, frozenset(map(literal_key, value)))
    return (kind, repr(value))


def literal_syntax(value: object) -> ast.expr:
    """Return the syntax of a checked literal, in the form that Python's own parser gives it."""
    if isinstance(value, dict):
        keys: list[ast.expr | None] = [literal_syntax(key) for key in value]
        return ast.Dict(keys=keys, values=[literal_syntax(item) for item in value.values()])
    if isinstance(value, tuple):
        return ast.Tuple(elts=[literal_syntax(item) for item in value], ctx=ast.Load())
    if isinstance(value, list):
        return ast.List(elts=[literal_syntax(item) for item in value], ctx=ast.Load())
    if isinstance(value, set):
        return ast.Set(elts=_set_elements(value))
    if isinstance(value, complex):
        return _complex(value)
    if isinstance(value, int | float):
        return _real(value)
    assert value is None or isinstance(value, str | bytes | EllipsisType)
    return ast.Constant(value=value)


def _check_size(value: object, path: str) -> None:
    if isinstance(value, int) and value.bit_length() > _MAX_INT_BITS:
        raise CodegenError(
            f"{path} is an int of {value.bit_length()} bits, and code may hold {_MAX_INT_BITS}: "
            "pass it as a binding"
        )


def _set_elements(value: set[object]) -> list[ast.expr]:
    # In one order, because a set's own differs between processes; and ``{*()}`` is the one
    # display of an empty set, which also holds where someone named a variable ``set``.
    if not value:
        return [ast.Starred(value=ast.Tuple(elts=[], ctx=ast.Load()), ctx=ast.Load())]
    return [literal_syntax(item) for item in sorted(value, key=repr)]


def _real(value: float) -> ast.expr:
    if isinstance(value, float) and math.isnan(value):
        # There is no literal for NaN, and no name that nobody could have taken.
        infinity = ast.Constant(value=math.inf)
        return ast.BinOp(left=infinity, op=ast.Sub(), right=ast.Constant(value=math.inf))
    if value < 0 or (value == 0 and str(value).startswith("-")):
        return ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=-value))
    return ast.Constant(value=value)


def _complex(value: complex) -> ast.expr:
    real, imaginary = value.real, value.imag
    if not (_survives_sum(real) and _survives_sum(imaginary)):
        # ``0j.__class__`` is ``complex``, under a name that nobody could have taken.
        maker = ast.Attribute(value=ast.Constant(value=0j), attr="__class__", ctx=ast.Load())
        return ast.Call(func=maker, args=[_real(real), _real(imaginary)], keywords=[])
    size = ast.Constant(value=complex(0.0, abs(imaginary)))
    if real == 0 and imaginary >= 0:
        return size
    operator: ast.operator = ast.Add() if imaginary >= 0 else ast.Sub()
    return ast.BinOp(left=_real(real), op=operator, right=size)


def _survives_sum(part: float) -> bool:
    """Tell whether ``real + imaginary`` keeps this part: it would lose a NaN or a ``-0.0``."""
    return not math.isnan(part) and (part != 0 or math.copysign(1, part) > 0)
