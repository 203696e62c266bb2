"""Statement nodes: pieces of code without a value.

A body is a tuple of statements and expressions; an empty one is written ``pass``.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from asyncbridge.codegen.names import check_identifier, check_module
from asyncbridge.codegen.nodes import (
    Expression,
    Literal,
    Node,
    Parameters,
    TupleDisplay,
    check_keywords,
    check_target,
)
from asyncbridge.errors import CodegenError


class Statement(Node):
    """A piece of code without a value."""

    __slots__ = ()


Body = tuple[Statement | Expression, ...]


@dataclass(frozen=True, slots=True)
class Block(Statement):
    """Statements one after the other; the value of a program is that of its last expression."""

    body: Body


@dataclass(frozen=True, slots=True)
class Source(Statement):
    """Statements that somebody wrote as text; their syntax is checked here."""

    code: str

    def __post_init__(self) -> None:
        try:
            ast.parse(self.code)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise CodegenError(f"the source is no Python: {error}") from error


@dataclass(frozen=True, slots=True)
class Assign(Statement):
    """``target = value``."""

    target: Expression
    value: Expression

    def __post_init__(self) -> None:
        check_target(self.target)


@dataclass(frozen=True, slots=True)
class Import(Statement):
    """``import module as alias``."""

    module: str
    alias: str | None = None

    def __post_init__(self) -> None:
        check_module(self.module)
        if self.alias is not None:
            check_identifier(self.alias)


@dataclass(frozen=True, slots=True)
class FromImport(Statement):
    """``from module import name as alias, ...``; names come as ``(name, alias or None)``."""

    module: str
    names: tuple[tuple[str, str | None], ...]

    def __post_init__(self) -> None:
        check_module(self.module)
        if not self.names:
            raise CodegenError(f"nothing is imported from {self.module!r}")
        for name, alias in self.names:
            check_identifier(name)
            if alias is not None:
                check_identifier(alias)


@dataclass(frozen=True, slots=True)
class With(Statement):
    """``with manager as target, ...``; items come as ``(manager, target or None)``."""

    items: tuple[tuple[Expression, Expression | None], ...]
    body: Body

    def __post_init__(self) -> None:
        if not self.items:
            raise CodegenError("with nothing: give at least one context manager")
        for manager, target in self.items:
            # Python would read a lone ``with (a, b):`` as two managers.
            if isinstance(manager, TupleDisplay) or (
                isinstance(manager, Literal) and isinstance(manager.value, tuple)
            ):
                raise CodegenError("a tuple is no context manager: give several items instead")
            if target is not None:
                check_target(target)


@dataclass(frozen=True, slots=True)
class Handler:
    """``except exception as name``; without an exception, it catches all."""

    exception: Expression | None
    body: Body
    name: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            check_identifier(self.name)
            if self.exception is None:
                raise CodegenError("an except that catches all cannot name what it caught")


@dataclass(frozen=True, slots=True)
class Try(Statement):
    """``try`` with its ``except``, ``else`` and ``finally``."""

    body: Body
    handlers: tuple[Handler, ...] = ()
    otherwise: Body = ()
    final: Body = ()

    def __post_init__(self) -> None:
        if not self.handlers and (self.otherwise or not self.final):
            raise CodegenError("a try needs a handler, or a final body and no otherwise")
        if any(handler.exception is None for handler in self.handlers[:-1]):
            raise CodegenError("the except that catches all must be the last")


@dataclass(frozen=True, slots=True)
class FunctionDef(Statement):
    """``def name(parameters): body``, under its decorators."""

    name: str
    parameters: Parameters
    body: Body
    decorators: tuple[Expression, ...] = ()
    dunder: bool = field(default=False, kw_only=True, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_identifier(self.name, dunder=self.dunder)


@dataclass(frozen=True, slots=True)
class ClassDef(Statement):
    """``class name(*bases, **keywords): body``, under its decorators."""

    name: str
    bases: tuple[Expression, ...]
    body: Body
    keywords: tuple[tuple[str | None, Expression], ...] = ()
    decorators: tuple[Expression, ...] = ()

    def __post_init__(self) -> None:
        check_identifier(self.name)
        check_keywords(self.keywords)


@dataclass(frozen=True, slots=True)
class Return(Statement):
    """``return value``."""

    value: Expression | None = None


@dataclass(frozen=True, slots=True)
class Raise(Statement):
    """``raise exception from cause``; without an exception, the one being handled again."""

    exception: Expression | None = None
    cause: Expression | None = None

    def __post_init__(self) -> None:
        if self.exception is None and self.cause is not None:
            raise CodegenError("raise from a cause needs an exception to raise")


@dataclass(frozen=True, slots=True)
class If(Statement):
    """``if test: body else: otherwise``; an ``If`` alone in ``otherwise`` is an ``elif``."""

    test: Expression
    body: Body
    otherwise: Body = ()


@dataclass(frozen=True, slots=True)
class For(Statement):
    """``for target in source: body else: otherwise``."""

    target: Expression
    source: Expression
    body: Body
    otherwise: Body = ()

    def __post_init__(self) -> None:
        check_target(self.target)


@dataclass(frozen=True, slots=True)
class While(Statement):
    """``while test: body else: otherwise``."""

    test: Expression
    body: Body
    otherwise: Body = ()


@dataclass(frozen=True, slots=True)
class Pass(Statement):
    """``pass``."""


@dataclass(frozen=True, slots=True)
class Break(Statement):
    """``break``."""


@dataclass(frozen=True, slots=True)
class Continue(Statement):
    """``continue``."""


@dataclass(frozen=True, slots=True)
class Delete(Statement):
    """``del target, ...``."""

    targets: tuple[Expression, ...]

    def __post_init__(self) -> None:
        if not self.targets:
            raise CodegenError("del of nothing: give at least one target")
        for target in self.targets:
            check_target(target)


@dataclass(frozen=True, slots=True)
class Global(Statement):
    """``global name, ...``."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.names:
            raise CodegenError("global of nothing: give at least one name")
        for name in self.names:
            check_identifier(name)
