"""Shipped functions: run from their code alone, they give what they give here."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import dataclasses
import functools
import math
import os.path
import xml.dom.minidom
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np
import pytest

from asyncbridge.codegen import Block, Name, Shipped, call, random_name, render, ship
from asyncbridge.errors import CodegenError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

scale = 3
weights = {"a": [1.0, 2.0]}


def run(function: Callable[..., object], *args: object, **keywords: object) -> object:
    """Do what a worker does with a shipped function: run its program in an empty namespace."""
    shipped = ship(function)
    places = [random_name() for _ in args]
    named = {keyword: random_name() for keyword in keywords}
    code = render(call(shipped, places, named))
    given = {**shipped.bindings, **dict(zip(places, args, strict=True))}
    given |= {named[keyword]: value for keyword, value in keywords.items()}
    namespace = dict(given)
    try:
        return evaluate(code, namespace)
    finally:
        assert namespace.keys() - {"__builtins__"} == given.keys(), "a name was left behind"


def evaluate(code: str, namespace: dict[str, object]) -> object:
    """Execute a program and return the value of its last expression."""
    program = ast.parse(code)
    last = program.body.pop()
    assert isinstance(last, ast.Expr)
    exec(compile(program, "<shipped>", "exec"), namespace)
    return eval(compile(ast.Expression(last.value), "<shipped>", "eval"), namespace)


def uses_global(x: int) -> int:
    """Use a number of the module."""
    return x * scale


def uses_modules(x: list[float]) -> object:
    """Use modules, one by an alias, one by its submodules."""
    return (
        math.sqrt(4),
        os.path.normpath("a//b"),
        xml.dom.minidom.Document.__name__,
        np.linalg.norm(x),
    )


def uses_installed(xs: list[int]) -> tuple[float, object]:
    """Use functions of installed modules."""
    return mean(xs), functools.reduce(lambda a, b: a + b, xs)


def uses_helper(x: int) -> int:
    """Use a function of the same module."""
    return uses_global(x) + 1


def factorial(n: int) -> int:
    """Call itself."""
    return 1 if n == 0 else n * factorial(n - 1)


def is_even(n: int) -> bool:
    """Call what calls this one."""
    return n == 0 or is_odd(n - 1)


def is_odd(n: int) -> bool:
    """Call what calls this one."""
    return n != 0 and is_even(n - 1)


def countdown(n: int) -> list[int]:
    """Call what has this one as its default."""
    return stepped(n)


def stepped(n: int, then: Callable[[int], list[int]] = countdown) -> list[int]:
    """Call a default."""
    return [n, *then(n - 1)] if n else []


def with_defaults(
    x: int,
    y: object = (1, [2]),
    *,
    z: object = None,
    w: object = np.float64(2),
    f: object = factorial,
) -> tuple[object, ...]:
    """Have defaults of every kind."""
    return x, y, z, w, f(3)  # type: ignore[operator]  # it is factorial


def with_every_parameter(a: int, /, b: int = 2, *rest: int, k: int = 4, **more: int) -> object:
    """Have parameters of every kind."""
    return a, b, rest, k, more


def has_scopes(xs: list[int]) -> object:
    """Have a class, a nested function, a comprehension and a walrus."""

    @dataclasses.dataclass
    class Pair:
        left: int
        right: int = scale

        def total(self) -> int:
            return self.left + self.right

    count = 0

    def add(x: int) -> int:
        nonlocal count
        count += 1
        return Pair(x).total()

    result = {f"{x!r:>{scale}}": add(x) for x in xs if (half := x / 2) >= 0}
    return result, count, half


def doubled(function: Callable[..., int]) -> Callable[..., int]:
    """Double what the function gives, in the way of ``functools.wraps``."""

    @functools.wraps(function)
    def wrapper(*args: int) -> int:
        return 2 * function(*args)

    return wrapper


@doubled
def decorated(x: int) -> int:
    """Stand under a decorator of the same module."""
    return x + scale


@functools.cache
def fibonacci(n: int) -> int:
    """Stand under a decorator that makes no function."""
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@contextlib.contextmanager
def opened(x: int) -> Generator[int]:
    """Be a generator that a decorator made a function of."""
    yield x + scale


def uses_decorated(x: int) -> int:
    """Use all that is decorated."""
    with opened(x) as value:
        return value + decorated(x) + fibonacci(x)


def raises(x: int) -> object:
    """Raise."""
    raise ValueError(x)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (uses_global, (2,)),
        (uses_modules, ([3.0, 4.0],)),
        (uses_installed, ([1, 2],)),
        (uses_helper, (2,)),
        (factorial, (5,)),
        (is_even, (7,)),
        (countdown, (3,)),
        (with_defaults, (1,)),
        (with_every_parameter, (1, 2, 3)),
        (has_scopes, ([1, 2],)),
        (decorated, (2,)),
        (fibonacci, (30,)),
        (uses_decorated, (4,)),
        (mean, ([1, 2, 6],)),
        (lambda x, y=scale: x * y + scale, (2,)),
        (functools.partial(with_every_parameter, 1, k=5), (3,)),
        (functools.partial(functools.partial(lambda a, b, c: (a, b, c), 1), c=factorial), (3,)),
    ],
)  # fmt: skip
def test_gives_what_the_direct_call_gives(
    function: Callable[..., object], args: list[object]
) -> None:
    """A shipped function returns what it returns here, and leaves no name in the namespace."""
    if isinstance(function, functools.partial) and function.keywords.get("c") is factorial:
        result = run(function, *args)
        assert isinstance(result, tuple)
        assert (*result[:2], result[2](4)) == (1, 3, 24)
    else:
        assert run(function, *args) == function(*args)


def test_keywords() -> None:
    """Keywords reach the function under their own names."""
    assert run(with_every_parameter, 1, b=3, k=5, extra=6) == (1, 3, (), 5, {"extra": 6})


def test_closures() -> None:
    """Cells become bindings, and functions in cells travel too, themselves included."""
    offset, array = 2, np.arange(3)

    def inner(x: int) -> int:
        return x + offset if x > 3 else outer(x + 1)

    def outer(x: int) -> int:
        return inner(x) * int(array.sum())

    assert run(outer, 1) == outer(1)


def test_nothing_is_left_behind_when_it_raises() -> None:
    """The namespace is as clean after a failure (``run`` looks)."""
    with pytest.raises(ValueError, match="7"):
        run(raises, 7)


def test_values_are_bindings_in_the_order_of_parameters() -> None:
    """Values travel by identity, once each, under names that nobody else uses."""

    def uses_values() -> object:
        return weights, scale, weights

    shipped = ship(uses_values)
    assert list(map(id, shipped.bindings.values())) == [id(scale), id(weights)]
    assert all(len(name) == 25 for name in shipped.bindings)
    assert shipped.name not in shipped.bindings


def test_the_code_is_readable() -> None:
    """The factory forgets its own name, imports, defines what is needed, and returns."""

    def area(r: float, k: float = 1.0) -> float:
        return math.pi * r**2 * k * scale

    shipped = ship(area)
    assert (
        render(shipped.definition)
        == f"""\
