"""Syntax: every tree of nodes becomes the very tree that Python's parser gives its source."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncbridge.codegen import (
    Assign,
    Attribute,
    BinaryOperation,
    Block,
    BooleanOperation,
    Call,
    ClassDef,
    Clause,
    Comparison,
    Comprehension,
    Conditional,
    Delete,
    DictDisplay,
    DoubleStar,
    Expression,
    For,
    FromImport,
    FunctionDef,
    Global,
    Handler,
    If,
    Import,
    Lambda,
    ListDisplay,
    Literal,
    Name,
    Parameter,
    Parameters,
    Pass,
    Raise,
    Return,
    SetDisplay,
    Slice,
    Star,
    Statement,
    Subscript,
    Try,
    TupleDisplay,
    UnaryOperation,
    Walrus,
    While,
    With,
    render,
    to_ast,
)
from asyncbridge.codegen.syntax import (
    body_syntax,
    expression_syntax,
    program_syntax,
    statement_syntax,
)
from asyncbridge.errors import CodegenError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")
NAMES = st.sampled_from(["a", "b", "c", "model", "naïve"])
ATOMS = st.sampled_from(
    [None, True, 0, 1, -1, 2.5, -0.0, float("inf"), float("nan"), 2j, 1 - 2j, "s", 'q"\n\\', b"\0", ...]
)  # fmt: skip
LEAVES: SearchStrategy[Expression] = NAMES.map(Name) | ATOMS.map(Literal) | st.builds(
    Literal, st.sampled_from([(), (1,), (1, -2), [], [()], {}, {"k": -1}, set(), {1}])
)  # fmt: skip
BINARY = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "@", "&", "|", "^", "<<", ">>"])
COMPARED = st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "is", "is not", "in", "not in"])


def tuples(each: SearchStrategy[T], least: int = 0) -> SearchStrategy[tuple[T, ...]]:
    """Return tuples of up to three."""
    return st.lists(each, min_size=least, max_size=3).map(tuple)


def targets(inner: SearchStrategy[Expression]) -> SearchStrategy[Expression]:
    """Return what can be assigned to."""
    plain = (
        NAMES.map(Name) | st.builds(Attribute, inner, NAMES) | st.builds(Subscript, inner, inner)
    )
    several = tuples(plain)
    starred = st.tuples(plain.map(Star), plain)
    return plain | st.builds(TupleDisplay, several | starred) | st.builds(ListDisplay, several)


def clauses(inner: SearchStrategy[Expression]) -> SearchStrategy[tuple[Clause, ...]]:
    """Return the clauses of a comprehension."""
    return tuples(st.builds(Clause, targets(inner), inner, tuples(inner)), least=1)


def parameters(inner: SearchStrategy[Expression]) -> SearchStrategy[Parameters]:
    """Return parameters of every kind, with defaults at the end."""
    return st.builds(
        lambda first, default, rest, named, last: Parameters(
            (Parameter("p"), Parameter("q", default)) if first else (),
            rest,
            (Parameter("k"), Parameter("l", named)) if named is not None else (),
            last,
        ),
        st.booleans(),
        inner,
        st.none() | st.just("rest"),
        st.none() | inner,
        st.none() | st.just("last"),
    )


def larger(inner: SearchStrategy[Expression]) -> SearchStrategy[Expression]:
    """Return expressions of smaller ones."""
    items = tuples(inner | inner.map(Star))
    keywords = st.dictionaries(NAMES, inner, max_size=2).map(lambda found: tuple(found.items()))
    spread = inner.map(lambda value: ((None, value),))
    optional = st.none() | inner
    slices = st.builds(Slice, optional, optional, optional)
    index = inner | slices | tuples(inner | slices | inner.map(Star))
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.builds(Attribute, inner, NAMES),
        st.builds(Subscript, inner, index),
        st.builds(Call, inner, items, keywords | spread),
        st.builds(BinaryOperation, inner, BINARY, inner),
        st.builds(UnaryOperation, st.sampled_from(["-", "+", "~", "not"]), inner),
        st.builds(BooleanOperation, st.sampled_from(["and", "or"]), tuples(inner, least=2)),
        st.builds(Comparison, inner, COMPARED, inner),
        st.builds(Conditional, inner, inner, inner),
        st.builds(Walrus, NAMES, inner),
        st.builds(TupleDisplay, items),
        st.builds(ListDisplay, items),
        st.builds(SetDisplay, items),
        st.builds(DictDisplay, tuples(pair | inner.map(DoubleStar))),
        st.builds(Lambda, parameters(inner), inner),
        st.builds(
            Comprehension, st.sampled_from(["list", "set", "generator"]), inner, clauses(inner)
        ),
        st.builds(Comprehension, st.just("dict"), inner, clauses(inner), inner),
    )


EXPRESSIONS = st.recursive(LEAVES, larger, max_leaves=8)
MANAGERS = EXPRESSIONS.filter(
    lambda node: (
        not isinstance(node, TupleDisplay)
        and not (isinstance(node, Literal) and isinstance(node.value, tuple))
    )
)
SIMPLE: SearchStrategy[Statement | Expression] = st.one_of(
    EXPRESSIONS,
    st.builds(Assign, targets(EXPRESSIONS), EXPRESSIONS),
    st.builds(Import, st.sampled_from(["keras", "os.path"]), st.none() | NAMES),
    st.builds(FromImport, st.just("a.b"), tuples(st.tuples(NAMES, st.none() | NAMES), least=1)),
    st.builds(Return, st.none() | EXPRESSIONS),
    st.builds(Raise),
    st.builds(Raise, EXPRESSIONS, st.none() | EXPRESSIONS),
    st.builds(Delete, tuples(NAMES.map(Name), least=1)),
    st.builds(Global, tuples(NAMES, least=1)),
    st.just(Pass()),
)


def compound(inner: SearchStrategy[Statement | Expression]) -> SearchStrategy[Statement]:
    """Return statements with bodies."""
    body = tuples(inner)
    some = tuples(inner, least=1)
    handler = st.builds(Handler, EXPRESSIONS, body, st.none() | NAMES)
    last = st.builds(Handler, st.none(), body)
    handlers = st.tuples(handler, last)
    decorators = tuples(EXPRESSIONS)
    keywords = st.dictionaries(NAMES, EXPRESSIONS, max_size=2).map(
        lambda found: tuple(found.items())
    )
    item = st.tuples(MANAGERS, st.none() | targets(EXPRESSIONS))
    return st.one_of(
        st.builds(If, EXPRESSIONS, body, body),
        st.builds(For, targets(EXPRESSIONS), EXPRESSIONS, body, body),
        st.builds(While, EXPRESSIONS, body, body),
        st.builds(With, tuples(item, least=1), body),
        st.builds(Try, body, handlers, body, body),
        st.builds(Try, body, st.just(()), st.just(()), some),
        st.builds(FunctionDef, NAMES, parameters(EXPRESSIONS), body, decorators),
        st.builds(ClassDef, NAMES, tuples(EXPRESSIONS), body, keywords, decorators),
        st.builds(Block, body),
    )


PROGRAMS = tuples(st.recursive(SIMPLE, compound, max_leaves=4)).map(Block)
# Wide strategies are slow to draw on a busy machine, which says nothing about the code.
GENEROUS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)


def assert_round_trip(node: Expression | Statement) -> None:
    """Compare the node's tree with the parsed source."""
    tree = to_ast(node)
    assert ast.dump(ast.parse(render(node))) == ast.dump(tree)


