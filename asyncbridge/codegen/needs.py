"""What a piece of code takes from the namespace that all commands share, as far as it shows."""

from __future__ import annotations

import ast
import builtins
import symtable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HIDDEN", "Needs", "needs_of"]

HIDDEN: Final = frozenset({"globals", "locals", "vars", "eval", "exec", "__import__"})
"""Built-ins by which code takes names that it does not show."""
_GIVEN: Final = frozenset(dir(builtins)) | {"__name__", "__builtins__", "__doc__"}
_SCOPES: Final = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp,
    ast.GeneratorExp,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Needs:
    """Names that code takes from outside, and names that it sets.

    Attributes:
        names: Those that it reads before it has set them, or that it never sets.
        sets: Those that it may leave behind.
        hides: Whether it may read others too, by ``eval`` and its kin or a star import.
    """

    names: frozenset[str]
    sets: frozenset[str]
    hides: bool


@lru_cache(maxsize=4096)
def needs_of(source: str) -> Needs:
    """Return what code takes from the namespace; code that is no Python takes nothing.

    A name that is set on one way through the code, and not on another, counts as set.
    """
    try:
        table = symtable.symtable(source, "<command>", "exec")
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return Needs(frozenset(), frozenset(), hides=False)
    sets = {symbol.get_name() for symbol in table.get_symbols() if _is_set(symbol)}
    sets |= {name for scope in _inner(table) for name in _set_global(scope)}
    inner = {name for scope in _inner(table) for name in _globals(scope)}
    read = set(_read_first(tree)) | (inner - sets)
    star = any(
        isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree)
    )
    loads = {s.get_name() for s in table.get_symbols() if s.is_referenced()} | inner
    return Needs(
        names=frozenset(read - _GIVEN),
        sets=frozenset(sets),
        hides=star or not HIDDEN.isdisjoint(loads - sets),
    )


def _is_set(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()


def _inner(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for scope in table.get_children():
        yield scope
        yield from _inner(scope)


def _globals(scope: symtable.SymbolTable) -> Iterator[str]:
    return (s.get_name() for s in scope.get_symbols() if s.is_global() and s.is_referenced())


def _set_global(scope: symtable.SymbolTable) -> Iterator[str]:
    return (s.get_name() for s in scope.get_symbols() if s.is_declared_global() and _is_set(s))


def _read_first(tree: ast.Module) -> Iterator[str]:
    """Yield the names that the module's own level reads before it has set them."""
    known = set[str]()
    for node in _in_order(tree):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                if node.id not in known:
                    yield node.id
            else:
                known.add(node.id)
        else:
            known.update(_named_by(node))


def _named_by(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node sets other than by a ``Name``."""
    match node:
        case ast.Import() | ast.ImportFrom():
            yield from ((each.asname or each.name.partition(".")[0]) for each in node.names)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            yield name
        case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name
        case _:
            return


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs at this level, in about the order in which it does: values before targets."""
    for child in _children(node):
        if isinstance(child, _SCOPES):
            yield from _outside_of(child)
            yield child
            continue
        if isinstance(child, ast.AugAssign) and isinstance(child.target, ast.Name):
            yield ast.Name(child.target.id, ast.Load())
        if isinstance(child, ast.ExceptHandler):
            yield child  # its name stands for the error in its body
        yield from _in_order(child)
        yield child


def _children(node: ast.AST) -> list[ast.AST]:
    children = list(ast.iter_child_nodes(node))
    match node:
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr():
            children.sort(key=lambda child: child is not node.value)
        case ast.For() | ast.AsyncFor():
            children.sort(key=lambda child: child is not node.iter)
        case _:
            pass
    return children


def _outside_of(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield what a function's or a comprehension's surroundings evaluate."""
    match scope:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            arguments = scope.args
            outside = [*arguments.defaults, *filter(None, arguments.kw_defaults)]
            if not isinstance(scope, ast.Lambda):
                outside += scope.decorator_list
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            outside = [scope.generators[0].iter]
        case _:
            outside = []
    for each in outside:
        yield from _in_order(ast.Expression(each))
