"""What a command is given: refused, or named in errors, as its caller wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from asyncbridge.errors import SerializationError, TooLarge

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["by_its_label", "check_bindings", "labels_now", "named_as"]


def check_bindings(bindings: object) -> None:
    """Raise ``TypeError`` for bindings that are none."""
    if bindings is not None and not isinstance(bindings, Mapping):
        raise TypeError(f"bindings= is a dict of values by name, not {bindings!r:.80}")


Refusal = TypeVar("Refusal", SerializationError, TooLarge, SerializationError | TooLarge)


@contextmanager
def named_as(labels: Mapping[str, str]) -> Generator[None]:
    """Say in a refusal what the caller calls an argument, not the name that it travels by."""
    token = _labels.set(labels)
    try:
        yield
    except (SerializationError, TooLarge) as error:
        raise by_its_label(error, labels) from error.__cause__
    finally:
        _labels.reset(token)


def labels_now() -> Mapping[str, str]:
    """Return what the caller calls arguments, by name, for a refusal that comes later."""
    return _labels.get()


def by_its_label(error: Refusal, labels: Mapping[str, str]) -> Refusal:
    """Return a refusal that says what the caller calls the argument that it is about."""
    for key, label in labels.items():
        start = f'bindings["{key}"]'
        if error.path.startswith(start):
            reason = str(error).removeprefix(f"{error.path}: ")
            return type(error)(reason, path=label + error.path.removeprefix(start))
    return error


_labels: ContextVar[Mapping[str, str]] = ContextVar("asyncbridge_labels", default={})  # noqa: B039 - never written to
