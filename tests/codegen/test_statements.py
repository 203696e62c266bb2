"""Statement nodes: how they render, and what they refuse."""

from __future__ import annotations

import pytest

from asyncbridge.codegen import (
    Assign,
    Block,
    Break,
    ClassDef,
    Continue,
    Delete,
    For,
    FromImport,
    FunctionDef,
    Global,
    Handler,
    If,
    Import,
    ListDisplay,
    Literal,
    Name,
    Parameter,
    Parameters,
    Pass,
    Raise,
    Return,
    Source,
    Star,
    Statement,
    Try,
    TupleDisplay,
    While,
    With,
    render,
)
from asyncbridge.errors import CodegenError, IdentifierError

A, B, X = Name("a"), Name("b"), Name("x")


def test_sequential_of_the_paper() -> None:
    """The paper's running example (sections 2 and 3) as one program."""
    model = Name("knRandomVar")
    add = model.attr("add")
    program = Block(
        (
            FromImport("keras.models", (("Sequential", None),)),
            FromImport("keras.layers", (("Dense", None), ("Activation", "Act"))),
            Assign(model, Name("Sequential").call()),
            add.call(Name("InputLayer").call(input_shape=(4,))),
            add.call(Name("Dense").call(16)),
            add.call(Name("Act").call("sigmoid")),
            Assign(TupleDisplay((A, B)), model.attr("evaluate").call(X)),
        )
    )
    assert (
        render(program)
        == """\
from keras.models import Sequential
from keras.layers import Dense, Activation as Act
knRandomVar = Sequential()
knRandomVar.add(InputLayer(input_shape=(4,)))
knRandomVar.add(Dense(16))
knRandomVar.add(Act('sigmoid'))
a, b = knRandomVar.evaluate(x)"""
    )


@pytest.mark.parametrize(
    ("node", "code"),
    [
        (Assign(A.attr("b"), X), "a.b = x"),
        (Assign(A[1:2], X), "a[1:2] = x"),
        (Assign(ListDisplay((A, Star(B))), X), "[a, *b] = x"),
        (Import("keras"), "import keras"),
        (Import("os.path", "p"), "import os.path as p"),
        (With(((A, None), (B, X)), (X,)), "with a, b as x:\n    x"),
        (
            Try(
                (A,),
                (Handler(TupleDisplay((A, B)), (Raise(),), "e"), Handler(None, ())),
                (B,),
                (X,),
            ),
            (
                "try:\n    a\nexcept (a, b) as e:\n    raise\nexcept:\n    pass\n"
                "else:\n    b\nfinally:\n    x"
            ),
        ),
        (
            FunctionDef(
                "f", Parameters((Parameter("a"),), keyword_only=(Parameter("k", B),)), (Return(A),),
                (X.call(1),),
            ),
            "@x(1)\ndef f(a, *, k=b):\n    return a",
        ),
        (
            ClassDef("C", (A,), (FunctionDef("__init__", Parameters(), (), dunder=True),),
                     (("metaclass", B),), (X,)),
            "@x\nclass C(a, metaclass=b):\n\n    def __init__():\n        pass",
        ),
        (Return(), "return"),
        (Raise(A.call("no"), B), "raise a('no') from b"),
        (
            If(A, (Pass(),), (If(B, (X,), (Literal(1),)),)),
            "if a:\n    pass\nelif b:\n    x\nelse:\n    1",
        ),
        (For(A, B, (Continue(),), (X,)), "for a in b:\n    continue\nelse:\n    x"),
        (While(A, (Break(),), (X,)), "while a:\n    break\nelse:\n    x"),
        (Delete((A, B[1])), "del a, b[1]"),
        (Global(("a", "b")), "global a, b"),
        (Source("x = 1\ny = 2"), "x = 1\ny = 2"),
        (If(A, (Block((X, Source("y = 2"))),)), "if a:\n    x\n    y = 2"),
        (Block(()), ""),
        (If(A, (Block(()),)), "if a:\n    pass"),
    ],
)  # fmt: skip
def test_rendered(node: Statement, code: str) -> None:
    """Each kind of statement renders as the code that it is named after."""
    assert render(node) == code


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: Assign(A.call(), B), "cannot assign to a Call"),
        (lambda: Assign(A + B, B), "cannot assign to a BinaryOperation"),
        (lambda: For(Literal(1), A, ()), "cannot assign to a Literal"),
        (lambda: FromImport("keras", ()), "nothing is imported"),
        (lambda: With((), ()), "at least one"),
        (lambda: With(((TupleDisplay((A, B)), None),), ()), "no context manager"),
        (lambda: With(((Literal((1, 2)), None),), ()), "no context manager"),
        (lambda: With(((A, Literal(1)),), ()), "cannot assign"),
        (lambda: Handler(None, (), "e"), "catches all"),
        (lambda: Try((A,)), "needs a handler"),
        (lambda: Try((A,), (), (B,), (X,)), "needs a handler"),
        (lambda: Try((A,), (Handler(None, ()), Handler(A, ()))), "must be the last"),
        (lambda: Raise(None, A), "needs an exception"),
        (lambda: Delete(()), "del of nothing"),
        (lambda: Delete((Literal(1),)), "cannot assign"),
        (lambda: Global(()), "global of nothing"),
        (lambda: Source("a b"), "no Python"),
        (lambda: Source("a\0b"), "no Python"),
        (lambda: ClassDef("C", (), (), (("k", A), ("k", B))), "twice"),
    ],
)
def test_refused_at_construction(build: object, reason: str) -> None:
    """What stands for no code is refused where it is built."""
    assert callable(build)
    with pytest.raises(CodegenError, match=reason):
        build()


@pytest.mark.parametrize("name", ["a b", "class", "x: 1"])
def test_names_are_checked_everywhere(name: str) -> None:
    """No place for a name lets code in."""
    for build in (
        lambda: Import(name),
        lambda: Import("a", name),
        lambda: FromImport(name, (("a", None),)),
        lambda: FromImport("a", ((name, None),)),
        lambda: FromImport("a", (("b", name),)),
        lambda: Handler(A, (), name),
        lambda: FunctionDef(name, Parameters(), ()),
        lambda: ClassDef(name, (), ()),
        lambda: ClassDef("C", (), (), ((name, A),)),
        lambda: Global((name,)),
    ):
        with pytest.raises(IdentifierError):
            build()