def {shipped.name}(scale):
    global {shipped.name}
    del {shipped.name}
    import math

    def area(r, k=1.0):
        return math.pi * r ** 2 * k * scale
    return area"""
    )
    (binding,) = shipped.bindings
    assert render(call(shipped, ["x"], {"k": "y"})).splitlines()[-1] == (
        f"{shipped.name}({binding})(x, k=y)"
    )


def test_the_function_itself_may_be_an_argument() -> None:
    """``Shipped.function`` stands for the function in any code after its definition."""
    shipped = ship(uses_global)
    program = Block(
        (shipped.definition, Name("list").call(Name("map").call(shipped.function, [1, 2])))
    )
    assert evaluate(render(program), dict(shipped.bindings)) == [3, 6]


def test_shipped_is_data() -> None:
    """What ``ship`` returns never changes."""
    shipped = ship(factorial)
    assert isinstance(shipped, Shipped)
    with pytest.raises(dataclasses.FrozenInstanceError):
        shipped.name = "x"  # type: ignore[misc]  # what is tested


def generator() -> Iterator[int]:
    """Yield."""
    yield 1


async def coroutine() -> int:
    """Await."""
    await asyncio.sleep(0)
    return 1


async def asynchronous_generator() -> AsyncIterator[int]:
    """Yield, asynchronously."""
    yield 1


class Callable_:  # noqa: N801 - only its method is meant
    """An object with a method."""

    def method(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (generator, "is a generator.*return a list"),
        (coroutine, "is async.*plain def"),
        (asynchronous_generator, "is async"),
        (Callable_().method, "bound method.*takes the object as an argument"),
        (functools.partial(Callable_().method), "bound method"),
        (len, "wrap it in a def or a lambda"),
        (dict, "wrap it in a def or a lambda"),
        (np.add, "wrap it in a def or a lambda"),
        (functools.cache(lambda x: x), "ship the plain function"),
    ],
)
def test_what_cannot_be_shipped_says_what_to_do(
    function: Callable[..., object], reason: str
) -> None:
    """Each refusal names the reason and the way out."""
    with pytest.raises(CodegenError, match=reason):
        ship(function)
