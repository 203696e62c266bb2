"""Expression nodes: how they compose, and what they refuse."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from asyncbridge.codegen import (
    Attribute,
    BooleanOperation,
    Call,
    Clause,
    Comprehension,
    Conditional,
    DictDisplay,
    DoubleStar,
    Expression,
    Lambda,
    ListDisplay,
    Literal,
    Name,
    Parameter,
    Parameters,
    SetDisplay,
    Slice,
    Star,
    Subscript,
    TupleDisplay,
    Walrus,
    as_expression,
    render,
)
from asyncbridge.errors import CodegenError, IdentifierError

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, X = Name("a"), Name("b"), Name("x")


def test_dense_layer_of_the_paper() -> None:
    """The paper's ``DenseLayer>>pyCreate`` (section 3)."""
    node = Name("keras").attr("layers").attr("Dense").call(16, activation="sigmoid")
    assert render(node) == "keras.layers.Dense(16, activation='sigmoid')"


def test_sgd_of_the_paper() -> None:
    """The paper's optimizer with four parameters (section 4.1)."""
    node = Name("SGD").call(lr=0.01, momentum=0.0, decay=0.0, nesterov=False)
    assert render(node) == "SGD(lr=0.01, momentum=0.0, decay=0.0, nesterov=False)"


def test_compile_of_the_paper() -> None:
    """The paper's ``compileLoss:optimizer:metrics:`` (section 4.1): nodes within a list."""
    node = (
        Name("knRandomVar")
        .attr("compile")
        .call(
            optimizer=Name("Adam").call(), loss=Name("categorical_crossentropy"), metrics=["acc", A]
        )
    )
    assert render(node) == (
        "knRandomVar.compile(optimizer=Adam(), loss=categorical_crossentropy, metrics=['acc', a])"
    )


def test_fit_of_the_paper() -> None:
    """The paper's ``fit:labels:epochs:`` (section 4.2): the data are names of bindings."""
    fit = Name("knRandomVar").attr("fit")
    node = fit.call(Name("trainXVar"), Name("trainYVar"), verbose=0, batch_size=1, epochs=100)
    assert render(node.attr("history")) == (
        "knRandomVar.fit(trainXVar, trainYVar, verbose=0, batch_size=1, epochs=100).history"
    )


@pytest.mark.parametrize(
    ("node", "code"),
    [
        (A.call(1, Star(B), DoubleStar(X), self=2), "a(1, *b, **x, self=2)"),
        (A[1], "a[1]"),
        (A["k"], "a['k']"),
        (A[B:], "a[b:]"),
        (A[::-1], "a[::-1]"),
        (A[1:2, ..., B], "a[1:2, ..., b]"),
        (A[()], "a[()]"),
        (A[(1, 2), 3], "a[(1, 2), 3]"),
        (A[Star(B), 1], "a[*b, 1]"),
        (Subscript(A, Slice(upper=B)), "a[:b]"),
        (Literal(1).attr("real"), "1 .real"),
        (Literal(-1).attr("real"), "(-1).real"),
        (Literal(-1) ** 2, "(-1) ** 2"),
        (Conditional(A, B, X), "b if a else x"),
        (Walrus("a", B), "(a := b)"),
        (TupleDisplay((A,)), "(a,)"),
        (TupleDisplay(()), "()"),
        (ListDisplay((A, Star(B))), "[a, *b]"),
        (SetDisplay((A,)), "{a}"),
        (SetDisplay(()), "{*()}"),
        (DictDisplay(((A, B), DoubleStar(X))), "{a: b, **x}"),
        (Lambda(Parameters(), A), "lambda: a"),
        (
            Lambda(
                Parameters(
                    (Parameter("a"), Parameter("b", Literal(1))), "r", (Parameter("k"),), "kw"
                ),
                A,
            ),
            "lambda a, b=1, *r, k, **kw: a",
        ),
        (Comprehension("list", A, (Clause(A, B, (A > 1, X)),)), "[a for a in b if a > 1 if x]"),
        (Comprehension("set", A, (Clause(A, B), Clause(X, A))), "{a for a in b for x in a}"),
        (
            Comprehension("dict", A, (Clause(TupleDisplay((A, B)), X),), B),
            "{a: b for a, b in x}",
        ),
        (X.call(Comprehension("generator", A, (Clause(A, B),))), "x((a for a in b))"),
    ],
)
def test_rendered(node: Expression, code: str) -> None:
    """Each kind of expression renders as the code that it is named after."""
    assert render(node) == code


