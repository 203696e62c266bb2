"""Isolation: a function's own definition, found in its file and freed of what surrounds it."""

from __future__ import annotations

import ast
import copy
import linecache
import symtable
from types import CodeType
from typing import TYPE_CHECKING, TypeVar

from asyncbridge.codegen.names import random_name
from asyncbridge.codegen.render import unparse
from asyncbridge.errors import CodegenError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FunctionType

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_NAMED = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.ExceptHandler,
    ast.MatchAs,
    ast.MatchStar,
)
_Scope = TypeVar("_Scope", bound=Definition)

_FUTURE_ANNOTATIONS = 0x1000000
"""``CO_FUTURE_ANNOTATIONS``: the code's module says ``from __future__ import annotations``."""


def isolate(function: FunctionType) -> Definition:
    """Return the function's definition, without annotations and without its defaults.

    Both were evaluated where the function was defined; the defaults' values are the function's.

    Raises:
        CodegenError: There is no source, it is no longer this function's, or it leans on its
            class in a way that cannot travel.
    """
    found = _find(function.__code__, function.__globals__)
    _refuse_class_ties(found, function)
    lazy = bool(function.__code__.co_flags & _FUTURE_ANNOTATIONS)
    definition: Definition = _Bare(lazy=lazy).visit(copy.deepcopy(found))
    definition.args.defaults = []
    definition.args.kw_defaults = [None] * len(definition.args.kwonlyargs)
    return definition


def free_names(definition: Definition, cells: tuple[str, ...]) -> list[str]:
    """Return the names that an isolated definition takes from around itself, in order.

    Args:
        definition: A definition without defaults; its decorators count.
        cells: The function's own free variables, from its code.

    Raises:
        CodegenError: It assigns to a name around itself, which would change the worker's copy.
    """
    # Under another name, for its own may stand for something else around it (what a decorator
    # made of it), or the function may be shipped under another.
    nameless = copy.copy(definition)
    if not isinstance(nameless, ast.Lambda):
        nameless.name = random_name()
    table = symtable.symtable(unparse(_enclosed(nameless, cells)), "<shipped>", "exec")
    outer = table.get_children()[0]
    names = {name for scope in _scopes(outer) for name in _globals(scope)}
    for scope in outer.get_children():
        _refuse_rebinding(scope, frozenset(cells))
    return sorted(names | set(cells))


def binds(definition: Definition, name: str) -> bool:
    """Tell whether the name also stands for something of the definition's own."""
    return any(name in _bound(node) for node in ast.walk(definition) if node is not definition)


def _find(code: CodeType, module: dict[str, object]) -> Definition:
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename, module)
    if not lines:
        raise CodegenError(
            f"{code.co_qualname} has no source to ship ({code.co_filename} cannot be read): "
            "define it in a file or a notebook, or send its code as text"
        )
    tree = _parsed("".join(lines), code)
    found = [node for node in ast.walk(tree) if isinstance(node, Definition)]
    found = [node for node in found if _is_of(node, code)]
    if len(found) > 1:
        # Several lambdas on a line: those with the very same code are the same to ship.
        found = [node for node in found if _signature(_compiled(node, code)) == _signature(code)]
    if not found:
        raise CodegenError(
            f"the definition of {code.co_qualname} is not on line {code.co_firstlineno} of "
            f"{code.co_filename}: reload what has changed on disk since it was imported"
        )
    return found[0]


def _parsed(source: str, code: CodeType) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise CodegenError(f"the source around {code.co_qualname} is no Python: {error}") from error


def _is_of(node: Definition, code: CodeType) -> bool:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    count = code.co_argcount + code.co_kwonlyargcount
    # A private parameter of a method stands mangled in the code; the ties are refused later.
    return (
        min([node.lineno, *(each.lineno for each in decorators)]) == code.co_firstlineno
        and name == code.co_name
        and len(arguments) == count
        and all(
            have.endswith(each.arg)
            for each, have in zip(arguments, code.co_varnames[:count], strict=True)
        )
    )


