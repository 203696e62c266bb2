"""Operators: Python's own operators on nodes, which build nodes and compute nothing.

``==`` and ``hash`` are left alone, for nodes compare as data; ``eq`` and its kin build code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NoReturn

if TYPE_CHECKING:
    from asyncbridge.codegen.nodes import Expression

__all__ = ["BinaryOperator", "BooleanOperator", "ComparisonOperator", "Operators", "UnaryOperator"]

BinaryOperator = Literal["+", "-", "*", "/", "//", "%", "**", "@", "&", "|", "^", "<<", ">>"]
UnaryOperator = Literal["-", "+", "~", "not"]
BooleanOperator = Literal["and", "or"]
ComparisonOperator = Literal["<", "<=", ">", ">=", "==", "!=", "is", "is not", "in", "not in"]


class Operators:
    """Turns operators into the three hooks that build nodes."""

    __slots__ = ()

    # NumPy then leaves ``array + node`` to the node, which refuses the array; it would otherwise
    # build an array of nodes, one an element.
    __array_ufunc__ = None

    def _binary(self, left: object, operator: BinaryOperator, right: object) -> Expression:
        raise NotImplementedError

    def _unary(self, operator: UnaryOperator) -> Expression:
        raise NotImplementedError

    def _boolean(self, operator: BooleanOperator, right: object) -> Expression:
        raise NotImplementedError

    def _compare(self, operator: ComparisonOperator, right: object) -> Expression:
        raise NotImplementedError

    def __add__(self, other: object) -> Expression:
        return self._binary(self, "+", other)

    def __radd__(self, other: object) -> Expression:
        return self._binary(other, "+", self)

    def __sub__(self, other: object) -> Expression:
        return self._binary(self, "-", other)

    def __rsub__(self, other: object) -> Expression:
        return self._binary(other, "-", self)

    def __mul__(self, other: object) -> Expression:
        return self._binary(self, "*", other)

    def __rmul__(self, other: object) -> Expression:
        return self._binary(other, "*", self)

    def __truediv__(self, other: object) -> Expression:
        return self._binary(self, "/", other)

    def __rtruediv__(self, other: object) -> Expression:
        return self._binary(other, "/", self)

    def __floordiv__(self, other: object) -> Expression:
        return self._binary(self, "//", other)

    def __rfloordiv__(self, other: object) -> Expression:
        return self._binary(other, "//", self)

    def __mod__(self, other: object) -> Expression:
        return self._binary(self, "%", other)

    def __rmod__(self, other: object) -> Expression:
        return self._binary(other, "%", self)

    def __pow__(self, other: object) -> Expression:
        return self._binary(self, "**", other)

    def __rpow__(self, other: object) -> Expression:
        return self._binary(other, "**", self)

    def __matmul__(self, other: object) -> Expression:
        return self._binary(self, "@", other)

    def __rmatmul__(self, other: object) -> Expression:
        return self._binary(other, "@", self)

    def __and__(self, other: object) -> Expression:
        return self._binary(self, "&", other)

    def __rand__(self, other: object) -> Expression:
        return self._binary(other, "&", self)

    def __or__(self, other: object) -> Expression:
        return self._binary(self, "|", other)

    def __ror__(self, other: object) -> Expression:
        return self._binary(other, "|", self)

    def __xor__(self, other: object) -> Expression:
        return self._binary(self, "^", other)

    def __rxor__(self, other: object) -> Expression:
        return self._binary(other, "^", self)

    def __lshift__(self, other: object) -> Expression:
        return self._binary(self, "<<", other)

    def __rlshift__(self, other: object) -> Expression:
        return self._binary(other, "<<", self)

    def __rshift__(self, other: object) -> Expression:
        return self._binary(self, ">>", other)

    def __rrshift__(self, other: object) -> Expression:
        return self._binary(other, ">>", self)

    def __neg__(self) -> Expression:
        return self._unary("-")

    def __pos__(self) -> Expression:
        return self._unary("+")

    def __invert__(self) -> Expression:
        return self._unary("~")

    def __lt__(self, other: object) -> Expression:
        return self._compare("<", other)

    def __le__(self, other: object) -> Expression:
        return self._compare("<=", other)

    def __gt__(self, other: object) -> Expression:
        return self._compare(">", other)

    def __ge__(self, other: object) -> Expression:
        return self._compare(">=", other)

    def eq(self, other: object) -> Expression:
        """Build ``self == other``."""
        return self._compare("==", other)

    def ne(self, other: object) -> Expression:
        """Build ``self != other``."""
        return self._compare("!=", other)

    def is_(self, other: object) -> Expression:
        """Build ``self is other``."""
        return self._compare("is", other)

    def is_not(self, other: object) -> Expression:
        """Build ``self is not other``."""
        return self._compare("is not", other)

    def in_(self, other: object) -> Expression:
        """Build ``self in other``."""
        return self._compare("in", other)

    def not_in(self, other: object) -> Expression:
        """Build ``self not in other``."""
        return self._compare("not in", other)

    def and_(self, other: object) -> Expression:
        """Build ``self and other``."""
        return self._boolean("and", other)

    def or_(self, other: object) -> Expression:
        """Build ``self or other``."""
        return self._boolean("or", other)

    def not_(self) -> Expression:
        """Build ``not self``."""
        return self._unary("not")

    # ``a < b < c``, ``a and b``, ``not a``, ``if a`` would otherwise drop half the code silently,
    # and ``for x in a`` would subscript without end.
    def __bool__(self) -> NoReturn:
        raise TypeError("a node is code and has no truth: build with and_, or_, not_, Conditional")

    def __iter__(self) -> NoReturn:
        raise TypeError("a node is code and cannot be iterated: build with For or Comprehension")

    def __contains__(self, item: object) -> NoReturn:
        raise TypeError("a node is code and contains nothing: build with in_ or not_in")
