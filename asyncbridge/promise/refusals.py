"""What a forgotten ``await`` runs into: each use of a promise as its value says what to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AWAIT_IT", "NotItsValue"]

AWAIT_IT = (
    "its value may not be there yet. Write `await promise`, in a script `promise.wait_for_value()`"
)
_WIRE_ADVICE = (
    "it stands for its value among the bindings of a command alone; elsewhere write `await promise`"
)
_USES = {
    "len": "has no length",
    **dict.fromkeys(
        (
            *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "neg"),
            *("radd", "rsub", "rmul", "rtruediv", "rfloordiv", "rmod", "rpow", "rmatmul"),
        ),
        "is no number",
    ),
    **dict.fromkeys(("lt", "le", "gt", "ge"), "has no order"),
}


def _refusing(name: str, why: str) -> Callable[..., NoReturn]:
    def refuse(promise: object, *_: object) -> NoReturn:
        raise TypeError(f"a {type(promise).__name__} {why}: {AWAIT_IT}")

    refuse.__name__ = name
    return refuse


if TYPE_CHECKING:

    class NotItsValue:
        """For type checkers a promise has none of these: they are to refuse them first."""

        __slots__ = ()
else:
    _methods: dict[str, Any] = {f"__{use}__": _refusing(use, why) for use, why in _USES.items()}
    _said = {"__module__": __name__, "_wire_advice": _WIRE_ADVICE}  # by the codec
    NotItsValue = type("NotItsValue", (), {"__slots__": (), **_said, **_methods})
