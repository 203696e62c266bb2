"""From nodes to Python's own syntax trees, each in the form that Python's parser gives it."""

from __future__ import annotations

import ast
import sys
from functools import singledispatch
from typing import TYPE_CHECKING

from asyncbridge.codegen import nodes, statements
from asyncbridge.codegen.literals import literal_syntax
from asyncbridge.errors import CodegenError

if TYPE_CHECKING:
    from collections.abc import Iterable

_BINARY: dict[str, type[ast.operator]] = {
    "+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "//": ast.FloorDiv, "%": ast.Mod,
    "**": ast.Pow, "@": ast.MatMult, "&": ast.BitAnd, "|": ast.BitOr, "^": ast.BitXor,
    "<<": ast.LShift, ">>": ast.RShift,
}  # fmt: skip
_UNARY: dict[str, type[ast.unaryop]] = {
    "-": ast.USub, "+": ast.UAdd, "~": ast.Invert, "not": ast.Not,
}  # fmt: skip
_BOOLEAN: dict[str, type[ast.boolop]] = {"and": ast.And, "or": ast.Or}
_COMPARISON: dict[str, type[ast.cmpop]] = {
    "<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE, "==": ast.Eq, "!=": ast.NotEq,
    "is": ast.Is, "is not": ast.IsNot, "in": ast.In, "not in": ast.NotIn,
}  # fmt: skip


@singledispatch
def expression_syntax(node: object) -> ast.expr:
    """Return the syntax of an expression or a ``Star``.

    Raises:
        CodegenError: It is no such node.
    """
    raise CodegenError(f"a {type(node).__name__} is no expression node: {_brief(node)}")


@singledispatch
def statement_syntax(node: object) -> ast.stmt:
    """Return the syntax of a statement that is one statement.

    Raises:
        CodegenError: It is no such node.
    """
    raise CodegenError(f"a {type(node).__name__} is no statement node: {_brief(node)}")


def body_syntax(body: Iterable[object]) -> list[ast.stmt]:
    """Return the syntax of a body, its blocks and sources opened; an empty one gets ``pass``."""
    return program_syntax(body) or [ast.Pass()]


def program_syntax(body: Iterable[object]) -> list[ast.stmt]:
    """Return the syntax of statements and expressions, blocks and sources opened."""
    return [syntax for node in body for syntax in _opened(node)]


def _opened(node: object) -> list[ast.stmt]:
    if isinstance(node, statements.Block):
        return program_syntax(node.body)
    if isinstance(node, statements.Source):
        return ast.parse(node.code).body
    if isinstance(node, nodes.Expression):
        return [ast.Expr(value=expression_syntax(node))]
    return [statement_syntax(node)]


def _brief(node: object) -> str:
    text = repr(node)
    return text if len(text) <= 80 else text[:77] + "..."


def _optional(node: nodes.Expression | None) -> ast.expr | None:
    return None if node is None else expression_syntax(node)


def _all(items: Iterable[object]) -> list[ast.expr]:
    return [expression_syntax(item) for item in items]


# --- expressions -------------------------------------------------------------------------


@expression_syntax.register(nodes.Name)
def _name(node: nodes.Name) -> ast.expr:
    return ast.Name(id=node.id, ctx=ast.Load())


@expression_syntax.register(nodes.Literal)
def _literal(node: nodes.Literal) -> ast.expr:
    return literal_syntax(node.value)


@expression_syntax.register(nodes.Attribute)
def _attribute(node: nodes.Attribute) -> ast.expr:
    return ast.Attribute(value=expression_syntax(node.value), attr=node.name, ctx=ast.Load())


@expression_syntax.register(nodes.Star)
def _star(node: nodes.Star) -> ast.expr:
    return ast.Starred(value=expression_syntax(node.value), ctx=ast.Load())


@expression_syntax.register(nodes.Subscript)
def _subscript(node: nodes.Subscript) -> ast.expr:
    if isinstance(node.index, tuple):
        parts = [_index(item) for item in node.index]
        index: ast.expr = ast.Tuple(elts=parts, ctx=ast.Load())
    else:
        index = _index(node.index)
    return ast.Subscript(value=expression_syntax(node.value), slice=index, ctx=ast.Load())


def _index(index: nodes.Index) -> ast.expr:
    if isinstance(index, nodes.Slice):
        return ast.Slice(
            lower=_optional(index.lower), upper=_optional(index.upper), step=_optional(index.step)
        )
    return expression_syntax(index)


@expression_syntax.register(nodes.Call)
def _call(node: nodes.Call) -> ast.expr:
    return ast.Call(
        func=expression_syntax(node.function),
        args=_all(node.args),
        keywords=_keywords(node.keywords),
    )


