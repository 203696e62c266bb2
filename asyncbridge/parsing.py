"""Source to syntax tree, whatever the garbage collector does meanwhile."""

from __future__ import annotations

import ast
from typing import cast

__all__ = ["parse"]


def parse(source: str, filename: str = "<unknown>") -> ast.Module:
    """Return the syntax tree of a module.

    CPython counts the depth of the tree it builds in one place for all. A collection in the
    midst of it may run a finalizer that logs a traceback, which parses source for its carets,
    and the count is off: ``SystemError: AST constructor recursion depth mismatch``. Nothing is
    wrong with the source then, so it is parsed once more.

    Raises:
        SyntaxError: The source is no Python.
        ValueError: It holds a NUL byte (before Python 3.12).
    """
    try:
        return _parse(source, filename)
    except SystemError:
        return _parse(source, filename)


def _parse(source: str, filename: str) -> ast.Module:
    tree = compile(source, filename, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    return cast("ast.Module", tree)
