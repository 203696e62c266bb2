"""Functions that travel as code and bindings: no pickle, and no trace in the worker's namespace.

``ship`` writes a *factory*, a function under a random name. It takes the values that the
shipped function needs as arguments, does its imports, defines it and the plain functions that
it uses, and returns it. The factory's first act is to delete its own name.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING

from asyncbridge.codegen.nodes import Call, Name
from asyncbridge.codegen.shipment import Shipment
from asyncbridge.codegen.statements import Block, Source
from asyncbridge.errors import CodegenError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """A function as code and bindings.

    Attributes:
        name: The factory's random name.
        definition: The factory's source.
        bindings: Random names, in the order of the factory's parameters, and their values.
    """

    name: str
    definition: Source
    bindings: dict[str, object]

    @property
    def function(self) -> Call:
        """The expression that makes the function, once: the factory deletes its own name."""
        return Name(self.name).call(*map(Name, self.bindings))


def ship(function: Callable[..., object], *, modules: Mapping[str, str] | None = None) -> Shipped:
    """Turn a plain function into code and bindings.

    Modules that it uses become imports; functions and classes of installed modules become
    from-imports; other plain functions are shipped with it; every other value, its closure's
    and its defaults' included, becomes a binding. Names that nobody defines here are left for
    the worker to find. Annotations do not travel. A decorator is applied again where the
    function goes by its own name; a function under another name is what a decorator was given.

    Args:
        function: A ``def``, a lambda, or a ``functools.partial`` of one.
        modules: Modules that have another name in the worker, such as a mirror's.

    Raises:
        CodegenError: It cannot be shipped; the text says why and what to do.
    """
    _check_plain(function)
    shipment = Shipment(modules or {})
    definition = shipment.factory(function)
    return Shipped(
        name=shipment.name, definition=Source(definition), bindings=dict(shipment.bindings)
    )


def call(
    shipped: Shipped, args: Sequence[str] = (), keywords: Mapping[str, str] | None = None
) -> Block:
    """Build the program whose value is the function's result, and which leaves no name behind.

    Args:
        shipped: The function.
        args: Names of the bindings that it takes by position.
        keywords: Its keywords, and the names of the bindings that it takes by them.
    """
    named = {keyword: Name(name) for keyword, name in (keywords or {}).items()}
    result = shipped.function.call(*map(Name, args), **named)
    return Block((shipped.definition, result))


def _check_plain(function: object) -> None:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", repr(function))
    plain = function
    if not isinstance(function, FunctionType):
        plain = getattr(function, "__wrapped__", None)
    if inspect.ismethod(function):
        raise CodegenError(
            f"{name} is a bound method, and its object does not travel as code: "
            "write a function that takes the object as an argument"
        )
    if not isinstance(plain, FunctionType):
        raise CodegenError(
            f"{name} ({type(function).__name__}) is no plain Python function with a source: "
            "wrap it in a def or a lambda that calls it"
        )
    _check_synchronous(plain, name)


def _check_synchronous(function: FunctionType, name: str) -> None:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise CodegenError(
            f"{name} is async, and a worker runs one command at a time with no event loop: "
            "make it a plain def"
        )
    if inspect.isgeneratorfunction(function):
        raise CodegenError(
            f"{name} is a generator, whose steps cannot cross the bridge: "
            "return a list, or consume it in a plain def"
        )