def _keywords(keywords: tuple[tuple[str | None, nodes.Expression], ...]) -> list[ast.keyword]:
    return [ast.keyword(arg=name, value=expression_syntax(value)) for name, value in keywords]


@expression_syntax.register(nodes.BinaryOperation)
def _binary(node: nodes.BinaryOperation) -> ast.expr:
    left, right = _all((node.left, node.right))
    return ast.BinOp(left=left, op=_BINARY[node.operator](), right=right)


@expression_syntax.register(nodes.UnaryOperation)
def _unary(node: nodes.UnaryOperation) -> ast.expr:
    return ast.UnaryOp(op=_UNARY[node.operator](), operand=expression_syntax(node.operand))


@expression_syntax.register(nodes.BooleanOperation)
def _boolean(node: nodes.BooleanOperation) -> ast.expr:
    return ast.BoolOp(op=_BOOLEAN[node.operator](), values=_all(node.operands))


@expression_syntax.register(nodes.Comparison)
def _comparison(node: nodes.Comparison) -> ast.expr:
    left, right = _all((node.left, node.right))
    return ast.Compare(left=left, ops=[_COMPARISON[node.operator]()], comparators=[right])


@expression_syntax.register(nodes.Conditional)
def _conditional(node: nodes.Conditional) -> ast.expr:
    test, then, otherwise = _all((node.test, node.then, node.otherwise))
    return ast.IfExp(test=test, body=then, orelse=otherwise)


@expression_syntax.register(nodes.Walrus)
def _walrus(node: nodes.Walrus) -> ast.expr:
    target = ast.Name(id=node.name, ctx=ast.Store())
    return ast.NamedExpr(target=target, value=expression_syntax(node.value))


@expression_syntax.register(nodes.TupleDisplay)
def _tuple(node: nodes.TupleDisplay) -> ast.expr:
    return ast.Tuple(elts=_all(node.items), ctx=ast.Load())


@expression_syntax.register(nodes.ListDisplay)
def _list(node: nodes.ListDisplay) -> ast.expr:
    return ast.List(elts=_all(node.items), ctx=ast.Load())


@expression_syntax.register(nodes.SetDisplay)
def _set(node: nodes.SetDisplay) -> ast.expr:
    # An empty set has no display of its own; the literal knows the way.
    return ast.Set(elts=_all(node.items)) if node.items else literal_syntax(set())


@expression_syntax.register(nodes.DictDisplay)
def _dict(node: nodes.DictDisplay) -> ast.expr:
    pairs = [(None, i.value) if isinstance(i, nodes.DoubleStar) else i for i in node.items]
    return ast.Dict(
        keys=[_optional(key) for key, _ in pairs], values=_all(value for _, value in pairs)
    )


@expression_syntax.register(nodes.Lambda)
def _lambda(node: nodes.Lambda) -> ast.expr:
    return ast.Lambda(args=_parameters(node.parameters), body=expression_syntax(node.body))


def _parameters(parameters: nodes.Parameters) -> ast.arguments:
    defaults = [each.default for each in parameters.positional if each.default is not None]
    return ast.arguments(
        posonlyargs=[],
        args=[ast.arg(arg=each.name) for each in parameters.positional],
        vararg=None if parameters.rest is None else ast.arg(arg=parameters.rest),
        kwonlyargs=[ast.arg(arg=each.name) for each in parameters.keyword_only],
        kw_defaults=[_optional(each.default) for each in parameters.keyword_only],
        kwarg=None if parameters.keywords is None else ast.arg(arg=parameters.keywords),
        defaults=_all(defaults),
    )


@expression_syntax.register(nodes.Comprehension)
def _comprehension(node: nodes.Comprehension) -> ast.expr:
    element = expression_syntax(node.element)
    clauses = [_clause(clause) for clause in node.clauses]
    if node.value is not None:
        return ast.DictComp(key=element, value=expression_syntax(node.value), generators=clauses)
    if node.kind == "generator":
        return ast.GeneratorExp(elt=element, generators=clauses)
    kind = ast.ListComp if node.kind == "list" else ast.SetComp
    return kind(elt=element, generators=clauses)


def _clause(clause: nodes.Clause) -> ast.comprehension:
    return ast.comprehension(
        target=_target(clause.target, ast.Store),
        iter=expression_syntax(clause.source),
        ifs=_all(clause.conditions),
        is_async=0,
    )


def _target(node: nodes.Expression, context: type[ast.expr_context]) -> ast.expr:
    return _in_context(expression_syntax(node), context)


