"""Isolation: a function's definition alone, and the names that it takes from around itself."""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from asyncbridge.codegen.isolation import binds, free_names, isolate
from asyncbridge.errors import CodegenError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FunctionType

    from nowhere import Unknown  # type: ignore[import-not-found]  # there only to be annotated

limit = 3


def annotated(x: Unknown, *args: Unknown, k: Unknown = 1) -> Unknown:
    """Sum up."""
    total: Unknown = x
    unset: Unknown  # noqa: F842  # pyright: ignore[reportUnusedVariable] - the case itself
    return total + len(args) + k


def with_class(size: int) -> object:
    """Return an instance of a class of its own."""

    @dataclass
    class Point:
        x: Unknown
        y: int = size

    return Point(1)


def with_scopes(xs: list[float]) -> object:
    """Use names of every kind; never called."""
    import json  # noqa: PLC0415 - the case itself

    inner = [y * limit for y in xs]
    return json.dumps([math.sqrt(z) for z in inner]), (lambda q: q + absent)  # type: ignore[name-defined]  # noqa: F821


def source(function: Callable[..., object]) -> str:
    """Return the isolated source."""
    return ast.unparse(isolate(as_plain(function)))


def as_plain(function: Callable[..., object]) -> FunctionType:
    """Narrow the type for the checker."""
    return function  # type: ignore[return-value]  # every function here is a plain one


def names(function: Callable[..., object]) -> list[str]:
    """Return the free names."""
    plain = as_plain(function)
    return free_names(isolate(plain), plain.__code__.co_freevars)


def test_annotations_and_defaults_stay_behind() -> None:
    """Neither travels: the one was evaluated here or never, the other's value is known."""
    assert source(annotated) == (
        'def annotated(x, *args, k):\n    """Sum up."""\n    total = x\n    pass\n'
        "    return total + len(args) + k"
    )


def test_a_class_keeps_its_annotations_unevaluated() -> None:
    """A class within the function may be made of its annotations; they stay text."""
    assert "x: 'Unknown'\n" in source(with_class)
    assert "y: 'int' = size" in source(with_class)


def test_free_names_are_those_of_no_scope_within() -> None:
    """Arguments, locals and imports are the function's own; all else is free."""
    assert names(with_scopes) == ["absent", "limit", "math"]
    assert names(annotated) == ["len"]


def test_nested_functions_and_lambdas_are_found() -> None:
    """A nested def, and a lambda in the midst of an expression, are isolated from their file."""
    offset = 2

    def nested(x: int) -> int:
        return x + offset

    functions: list[Callable[..., object]] = [sorted, lambda x: x * offset]
    assert source(nested) == "def nested(x):\n    return x + offset"
    assert source(functions[1]) == "lambda x: x * offset"
    assert names(nested) == names(functions[1]) == ["offset"]


def test_lambdas_on_one_line_are_told_apart() -> None:
    """Of several lambdas on a line, each is found by its code, a nested one too."""
    first, second, third = (lambda x: x + 1), (lambda x: x - 1), (lambda x, y=lambda: 0: x - 2)
    outer = lambda x: lambda y: x + y  # noqa: E731 - the case itself
    inner: Callable[..., object] = outer(1)  # type: ignore[no-untyped-call]  # a lambda has no types
    assert [source(each) for each in (first, second, third, inner)] == [
        "lambda x: x + 1",
        "lambda x: x - 1",
        "lambda x, y: x - 2",
        "lambda y: x + y",
    ]


def test_code_without_a_file_is_refused() -> None:
    """A function made by ``exec`` has no source, and the error says what to do."""
    scope: dict[str, Callable[..., object]] = {}
    exec("def f(): return 1", scope)
    with pytest.raises(CodegenError, match="has no source to ship"):
        isolate(as_plain(scope["f"]))


def test_code_that_changed_on_disk_is_refused(tmp_path: Path) -> None:
    """A source that is no longer the function's is not shipped in its place."""
    path = tmp_path / "changing.py"
    path.write_text("def f(x):\n    return x\n")
    scope: dict[str, Callable[..., object]] = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    assert source(scope["f"]) == "def f(x):\n    return x"
    path.write_text("import math\n\n\ndef f(x):\n    return -x\n")
    with pytest.raises(CodegenError, match="reload what has changed"):
        isolate(as_plain(scope["f"]))
    path.write_text("def f(:\n# broken while it is edited\n")
    with pytest.raises(CodegenError, match="is no Python"):
        isolate(as_plain(scope["f"]))


class Tied:
    """Methods that lean on their class."""

    __secret = 1

    def uses_super(self) -> str:
        return super().__repr__()

    def uses_private(self) -> int:
        return self.__secret

    def plain(self) -> object:
        return self


@pytest.mark.parametrize(
    ("method", "reason"),
    [(Tied.uses_super, "super"), (Tied.uses_private, "private name '__secret'")],
)
def test_what_only_a_class_gives_is_refused(method: Callable[..., object], reason: str) -> None:
    """A method that needs its class is refused; one that does not is a function."""
    with pytest.raises(CodegenError, match=reason):
        isolate(as_plain(method))
    assert source(Tied.plain) == "def plain(self):\n    return self"


def test_global_declarations_are_refused() -> None:
    """A function that declares a global would change the worker's instead."""

    def count() -> None:
        global limit  # noqa: PLW0603 - the case itself
        limit += 1

    with pytest.raises(CodegenError, match="declares 'limit' global"):
        names(count)


def test_rebinding_a_closure_is_refused() -> None:
    """An assignment to a nonlocal around the function is refused; to one within, it is not."""
    total = 0

    def outside() -> None:
        def inner() -> None:
            nonlocal total
            total += 1

        inner()

    def within() -> int:
        total = 1

        def inner() -> None:
            nonlocal total
            total += 1

        inner()
        return total

    with pytest.raises(CodegenError, match="nonlocal 'total'"):
        names(outside)
    assert names(within) == []


@pytest.mark.parametrize(
    ("code", "bound"),
    [
        ("def f(x): pass", True),
        ("def f(): x = 1", True),
        ("def f(): import x.y", True),
        ("def f(): import y as x", True),
        ("def f():\n try: pass\n except E as x: pass", True),
        ("def f():\n def x(): pass", True),
        ("def f():\n match a:\n  case {**x}: pass", True),
        ("def f():\n match a:\n  case [*x]: pass", True),
        ("def f(): global x", True),
        ("def f(): return [x.y, f(x=1)]", False),
        ("def x(): pass", False),
    ],
)
def test_binds(code: str, bound: bool) -> None:
    """A definition binds what it assigns in any way, and not its own name."""
    definition = ast.parse(code).body[0]
    assert isinstance(definition, ast.FunctionDef)
    assert binds(definition, "x") is bound
