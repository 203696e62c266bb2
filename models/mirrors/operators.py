"""Python's operators on symbolic tensors: each makes a node of the graph."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING

from asyncbridge.codegen import Comparison, Name

if TYPE_CHECKING:
    from asyncbridge.codegen import Expression
    from asyncbridge.models.mirrors.tensor import KerasTensor

    Build = Callable[..., Expression]

__all__ = ["TensorOperators"]


class TensorOperators:
    """The operators that Keras's symbolic tensors have.

    ``==`` is not one of them, as in Keras: it compares identities. ``keras.ops.equal`` compares
    elements.
    """

    __slots__ = ()

    # An array's own operators leave ``array + tensor`` to the tensor.
    __array_ufunc__ = None

    def _operation(self, symbol: str, build: Build, *operands: object) -> KerasTensor:
        raise NotImplementedError

    def __add__(self, other: object) -> KerasTensor:
        return self._operation("+", operator.add, self, other)

    def __radd__(self, other: object) -> KerasTensor:
        return self._operation("+", operator.add, other, self)

    def __sub__(self, other: object) -> KerasTensor:
        return self._operation("-", operator.sub, self, other)

    def __rsub__(self, other: object) -> KerasTensor:
        return self._operation("-", operator.sub, other, self)

    def __mul__(self, other: object) -> KerasTensor:
        return self._operation("*", operator.mul, self, other)

    def __rmul__(self, other: object) -> KerasTensor:
        return self._operation("*", operator.mul, other, self)

    def __matmul__(self, other: object) -> KerasTensor:
        return self._operation("@", operator.matmul, self, other)

    def __rmatmul__(self, other: object) -> KerasTensor:
        return self._operation("@", operator.matmul, other, self)

    def __truediv__(self, other: object) -> KerasTensor:
        return self._operation("/", operator.truediv, self, other)

    def __rtruediv__(self, other: object) -> KerasTensor:
        return self._operation("/", operator.truediv, other, self)

    def __floordiv__(self, other: object) -> KerasTensor:
        return self._operation("//", operator.floordiv, self, other)

    def __rfloordiv__(self, other: object) -> KerasTensor:
        return self._operation("//", operator.floordiv, other, self)

    def __mod__(self, other: object) -> KerasTensor:
        return self._operation("%", operator.mod, self, other)

    def __rmod__(self, other: object) -> KerasTensor:
        return self._operation("%", operator.mod, other, self)

    def __pow__(self, other: object) -> KerasTensor:
        return self._operation("**", operator.pow, self, other)

    def __rpow__(self, other: object) -> KerasTensor:
        return self._operation("**", operator.pow, other, self)

    def __and__(self, other: object) -> KerasTensor:
        return self._operation("&", operator.and_, self, other)

    def __rand__(self, other: object) -> KerasTensor:
        return self._operation("&", operator.and_, other, self)

    def __or__(self, other: object) -> KerasTensor:
        return self._operation("|", operator.or_, self, other)

    def __ror__(self, other: object) -> KerasTensor:
        return self._operation("|", operator.or_, other, self)

    def __xor__(self, other: object) -> KerasTensor:
        return self._operation("^", operator.xor, self, other)

    def __rxor__(self, other: object) -> KerasTensor:
        return self._operation("^", operator.xor, other, self)

    def __lt__(self, other: object) -> KerasTensor:
        return self._operation("<", operator.lt, self, other)

    def __le__(self, other: object) -> KerasTensor:
        return self._operation("<=", operator.le, self, other)

    def __gt__(self, other: object) -> KerasTensor:
        return self._operation(">", operator.gt, self, other)

    def __ge__(self, other: object) -> KerasTensor:
        return self._operation(">=", operator.ge, self, other)

    def __ne__(self, other: object) -> KerasTensor:  # type: ignore[override]  # Keras's own way
        return self._operation("!=", _differs, self, other)

    def __neg__(self) -> KerasTensor:
        return self._operation("-", lambda node: -node, self)

    def __invert__(self) -> KerasTensor:
        return self._operation("~", lambda node: ~node, self)

    def __abs__(self) -> KerasTensor:
        return self._operation("abs ", Name("abs").call, self)

    def __round__(self, ndigits: int | None = None) -> KerasTensor:
        digits = () if ndigits is None else (ndigits,)
        return self._operation("round ", Name("round").call, self, *digits)


def _differs(left: Expression, right: Expression) -> Expression:
    return Comparison(left, "!=", right)