@GENEROUS
@given(EXPRESSIONS)
def test_expressions_survive_the_way_to_source_and_back(node: Expression) -> None:
    """The source of any expression parses to the tree that it was rendered from."""
    assert_round_trip(node)


@GENEROUS
@given(PROGRAMS)
def test_programs_survive_the_way_to_source_and_back(node: Block) -> None:
    """The source of any program parses to the tree that it was rendered from."""
    assert_round_trip(node)


@pytest.mark.parametrize(
    "text", ["", 'a"""b', "'''\"\"\"", "a\\", "\r\n\t\f", "\ud800", "\\N{DASH}"]
)
def test_a_string_that_becomes_a_docstring_survives(text: str) -> None:
    """A string at the head of a body is written as a docstring, and still says the same."""
    assert_round_trip(FunctionDef("f", Parameters(), (Literal(text),)))


def test_empty_bodies_get_pass() -> None:
    """A body needs a statement, a program does not."""
    assert program_syntax(()) == []
    assert [type(each) for each in body_syntax(())] == [ast.Pass]


def test_what_is_no_node_is_refused() -> None:
    """A plain value where a node belongs is named in the error, cut to one line."""
    with pytest.raises(CodegenError, match="a list is no expression node"):
        expression_syntax([1])
    with pytest.raises(CodegenError, match="a str is no statement node") as caught:
        statement_syntax("x" * 1000)
    assert len(str(caught.value)) < 150
