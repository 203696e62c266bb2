"""From nodes to source: what a command's code is, as late as the command is serialized."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from asyncbridge.codegen.literals import MAX_DEPTH
from asyncbridge.codegen.syntax import program_syntax
from asyncbridge.errors import CodegenError

if TYPE_CHECKING:
    from asyncbridge.codegen.nodes import Node


def render(node: Node) -> str:
    """Return the source of a program.

    Raises:
        CodegenError: As ``to_ast``.
    """
    return unparse(to_ast(node))


def to_ast(node: Node) -> ast.Module:
    """Return a program as Python's own syntax tree, ready to compile.

    Parsing the rendered source gives this very tree.

    Raises:
        CodegenError: It holds what is no node, or has more than ``MAX_DEPTH`` levels.
    """
    try:
        module = ast.Module(body=program_syntax((node,)), type_ignores=[])
        _check_depth(module)
        return ast.fix_missing_locations(module)
    except RecursionError:
        raise _too_deep() from None


def unparse(tree: ast.AST) -> str:
    """Return the source of a syntax tree.

    Raises:
        CodegenError: There is no source that stands for it, or too little stack to find it.
    """
    try:
        return ast.unparse(tree)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        # A quote or a backslash within an f-string's braces, before Python 3.12.
        raise CodegenError(f"the code cannot be written down: {error}") from error


def _check_depth(module: ast.Module) -> None:
    level: list[ast.AST] = [module]
    for _ in range(MAX_DEPTH + 1):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> CodegenError:
    return CodegenError(
        f"the code is nested deeper than {MAX_DEPTH} levels, or than the stack left: "
        "name an intermediate value by an assignment, or of a reference by its keep(), and go on from that"
    )