def _compiled(definition: Definition, code: CodeType) -> CodeType:
    bare = copy.deepcopy(definition)
    bare.args.defaults = [ast.Constant(value=None) for _ in bare.args.defaults]
    bare.args.kw_defaults = [each and ast.Constant(value=None) for each in bare.args.kw_defaults]
    module = ast.fix_missing_locations(_enclosed(bare, code.co_freevars))
    outer = next(_inner_code(compile(module, code.co_filename, "exec", dont_inherit=True)))
    return next(_inner_code(outer))


def _inner_code(code: CodeType) -> Iterator[CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, CodeType))


def _signature(code: CodeType) -> tuple[object, ...]:
    """Return what two codes share only if they do the same; lines and columns are left out."""
    constants = tuple(
        _signature(each) if isinstance(each, CodeType) else (type(each), repr(each))
        for each in code.co_consts
    )
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return (code.co_code, names, constants)


def _enclosed(definition: Definition, cells: tuple[str, ...]) -> ast.Module:
    """Return a module in which the definition finds its cells in a function around it."""
    outer = ast.parse(f"def outer({', '.join(cells)}): pass").body[0]
    assert isinstance(outer, ast.FunctionDef)
    outer.body = (
        [ast.Return(value=definition)] if isinstance(definition, ast.Lambda) else [definition]
    )
    return ast.Module(body=[outer], type_ignores=[])


def _refuse_class_ties(definition: Definition, function: FunctionType) -> None:
    code = function.__code__
    if "__class__" in code.co_freevars:
        raise CodegenError(
            f"{function.__qualname__} uses super() or __class__, which only its class gives it: "
            "write a function outside of the class"
        )
    known = set(_code_names(code))
    for node in ast.walk(definition):
        name = node.attr if isinstance(node, ast.Attribute) else None
        if name and name.startswith("__") and not name.endswith("__") and name not in known:
            raise CodegenError(
                f"{function.__qualname__} uses the private name {name!r} of its class: "
                "write a function outside of the class"
            )


def _code_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in _inner_code(code):
        yield from _code_names(inner)


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _scopes(child)


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_declared_global():
            raise CodegenError(
                f"{table.get_name()} declares {symbol.get_name()!r} global, and the worker has "
                "other globals: take it as an argument and return what it becomes"
            )
        if symbol.is_global() and symbol.is_referenced():
            yield symbol.get_name()


def _refuse_rebinding(table: symtable.SymbolTable, outside: frozenset[str]) -> None:
    symbols = {symbol.get_name(): symbol for symbol in table.get_symbols()}
    for name in outside & symbols.keys():
        if symbols[name].is_nonlocal() and symbols[name].is_assigned():
            raise CodegenError(
                f"{table.get_name()} assigns to the nonlocal {name!r}, which would change the "
                "worker's copy alone: take it as an argument and return what it becomes"
            )
    own = {name for name, symbol in symbols.items() if symbol.is_local()}
    for child in table.get_children():
        _refuse_rebinding(child, outside - own)


def _bound(node: ast.AST) -> set[str]:
    """Return the names that a piece of syntax binds, or declares."""
    if isinstance(node, ast.Name):
        return set() if isinstance(node.ctx, ast.Load) else {node.id}
    if isinstance(node, ast.arg):
        return {node.arg}
    if isinstance(node, ast.alias):
        return {node.asname or node.name.partition(".")[0]}
    if isinstance(node, ast.Global | ast.Nonlocal):
        return set(node.names)
    if isinstance(node, ast.MatchMapping):
        return {node.rest} if node.rest else set()
    if isinstance(node, _NAMED):
        return {node.name} if node.name else set()
    return set()


class _Bare(ast.NodeTransformer):
    """Takes off annotations, which name what need not exist in the worker."""

    def __init__(self, *, lazy: bool) -> None:
        # Whether the module left its annotations unevaluated.
        self._lazy = lazy
        self._in_class = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._scope(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self._scope(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self._scope(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        before, self._in_class = self._in_class, True
        self.generic_visit(node)
        self._in_class = before
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if self._in_class:
            # A class keeps its annotations: a dataclass is made of them.
            if self._lazy:
                node.annotation = ast.Constant(value=unparse(node.annotation))
            return node
        if node.value is None:
            return ast.Pass()
        return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)

    def _scope(self, node: _Scope) -> _Scope:
        before, self._in_class = self._in_class, False
        self.generic_visit(node)
        self._in_class = before
        return node
