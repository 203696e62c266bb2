"""What an object in the worker is, as short plain data: for a client that has but its name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from asyncbridge.worker.arraylikes import Family, device_of, form_of, kind_of
from asyncbridge.worker.footprint import weigh
from asyncbridge.worker.guards import attempt, cut
from asyncbridge.worker.reprs import FAILED, REPR_LIMIT, Short

__all__ = ["Description", "describe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is told of an object.

    Attributes:
        kind: Its class as tracebacks have it: ``"numpy.ndarray"``, ``"dict"``.
        text: A short ``repr``; of arrays and the like dtype and shape: ``float32 (150, 4)``.
        size: Its bytes.
        whole: Whether these are all; else it has that many at least.
        device: Where its data lies, as Keras names it (``"gpu:0"``), if it tells.
    """

    kind: str
    text: str
    size: int
    whole: bool = True
    device: str = ""

    @property
    def short(self) -> str:
        """The class as people say it: ``"ndarray"``."""
        return self.kind.rpartition(".")[2]


def describe(value: object, *, brief: bool = False) -> Description:
    """Describe an object; what its class raises stays here.

    A ``__repr__`` of the user's runs: whoever asks guards against one that does not end.

    Args:
        value: The object.
        brief: Leave the text out, and with it the user's ``__repr__``.
    """
    _, name, family, _ = kind_of(type(value))
    size, whole = weigh(value)
    text = "" if brief else _text(value)
    if family is Family.PLAIN:
        return Description(kind=name, text=text, size=size, whole=whole)
    device = attempt(partial(device_of, value, family), "")
    return Description(kind=name, text=text, size=size, whole=whole, device=device)


def _text(value: object) -> str:
    try:
        # Most objects have no other, and there are many of them.
        if type(value).__repr__ is not object.__repr__:
            return _SHORT.line(value)
        text = object.__repr__(value)
        return text if len(text) <= REPR_LIMIT and text.isascii() else cut(text, REPR_LIMIT)
    except BaseException:  # of a metaclass
        return FAILED


class _Formal(Short):
    """Tells arrays and the like by dtype and shape: their own ``repr`` reads the data."""

    def repr_instance(self, x: Any, level: int) -> str:
        family = kind_of(type(x)).family
        if family in (Family.PLAIN, Family.STATEFUL):
            return super().repr_instance(x, level)
        return attempt(lambda: "{} {}".format(*form_of(x)), f"<{type(x).__name__}>")


_SHORT: Final = _Formal()
