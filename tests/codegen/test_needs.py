"""What code takes from the namespace."""

from __future__ import annotations

import pytest

from asyncbridge.codegen.needs import needs_of


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("1 + 1", ""),
        ("x", "x"),
        ("x = 1; x", ""),
        ("x = x + 1", "x"),
        ("x += 1", "x"),
        ("print(x)", "x"),
        ("import numpy as np; np.zeros(3)", ""),
        ("import os.path; os.path.join", ""),
        ("from math import pi; pi", ""),
        ("np.zeros(3)", "np"),
        ("for i in range(3): print(i)", ""),
        ("for i in x: print(i)", "x"),
        ("[i for i in x]", "x"),
        ("[i + y for i in range(3)]", "y"),
        ("{k: v for k, v in x.items() if v in z}", "x z"),
        ("i; i = 1", "i"),
        ("def f(a, b=c): return a + d\nf(1)", "c d"),
        ("def f(): return later\nlater = 1\nf()", ""),
        ("lambda a: a + b", "b"),
        ("class A(B):\n    x = 1\n    def f(self): return y", "B y"),
        ("try:\n    x\nexcept ValueError as e:\n    print(e)", "x"),
        ("with open(p) as f: f.read()", "p"),
        ("(y := x) + y", "x"),
        ("a = b = c", "c"),
        ("a, b = b, a", "a b"),
        ("x[0] = 1", "x"),
        ("x.y = 1", "x"),
        ("del x", ""),
        ("match v:\n    case {'a': a, **rest}: print(a, rest)\n    case [b, *c]: print(b, c)", "v"),
        ("@deco\ndef f(): pass", "deco"),
        ("def f():\n    global g\n    g = 1\nf()\ng", "g"),
        ("f'{x!r:{width}}'", "x width"),
        ("no Python (", ""),
    ],
)
def test_what_it_reads(source: str, names: str) -> None:
    """Before it has set it, at its own level; anywhere at all inside of functions."""
    assert sorted(needs_of(source).names) == sorted(names.split())


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = 1\nimport a.b\nfrom c import d as e\ndef f(): pass\nclass G: h = 1", "G a e f x"),
        ("for i in range(3): j = i", "i j"),
        ("def f():\n    global g\n    g = 1", "f g"),
        ("[i for i in range(3)]", ""),
    ],
)
def test_what_it_sets(source: str, names: str) -> None:
    """At the level that commands share."""
    assert sorted(needs_of(source).sets) == sorted(names.split())


@pytest.mark.parametrize(
    "source",
    ["globals()['x']", "eval('x')", "def f(): exec(y)", "from os import *\npath", "vars()"],
)
def test_what_cannot_be_seen(source: str) -> None:
    """Is said."""
    assert needs_of(source).hides


@pytest.mark.parametrize("source", ["def eval(x): return x\neval(1)", "x.eval()", "model.vars"])
def test_names_that_only_look_like_it(source: str) -> None:
    """Do not count."""
    assert not needs_of(source).hides
