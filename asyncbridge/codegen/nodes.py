"""Expression nodes: pieces of Python code as frozen data, composed like the paper's generator.

    Name("keras").attr("layers").attr("Dense").call(16, activation="sigmoid")

Plain values that code can say become literals; every other value belongs in a binding. The
statements stand in ``statements``, the way to source in ``render``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from typing import Literal as Choice

from asyncbridge.codegen.literals import checked_literal, literal_key
from asyncbridge.codegen.names import check_identifier
from asyncbridge.codegen.operators import Operators
from asyncbridge.errors import CodegenError

if TYPE_CHECKING:
    from asyncbridge.codegen.operators import (
        BinaryOperator,
        BooleanOperator,
        ComparisonOperator,
        UnaryOperator,
    )


class Node:
    """A piece of code."""

    __slots__ = ()


class Expression(Node, Operators):
    """A piece of code that has a value.

    Python's operators, ``[...]`` and the methods below build larger expressions. Attributes are
    reached by ``attr``, never by a dot, so that no user's attribute meets the node's own.
    """

    __slots__ = ()

    def attr(self, name: str, *, dunder: bool = False) -> Attribute:
        """Build ``self.name``; a ``__name__`` must be allowed by ``dunder``."""
        return Attribute(self, name, dunder=dunder)

    def call(self, /, *args: object, **keywords: object) -> Call:
        """Build ``self(*args, **keywords)``; ``Star`` and ``DoubleStar`` unpack."""
        positional = [arg for arg in args if not isinstance(arg, DoubleStar)]
        named = [(None, arg.value) for arg in args if isinstance(arg, DoubleStar)]
        return Call(
            self,
            tuple(arg if isinstance(arg, Star) else as_expression(arg) for arg in positional),
            (*named, *((name, as_expression(value)) for name, value in keywords.items())),
        )

    def __getitem__(self, index: object) -> Subscript:
        if isinstance(index, tuple):
            return Subscript(self, tuple(_as_index(item) for item in index))
        return Subscript(self, _as_index(index))

    def _binary(self, left: object, operator: BinaryOperator, right: object) -> Expression:
        return BinaryOperation(as_expression(left), operator, as_expression(right))

    def _unary(self, operator: UnaryOperator) -> Expression:
        return UnaryOperation(operator, self)

    def _boolean(self, operator: BooleanOperator, right: object) -> Expression:
        return BooleanOperation(operator, (self, as_expression(right)))

    def _compare(self, operator: ComparisonOperator, right: object) -> Expression:
        return Comparison(self, operator, as_expression(right))


@dataclass(frozen=True, slots=True)
class Star(Node):
    """``*value``, in a call, a display or a tuple of targets."""

    value: Expression


@dataclass(frozen=True, slots=True)
class DoubleStar(Node):
    """``**value``, in a call or a dict display."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Name(Expression):
    """A variable."""

    id: str

    def __post_init__(self) -> None:
        check_identifier(self.id)


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Expression):
    """A value that code can say: None, ..., bool, int, float, complex, str, bytes, containers.

    Two literals are equal when they evaluate to the same values of the same types: ``1`` and
    ``True`` differ, so do ``0.0`` and ``-0.0``, and NaN equals NaN.
    """

    value: object

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", checked_literal(self.value))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Literal):
            return NotImplemented
        return literal_key(self.value) == literal_key(other.value)

    def __hash__(self) -> int:
        return hash(literal_key(self.value))


