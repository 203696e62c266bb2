"""Rendering: how deep trees may be, and what the results are good for."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

import pytest

from asyncbridge.codegen import MAX_DEPTH, Block, If, ListDisplay, Name, Node, render, to_ast
from asyncbridge.codegen.render import unparse
from asyncbridge.errors import CodegenError

if TYPE_CHECKING:
    from collections.abc import Callable

A = Name("a")
NESTED: dict[str, Callable[..., Node]] = {
    "chain": lambda inner: inner.attr("b"),
    "calls": lambda inner: inner.call(),
    "sum": lambda inner: inner + 1,
    "lists": lambda inner: ListDisplay((inner,)),
    "ifs": lambda inner: If(A, (inner,)),
}


def nested(kind: str, levels: int) -> Node:
    """Return a name with so many levels around it."""
    node: Node = A
    for _ in range(levels):
        node = NESTED[kind](node)
    return node


@pytest.mark.parametrize("kind", NESTED)
def test_deep_trees_render_and_parse(kind: str) -> None:
    """Trees of nearly ``MAX_DEPTH`` levels, of every shape, render to what Python can parse."""
    node = nested(kind, MAX_DEPTH - 3)
    assert ast.dump(ast.parse(render(node))) == ast.dump(to_ast(node))


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 100_000])
@pytest.mark.parametrize("kind", NESTED)
def test_deeper_trees_are_refused(kind: str, levels: int) -> None:
    """A deeper tree is an error that says what to do, and no ``RecursionError``."""
    with pytest.raises(CodegenError, match="name an intermediate value"):
        render(nested(kind, levels))


def test_a_caller_deep_in_the_stack_gets_the_same_error() -> None:
    """Too little stack left is reported as too deep a tree."""

    def descend() -> None:
        try:
            descend()
        except RecursionError:
            render(nested("calls", 20))

    with pytest.raises(CodegenError, match="the stack left"):
        descend()


def test_to_ast_compiles() -> None:
    """The tree is complete: it compiles as it is."""
    scope: dict[str, object] = {"a": 20}
    exec(compile(to_ast(Block((A + 1, If(A, (A,))))), "<test>", "exec"), scope)
    assert eval(compile(render(A + 1), "<test>", "eval"), scope) == 21


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="newer f-strings hold any expression")
def test_unwritable_syntax_is_refused() -> None:
    """A tree that Python's own writer refuses is an error of ours."""
    with pytest.raises(CodegenError, match="cannot be written"):
        unparse(_broken())


def _broken() -> ast.AST:
    inner = ast.FormattedValue(value=ast.Constant(value="\n'\"\\"), conversion=-1)
    return ast.JoinedStr(values=[inner])
