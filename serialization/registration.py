"""How users give their own types a wire form: ``serializes`` and ``serializable``."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from asyncbridge.errors import DecodeError
from asyncbridge.serialization.encoders import has_own_form
from asyncbridge.serialization.registry import MAX_VERSION, Entry, Unfit, add
from asyncbridge.serialization.values import is_plain_text
from asyncbridge.serialization.walk import TAG, malformed, shown

__all__ = ["Form", "serializable", "serializes"]

T_contra = TypeVar("T_contra", contravariant=True)
Class = TypeVar("Class", bound=type)

NAME_CHARS = 200


class Form(Protocol[T_contra]):
    """What ``serializes`` decorates: a class with these two static methods."""

    @staticmethod
    def encode(value: T_contra, /) -> object:
        """Return data with a wire form: builtins, arrays, and values of registered types."""
        ...

    @staticmethod
    def decode(data: Any, version: int, /) -> object:
        """Return the object for data that ``encode`` made, in this version or an older one."""
        ...


FormClass = TypeVar("FormClass", bound=Form[Any])


def serializes(
    kind: type, *, name: str, version: int = 1
) -> Callable[[type[FormClass]], type[FormClass]]:
    """Register the form in which objects of exactly one type travel.

    Both sides register, by the same name; the class that is decorated holds the two functions:

        @asyncbridge.serializes(Money, name="shop.Money")
        class MoneyForm:
            @staticmethod
            def encode(value):
                return [value.amount, value.currency]

            @staticmethod
            def decode(data, version):
                return Money(*data)

    Args:
        kind: The type; its subclasses need registrations of their own.
        name: What the type is called on the wire: yours alone, such as ``"shop.Money"``.
        version: Of the data that ``encode`` makes. A side reads its own version and older ones.

    Raises:
        TypeError: The type has a wire form already, or the functions are missing.
        ValueError: The name is taken, or unfit for one, or the version is.
    """
    _check(kind, name, version)

    def register(form: type[FormClass]) -> type[FormClass]:
        if not callable(getattr(form, "encode", None)) or not callable(
            getattr(form, "decode", None)
        ):
            raise TypeError(f"{form!r} has no functions encode(value) and decode(data, version)")
        _register(kind, name, version, form.encode, form.decode)
        return form

    return register


def serializable(*, name: str, version: int = 1) -> Callable[[Class], Class]:
    """Register a dataclass, an enumeration or a named tuple, in one line above it.

    A dataclass and a named tuple travel as their fields, by name, and are made again without a
    call of ``__init__``; a member of an enumeration, by its name. Only the present version is
    read: to read older ones, write a form with ``serializes``.

    Args:
        name: What the type is called on the wire: yours alone, such as ``"shop.Point"``.
        version: Of the fields or members; higher whenever they change.

    Raises:
        TypeError: The class is none of the three.
        ValueError: The name is taken, or unfit for one, or the version is.
    """

    def register(kind: Class) -> Class:
        _check(kind, name, version)
        encode, decode = _functions(kind)

        def decode_present(data: Any, came: int) -> object:
            if came != version:
                malformed(name, f"version {version}, got {came}")
            return decode(data)

        _register(kind, name, version, encode, decode_present)
        return kind

    return register


def _check(kind: object, name: object, version: object) -> None:
    if not isinstance(kind, type):
        raise TypeError(f"a type is registered, not {kind!r:.80}")
    if has_own_form(kind):
        raise TypeError(f"{kind.__name__} has a wire form already")
    if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARS or not is_plain_text(name):
        raise ValueError(f"a name of 1 to {NAME_CHARS} characters, not {name!r:.80}")
    if type(version) is not int or not 1 <= version <= MAX_VERSION:
        raise ValueError(f"a version is an integer from 1 up, not {version!r:.80}")


def _register(
    kind: type,
    name: str,
    version: int,
    encode: Callable[[Any], object],
    decode: Callable[[Any, int], object],
) -> None:
    head = {TAG: "registered", "n": name, "e": version}
    add(
        Entry(
            kind=kind,
            name=name,
            version=version,
            take_apart=encode,
            put_together=decode,
            head=head,
        )
    )


_Functions = tuple[Callable[[Any], object], Callable[[Any], object]]


def _functions(kind: type) -> _Functions:
    if dataclasses.is_dataclass(kind):
        return _dataclass_functions(kind)
    if issubclass(kind, enum.Enum):
        return _enum_functions(kind)
    if issubclass(kind, tuple) and isinstance(getattr(kind, "_fields", None), tuple):
        return _tuple_functions(kind)
    raise TypeError(
        f"{kind.__name__} is no dataclass, enumeration or named tuple; "
        "register it with asyncbridge.serializes"
    )


def _dataclass_functions(kind: type) -> _Functions:
    names = [field.name for field in dataclasses.fields(kind)]

    def encode(value: Any) -> object:
        extra = sorted(set(getattr(value, "__dict__", ())) - set(names))
        if extra:
            raise Unfit(f"{kind.__name__} with attributes beside its fields: {', '.join(extra)}")
        return {name: getattr(value, name) for name in names}

    def decode(data: Any) -> object:
        _check_names(kind, data, names)
        # Not by __init__: what it computes was computed, and is among the fields.
        made: object = object.__new__(kind)
        for name in names:
            object.__setattr__(made, name, data[name])
        return made

    return encode, decode


def _enum_functions(kind: type[enum.Enum]) -> _Functions:
    members = dict(kind.__members__)

    def encode(value: enum.Enum) -> object:
        if value.name in members:
            return value.name
        # A flag may stand for several members, and has a number then.
        return [value.value]

    def decode(data: Any) -> object:
        if type(data) is str and data in members:
            return members[data]
        if issubclass(kind, enum.Flag) and type(data) is list and [*map(type, data)] == [int]:
            return kind(data[0])
        return malformed(kind.__name__, "the name of a member")

    return encode, decode


def _tuple_functions(kind: Any) -> _Functions:
    names = list(kind._fields)

    def decode(data: Any) -> object:
        _check_names(kind, data, names)
        return kind._make(data.values())

    return (lambda value: dict(zip(names, value, strict=True))), decode


def _check_names(kind: type, data: object, names: list[str]) -> None:
    if type(data) is not dict or list(data) != names:
        came = ", ".join(map(shown, data)) if type(data) is dict else shown(data)
        raise DecodeError(
            f"the two sides define {kind.__name__} differently: it has the fields "
            f"{', '.join(names) or '(none)'} here, and came with {came or '(none)'}"
        )