@dataclass(frozen=True, slots=True)
class Attribute(Expression):
    """``value.name``."""

    value: Expression
    name: str
    dunder: bool = field(default=False, kw_only=True, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_identifier(self.name, dunder=self.dunder)


@dataclass(frozen=True, slots=True)
class Slice(Node):
    """``lower:upper:step``, within a subscript."""

    lower: Expression | None = None
    upper: Expression | None = None
    step: Expression | None = None


Index = Expression | Slice | Star


@dataclass(frozen=True, slots=True)
class Subscript(Expression):
    """``value[index]``; a tuple of indices stands for ``value[a, b]``."""

    value: Expression
    index: Index | tuple[Index, ...]

    def __post_init__(self) -> None:
        if isinstance(self.index, Star):
            raise CodegenError("a lone * in a subscript: write (Star(x),) for value[*x,]")


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """``function(*args, **keywords)``; a keyword without a name is ``**value``."""

    function: Expression
    args: tuple[Expression | Star, ...] = ()
    keywords: tuple[tuple[str | None, Expression], ...] = ()

    def __post_init__(self) -> None:
        check_keywords(self.keywords)


@dataclass(frozen=True, slots=True)
class BinaryOperation(Expression):
    """``left operator right``."""

    left: Expression
    operator: BinaryOperator
    right: Expression


@dataclass(frozen=True, slots=True)
class UnaryOperation(Expression):
    """``operator operand``."""

    operator: UnaryOperator
    operand: Expression


@dataclass(frozen=True, slots=True)
class BooleanOperation(Expression):
    """``a and b and ...``, or the same with ``or``."""

    operator: BooleanOperator
    operands: tuple[Expression, ...]

    def __post_init__(self) -> None:
        if len(self.operands) < 2:
            raise CodegenError(f"{self.operator!r} takes two operands or more")


@dataclass(frozen=True, slots=True)
class Comparison(Expression):
    """``left operator right``, as a comparison; join several by ``and_``."""

    left: Expression
    operator: ComparisonOperator
    right: Expression


@dataclass(frozen=True, slots=True)
class Conditional(Expression):
    """``then if test else otherwise``."""

    test: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Walrus(Expression):
    """``(name := value)``."""

    name: str
    value: Expression

    def __post_init__(self) -> None:
        check_identifier(self.name)


@dataclass(frozen=True, slots=True)
class TupleDisplay(Expression):
    """``(a, *b)``."""

    items: tuple[Expression | Star, ...]


@dataclass(frozen=True, slots=True)
class ListDisplay(Expression):
    """``[a, *b]``."""

    items: tuple[Expression | Star, ...]


@dataclass(frozen=True, slots=True)
class SetDisplay(Expression):
    """``{a, *b}``; with no items, ``{*()}``."""

    items: tuple[Expression | Star, ...]


@dataclass(frozen=True, slots=True)
class DictDisplay(Expression):
    """``{key: value, **other}``."""

    items: tuple[tuple[Expression, Expression] | DoubleStar, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter, with its default if it has one."""

    name: str
    default: Expression | None = None

    def __post_init__(self) -> None:
        check_identifier(self.name)


@dataclass(frozen=True, slots=True)
class Parameters:
    """``(positional, *rest, keyword_only, **keywords)``."""

    positional: tuple[Parameter, ...] = ()
    rest: str | None = None
    keyword_only: tuple[Parameter, ...] = ()
    keywords: str | None = None

    def __post_init__(self) -> None:
        collectors = [name for name in (self.rest, self.keywords) if name is not None]
        names = [each.name for each in (*self.positional, *self.keyword_only)]
        names += [check_identifier(name) for name in collectors]
        _check_unique(names, "parameter")
        defaults = [each.default is not None for each in self.positional]
        if defaults != sorted(defaults):
            raise CodegenError("a positional parameter without default follows one that has one")


@dataclass(frozen=True, slots=True)
class Lambda(Expression):
    """``lambda parameters: body``."""

    parameters: Parameters
    body: Expression


@dataclass(frozen=True, slots=True)
class Clause:
    """``for target in source if condition ...``, within a comprehension."""

    target: Expression
    source: Expression
    conditions: tuple[Expression, ...] = ()

    def __post_init__(self) -> None:
        check_target(self.target)


@dataclass(frozen=True, slots=True)
class Comprehension(Expression):
    """A list, set, dict or generator comprehension; ``value`` is the dict's."""

    kind: Choice["list", "set", "dict", "generator"]
    element: Expression
    clauses: tuple[Clause, ...]
    value: Expression | None = None

    def __post_init__(self) -> None:
        if not self.clauses:
            raise CodegenError("a comprehension needs a clause: for what, in what")
        if (self.kind == "dict") != (self.value is not None):
            raise CodegenError("a dict comprehension, and no other, has a value beside its element")


def as_expression(value: object) -> Expression:
    """Return a node as it is, and a plain value as a literal; containers may hold nodes.

    Raises:
        CodegenError: The value is no code, and must travel as a binding.
    """
    if isinstance(value, Expression):
        return value
    if not _holds_node(value):
        return Literal(value)
    if isinstance(value, dict):
        pairs = ((as_expression(key), as_expression(item)) for key, item in value.items())
        return DictDisplay(tuple(pairs))
    if isinstance(value, tuple | list | set):
        return _display(value)
    raise CodegenError(f"a {type(value).__name__} node is no expression and has no place here")


def check_target(target: object) -> None:
    """Refuse what Python cannot assign to.

    Raises:
        CodegenError: It is no name, attribute, subscript, or display of those.
    """
    if isinstance(target, TupleDisplay | ListDisplay):
        stars = [item for item in target.items if isinstance(item, Star)]
        if len(stars) > 1:
            raise CodegenError("a target has more than one *")
        for item in target.items:
            check_target(item.value if isinstance(item, Star) else item)
    elif not isinstance(target, Name | Attribute | Subscript):
        raise CodegenError(f"cannot assign to a {type(target).__name__}")


def check_keywords(keywords: tuple[tuple[str | None, Expression], ...]) -> None:
    """Refuse keywords that Python would refuse: no names, or one twice."""
    _check_unique([check_identifier(name) for name, _ in keywords if name is not None], "keyword")


def _check_unique(names: list[str], what: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CodegenError(f"the {what} {twice!r} stands there twice")


def _as_index(index: object) -> Index:
    if isinstance(index, slice):
        parts = (index.start, index.stop, index.step)
        return Slice(*(None if part is None else as_expression(part) for part in parts))
    return index if isinstance(index, Slice | Star) else as_expression(index)


def _holds_node(value: object) -> bool:
    """Tell whether there is a node in the value, at any depth, even where it contains itself."""
    found: list[object] = [value]
    seen: set[int] = set()
    for item in found:
        if isinstance(item, Node):
            return True
        if isinstance(item, dict | tuple | list | set) and id(item) not in seen:
            seen.add(id(item))
            found.extend(item)
            found.extend(item.values() if isinstance(item, dict) else ())
    return False


def _display(value: tuple[object, ...] | list[object] | set[object]) -> Expression:
    items = tuple(item if isinstance(item, Star) else as_expression(item) for item in value)
    if isinstance(value, tuple):
        return TupleDisplay(items)
    return ListDisplay(items) if isinstance(value, list) else SetDisplay(items)
