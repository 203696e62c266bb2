"""Bodies: the statements that make a command of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncbridge.codegen import Assign, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncbridge.codegen import Expression, Statement
    from asyncbridge.models.mirrors.expressions import Code

    Body = Callable[[Code, Expression], Sequence[Statement | Expression]]

__all__ = ["as_it_is", "assigning", "nothing", "plain"]


def plain(code: Code, node: Expression) -> Sequence[Statement | Expression]:
    """Give the call's value as data, tensors as arrays."""
    return [code.worker("plain").call(node)]


def as_it_is(code: Code, node: Expression) -> Sequence[Statement | Expression]:
    """Give the call's value, which is data."""
    return [node]


def nothing(code: Code, node: Expression) -> Sequence[Statement | Expression]:
    """Give nothing: the value is not wanted."""
    return [node, Literal(None)]


def assigning(value: object, hint: str) -> Body:
    """Return the body that sets what the node names, and gives nothing."""
    return lambda code, node: [Assign(node, code.value(value, hint)), Literal(None)]
