"""Frozen data that is made for every command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["record"]

T = TypeVar("T")

_make: Callable[[type], type] = dataclass(slots=True, kw_only=True, unsafe_hash=True)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(cls: type[T]) -> type[T]:
    """Make a class of data as ``dataclass(frozen=True, slots=True, kw_only=True)`` does.

    That nobody sets a field is left to the type checkers: to look at run time, too, makes each
    object four times as dear.
    """
    return _make(cls)
