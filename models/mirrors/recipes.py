"""Recipes: how the worker makes an object, as code and as text, and what it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncbridge.codegen import Expression
from asyncbridge.models.mirrors.arguments import Arguments, show

if TYPE_CHECKING:
    from asyncbridge.models.mirrors.expressions import Code
    from asyncbridge.references.binding import Binding

__all__ = [
    "Recipe",
    "asked_of",
    "attribute_of",
    "called",
    "item_of",
    "named",
    "operation",
    "sent_to",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the worker makes one object.

    Attributes:
        label: What is called, for the command's name and for errors.
        text: Writes the whole call as a reader would, cut short.
        parts: All that the code names, in which mirrors may stand.
        expression: Builds the code, whose value is the object.
        verb: What is done to make it, for errors.
    """

    label: str
    text: Callable[[], str]
    parts: tuple[object, ...]
    expression: Callable[[Code], Expression]
    verb: str = "made"


def called(full_name: str, arguments: Arguments) -> Recipe:
    """Return the recipe of what a class or function of Keras gives."""
    return Recipe(
        label=full_name,
        text=lambda: f"{full_name}({arguments.text()})",
        parts=tuple(arguments),
        expression=lambda code: code.call(code.keras(full_name), arguments),
    )


def named(binding: Binding) -> Recipe:
    """Return the recipe of what a name stands for in the worker."""
    return Recipe(
        label=binding.name,
        text=lambda: binding.name,
        parts=(binding,),
        expression=lambda code: code.value(binding, ""),
    )


def sent_to(owner: object, method: str, arguments: Arguments) -> Recipe:
    """Return the recipe of what an object gives when it is called, or a method of it is.

    Args:
        owner: A mirror.
        method: The method's name; empty to call the object itself.
        arguments: Those of the call.
    """

    def expression(code: Code) -> Expression:
        function = code.value(owner, "")
        return code.call(function.attr(method) if method else function, arguments)

    label = f"{type(owner).__name__}.{method or '__call__'}"
    dotted = f".{method}" if method else ""
    return Recipe(
        label=label,
        text=lambda: f"{show(owner)}{dotted}({arguments.text()})",
        # A dict, because Keras walks a graph by the sorted names of a call's arguments.
        parts=(owner, *arguments.leading.values(), dict(arguments.named)),
        expression=expression,
        verb="called",
    )


def asked_of(function: str, owner: object, method: str, arguments: Arguments) -> Recipe:
    """Return the recipe of what a function on the worker's side of mirrors gives.

    Args:
        function: Its name in ``asyncbridge.worker.models``.
        owner: A mirror, its first argument.
        method: The mirror's method that it does the work of.
        arguments: The others, all of which go by name.
    """
    named = {**arguments.leading, **arguments.named}
    whole = Arguments(leading={"self": owner}, named=named)
    return Recipe(
        label=f"{type(owner).__name__}.{method}",
        text=lambda: f"{show(owner)}.{method}({arguments.text()})",
        parts=tuple(whole),
        expression=lambda code: code.call(code.worker(function), whole),
    )


def item_of(owner: object, key: object) -> Recipe:
    """Return the recipe of ``owner[key]``."""
    return Recipe(
        label=f"{type(owner).__name__}.__getitem__",
        text=lambda: f"{show(owner)}[{show(key)}]",
        parts=(owner, key),
        expression=lambda code: code.value(owner, "")[code.index(key)],
    )


def attribute_of(owner: object, *names: str) -> Recipe:
    """Return the recipe of ``owner.name.name``."""

    def expression(code: Code) -> Expression:
        node = code.value(owner, "")
        for name in names:
            node = node.attr(name)
        return node

    dotted = ".".join(names)
    return Recipe(
        label=f"{type(owner).__name__}.{dotted}",
        text=lambda: f"{show(owner)}.{dotted}",
        parts=(owner,),
        expression=expression,
    )


def operation(
    symbol: str, build: Callable[..., Expression], *operands: object, owner: object
) -> Recipe:
    """Return the recipe of an operator's result.

    Args:
        symbol: The operator, for the text.
        build: Makes the node from the operands' nodes.
        operands: What stands left and right of it, or behind it.
        owner: Whose operator it is.
    """

    def text() -> str:
        shown = [show(operand) for operand in operands]
        return f" {symbol} ".join(shown) if len(shown) > 1 else f"{symbol}{shown[0]}"

    return Recipe(
        label=f"{type(owner).__name__} {symbol}",
        text=text,
        parts=operands,
        expression=lambda code: build(*[code.value(operand, "operand") for operand in operands]),
    )
