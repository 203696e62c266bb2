"""Python's operators on what is in the worker: they build code, and compute nothing here.

What has to have its value here and now, such as ``if`` and ``len``, is refused, with what to write
instead.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.references.expression import RemoteExpression

__all__ = ["RemoteOperators"]

_BINARY = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**",
    "matmul": "@", "and": "&", "or": "|", "xor": "^", "lshift": "<<", "rshift": ">>",
}  # fmt: skip
_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_UNARY = {"neg": "-", "pos": "+", "invert": "~"}
_REFUSED = {
    "await": "is no promise: it is in the worker already. Write `await ref.value()` to have its value",
    "bool": (
        "is neither true nor false here: its value is in the worker. Write "
        "`if await ref.value():`, and for a comparison `if await (ref == other):`"
    ),
    "len": (
        'has no length here: it is in the worker. Write `await bridge.send("len(x)", {"x": ref})`'
    ),
    "iter": (
        "cannot be iterated by `for` or unpacked: it is in the worker. Write `async for item in ref:`, "
        "or `for item in await ref.value():`"
    ),
    "contains": (
        "cannot be searched here: it is in the worker. Write "
        '`await bridge.send("item in x", {"item": item, "x": ref})`'
    ),
    "array": "is no array here: it is in the worker. Write `await ref.value()`",
    **dict.fromkeys(
        ("int", "float", "complex", "index"),
        "is no number here: its value is in the worker. Write `await ref.value()`",
    ),
}


class RemoteOperators:
    """Adds the operators to a class by two hooks."""

    __slots__ = ()
    # numpy then leaves ``array + remote`` to the reflected operator here, and builds no array of
    # objects, one an element.
    __array_ufunc__ = None

    @abstractmethod
    def _operated(self, symbol: str, left: object, right: object) -> RemoteExpression:
        """Return the code of an operation on two operands, one of which this is."""

    @abstractmethod
    def _prefixed(self, symbol: str) -> RemoteExpression:
        """Return the code of an operation on this alone."""

    @abstractmethod
    def _called(self, function: str, *args: object) -> RemoteExpression:
        """Return the code of a call of a built-in function."""

    __hash__ = object.__hash__

    def __abs__(self) -> RemoteExpression:
        return self._called("abs", self)

    def __round__(self, *digits: Any) -> RemoteExpression:
        return self._called("round", self, *digits)

    def __divmod__(self, other: Any) -> RemoteExpression:
        return self._called("divmod", self, other)

    def __rdivmod__(self, other: Any) -> RemoteExpression:
        return self._called("divmod", other, self)

    def __format__(self, how: str) -> str:
        if how:
            raise TypeError(
                f"{self!r} is not formatted here: its value is in the worker. Write "
                f"`f'{{await ref.value():{how}}}'`"
            )
        return str(self)

    if TYPE_CHECKING:
        # They are made below; so much a type checker has to be told.
        def __add__(self, other: Any) -> RemoteExpression: ...
        def __radd__(self, other: Any) -> RemoteExpression: ...
        def __sub__(self, other: Any) -> RemoteExpression: ...
        def __rsub__(self, other: Any) -> RemoteExpression: ...
        def __mul__(self, other: Any) -> RemoteExpression: ...
        def __rmul__(self, other: Any) -> RemoteExpression: ...
        def __truediv__(self, other: Any) -> RemoteExpression: ...
        def __rtruediv__(self, other: Any) -> RemoteExpression: ...
        def __floordiv__(self, other: Any) -> RemoteExpression: ...
        def __rfloordiv__(self, other: Any) -> RemoteExpression: ...
        def __mod__(self, other: Any) -> RemoteExpression: ...
        def __rmod__(self, other: Any) -> RemoteExpression: ...
        def __pow__(self, other: Any) -> RemoteExpression: ...
        def __rpow__(self, other: Any) -> RemoteExpression: ...
        def __matmul__(self, other: Any) -> RemoteExpression: ...
        def __rmatmul__(self, other: Any) -> RemoteExpression: ...
        def __and__(self, other: Any) -> RemoteExpression: ...
        def __rand__(self, other: Any) -> RemoteExpression: ...
        def __or__(self, other: Any) -> RemoteExpression: ...
        def __ror__(self, other: Any) -> RemoteExpression: ...
        def __xor__(self, other: Any) -> RemoteExpression: ...
        def __rxor__(self, other: Any) -> RemoteExpression: ...
        def __lshift__(self, other: Any) -> RemoteExpression: ...
        def __rlshift__(self, other: Any) -> RemoteExpression: ...
        def __rshift__(self, other: Any) -> RemoteExpression: ...
        def __rrshift__(self, other: Any) -> RemoteExpression: ...
        def __neg__(self) -> RemoteExpression: ...
        def __pos__(self) -> RemoteExpression: ...
        def __invert__(self) -> RemoteExpression: ...
        def __lt__(self, other: Any) -> RemoteExpression: ...
        def __le__(self, other: Any) -> RemoteExpression: ...
        def __gt__(self, other: Any) -> RemoteExpression: ...
        def __ge__(self, other: Any) -> RemoteExpression: ...
        def __eq__(self, other: object) -> RemoteExpression: ...  # type: ignore[override]  # as numpy's
        def __ne__(self, other: object) -> RemoteExpression: ...  # type: ignore[override]  # likewise


def _left(symbol: str) -> Callable[..., RemoteExpression]:
    return lambda self, other: self._operated(symbol, self, other)


def _right(symbol: str) -> Callable[..., RemoteExpression]:
    return lambda self, other: self._operated(symbol, other, self)


def _prefix(symbol: str) -> Callable[..., RemoteExpression]:
    return lambda self: self._prefixed(symbol)


def _refusal(why: str) -> Callable[..., NoReturn]:
    def refuse(self: RemoteOperators, *_: object) -> NoReturn:
        raise TypeError(f"{self!r} {why}")

    return refuse


def _give(name: str, method: Callable[..., object]) -> None:
    method.__name__ = f"__{name}__"
    method.__qualname__ = f"RemoteOperators.__{name}__"
    setattr(RemoteOperators, method.__name__, method)


for _name, _symbol in _BINARY.items():
    _give(_name, _left(_symbol))
    _give(f"r{_name}", _right(_symbol))
for _name, _symbol in _COMPARISONS.items():
    _give(_name, _left(_symbol))
for _name, _symbol in _UNARY.items():
    _give(_name, _prefix(_symbol))
for _name, _why in _REFUSED.items():
    _give(_name, _refusal(_why))