def _in_context(syntax: ast.expr, context: type[ast.expr_context]) -> ast.expr:
    if isinstance(syntax, ast.Tuple | ast.List):
        syntax.elts = [_in_context(item, context) for item in syntax.elts]
    elif isinstance(syntax, ast.Starred):
        syntax.value = _in_context(syntax.value, context)
    assert isinstance(
        syntax, ast.Name | ast.Attribute | ast.Subscript | ast.Starred | ast.Tuple | ast.List
    )
    syntax.ctx = context()
    return syntax


# --- statements --------------------------------------------------------------------------


@statement_syntax.register(statements.Assign)
def _assign(node: statements.Assign) -> ast.stmt:
    value = expression_syntax(node.value)
    return ast.Assign(targets=[_target(node.target, ast.Store)], value=value)


@statement_syntax.register(statements.Import)
def _import(node: statements.Import) -> ast.stmt:
    return ast.Import(names=[ast.alias(name=node.module, asname=node.alias)])


@statement_syntax.register(statements.FromImport)
def _from_import(node: statements.FromImport) -> ast.stmt:
    names = [ast.alias(name=name, asname=alias) for name, alias in node.names]
    return ast.ImportFrom(module=node.module, names=names, level=0)


@statement_syntax.register(statements.With)
def _with(node: statements.With) -> ast.stmt:
    items = [
        ast.withitem(
            context_expr=expression_syntax(manager),
            optional_vars=None if target is None else _target(target, ast.Store),
        )
        for manager, target in node.items
    ]
    return ast.With(items=items, body=body_syntax(node.body))


@statement_syntax.register(statements.Try)
def _try(node: statements.Try) -> ast.stmt:
    handlers = [
        ast.ExceptHandler(
            type=_optional(each.exception), name=each.name, body=body_syntax(each.body)
        )
        for each in node.handlers
    ]
    return ast.Try(
        body=body_syntax(node.body),
        handlers=handlers,
        orelse=program_syntax(node.otherwise),
        finalbody=body_syntax(node.final) if node.final else [],
    )


@statement_syntax.register(statements.FunctionDef)
def _function(node: statements.FunctionDef) -> ast.stmt:
    syntax = ast.FunctionDef(
        name=node.name,
        args=_parameters(node.parameters),
        body=body_syntax(node.body),
        decorator_list=_all(node.decorators),
    )
    if sys.version_info >= (3, 12):
        syntax.type_params = []
    return syntax


@statement_syntax.register(statements.ClassDef)
def _class(node: statements.ClassDef) -> ast.stmt:
    syntax = ast.ClassDef(
        name=node.name,
        bases=_all(node.bases),
        keywords=_keywords(node.keywords),
        body=body_syntax(node.body),
        decorator_list=_all(node.decorators),
    )
    if sys.version_info >= (3, 12):
        syntax.type_params = []
    return syntax


@statement_syntax.register(statements.Return)
def _return(node: statements.Return) -> ast.stmt:
    return ast.Return(value=_optional(node.value))


@statement_syntax.register(statements.Raise)
def _raise(node: statements.Raise) -> ast.stmt:
    return ast.Raise(exc=_optional(node.exception), cause=_optional(node.cause))


@statement_syntax.register(statements.If)
def _if(node: statements.If) -> ast.stmt:
    test, orelse = expression_syntax(node.test), program_syntax(node.otherwise)
    return ast.If(test=test, body=body_syntax(node.body), orelse=orelse)


@statement_syntax.register(statements.For)
def _for(node: statements.For) -> ast.stmt:
    return ast.For(
        target=_target(node.target, ast.Store),
        iter=expression_syntax(node.source),
        body=body_syntax(node.body),
        orelse=program_syntax(node.otherwise),
    )


@statement_syntax.register(statements.While)
def _while(node: statements.While) -> ast.stmt:
    test, orelse = expression_syntax(node.test), program_syntax(node.otherwise)
    return ast.While(test=test, body=body_syntax(node.body), orelse=orelse)


@statement_syntax.register(statements.Pass)
def _pass(_: statements.Pass) -> ast.stmt:
    return ast.Pass()


@statement_syntax.register(statements.Break)
def _break(_: statements.Break) -> ast.stmt:
    return ast.Break()


@statement_syntax.register(statements.Continue)
def _continue(_: statements.Continue) -> ast.stmt:
    return ast.Continue()


@statement_syntax.register(statements.Delete)
def _delete(node: statements.Delete) -> ast.stmt:
    return ast.Delete(targets=[_target(target, ast.Del) for target in node.targets])


@statement_syntax.register(statements.Global)
def _global(node: statements.Global) -> ast.stmt:
    return ast.Global(names=list(node.names))