def test_nodes_are_frozen() -> None:
    """A node never changes."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        A.id = "b"  # type: ignore[misc]  # what is tested


def test_no_user_attribute_meets_the_nodes_own() -> None:
    """Attributes go through ``attr``, so one called like a method is as good as any."""
    assert render(A.attr("call").attr("attr").call(1)) == "a.call.attr(1)"
    with pytest.raises(AttributeError):
        _ = A.fit  # type: ignore[attr-defined]  # what is tested


def test_dunder_attributes_are_opt_in() -> None:
    """A dunder attribute is reached only by asking for it."""
    with pytest.raises(IdentifierError, match="belong to Python"):
        A.attr("__class__")
    assert render(A.attr("__class__", dunder=True)) == "a.__class__"
    assert A.attr("__class__", dunder=True) == Attribute(A, "__class__", dunder=True)


@pytest.mark.parametrize("name", ["a b", "class", "x)", ""])
def test_names_are_checked_everywhere(name: str) -> None:
    """No place for a name lets code in."""
    for build in (
        lambda: Name(name),
        lambda: A.attr(name),
        lambda: A.call(**{name: 1}),
        lambda: Walrus(name, A),
        lambda: Parameter(name),
        lambda: Parameters(rest=name),
        lambda: Parameters(keywords=name),
    ):
        with pytest.raises(IdentifierError):
            build()


def test_values_travel_as_bindings() -> None:
    """A value that is no literal is refused wherever it would be written into code."""
    builds: list[Callable[[], object]] = [
        lambda: A.call(np.zeros(2)),
        lambda: A + np.float32(1),
        lambda: A[object()],
    ]
    for build in builds:
        with pytest.raises(CodegenError, match="as a binding"):
            build()


def test_as_expression_goes_into_containers_with_nodes() -> None:
    """Containers that hold nodes become displays, others literals."""
    assert as_expression([1, A]) == ListDisplay((Literal(1), A))
    assert as_expression((A, [B])) == TupleDisplay((A, ListDisplay((B,))))
    assert as_expression({A}) == SetDisplay((A,))
    assert as_expression({"k": A}) == DictDisplay(((Literal("k"), A),))
    assert as_expression([1, Star(A)]) == ListDisplay((Literal(1), Star(A)))
    assert as_expression([1, 2]) == Literal([1, 2])
    assert as_expression(A) is A


def test_as_expression_refuses_other_nodes() -> None:
    """A part of an expression is none by itself."""
    with pytest.raises(CodegenError, match="no expression"):
        as_expression(Slice())


def test_literals_compare_by_value_and_type() -> None:
    """Equal literals evaluate to the same values of the same types."""
    assert Literal(1) != Literal(True)
    assert Literal(0.0) != Literal(-0.0)
    assert Literal(math.nan) == Literal(float("nan"))
    assert Literal([1, {"a": 2}]) == Literal([1, {"a": 2}])
    assert hash(Literal([1])) == hash(Literal([1]))
    assert Literal(1) != 1


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: BooleanOperation("and", (A,)), "two operands"),
        (lambda: Comprehension("list", A, ()), "needs a clause"),
        (lambda: Comprehension("list", A, (Clause(A, B),), B), "a dict comprehension"),
        (lambda: Comprehension("dict", A, (Clause(A, B),)), "a dict comprehension"),
        (lambda: Clause(Literal(1), B), "cannot assign to a Literal"),
        (lambda: Clause(ListDisplay((Star(A), Star(B))), X), r"more than one \*"),
        (lambda: Parameters((Parameter("a"), Parameter("a"))), "'a' stands there twice"),
        (lambda: Parameters((Parameter("a", B), Parameter("b"))), "without default"),
        (lambda: Call(A, (), (("k", B), ("k", B))), "'k' stands there twice"),
        (lambda: A[Star(B)], r"a lone \*"),
    ],
)
def test_refused_at_construction(build: object, reason: str) -> None:
    """What stands for no code is refused where it is built."""
    assert callable(build)
    with pytest.raises(CodegenError, match=reason):
        build()
