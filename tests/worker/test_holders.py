"""Who keeps an object: in the words of each way there is to keep one."""

from __future__ import annotations

import functools
import gc
import sys
import threading
from collections import deque
from enum import Enum
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from asyncbridge.worker.holders import CYCLE, HOLDER_LIMIT, TEXT_LIMIT, holders_of, is_kept
from tests.limits import HANG_S


class Thing:
    """What is kept: something that the garbage collector tracks."""


class Owner:
    """An object with attributes."""

    def __init__(self, **attributes: object) -> None:
        vars(self).update(attributes)

    def method(self) -> None:
        """Be bound to an owner."""


HERE = "test_functions_that_nothing_names"


class Slotted:
    __slots__ = ("data",)


def run(code: str, value: object, **names: object) -> list[str]:
    """Run code that keeps ``v``, which is then gone; return who has it."""
    scope: dict[str, Any] = {"Owner": Owner, "Slotted": Slotted, **names, "v": value}
    exec(code, scope)
    del scope["v"]
    return holders_of(value, scope)


VALUES = [pytest.param(Thing, id="tracked"), pytest.param(lambda: np.zeros(3), id="untracked")]
WAYS = [
    ("keep = v", "name 'keep'"),
    ("cache = {'x': v}", "name 'cache': cache['x']"),
    ("cache = {(1, 2): v}", "name 'cache': cache[<tuple>]"),
    ("rows = [0, (1, v)]", "name 'rows': rows[1][1]"),
    ("pair = (1, v)", "name 'pair': pair[1]"),
    ("last = deque([1, v], maxlen=3)", "name 'last': last[1]"),
    ("model = Owner(data=v)", "name 'model': attribute data"),
    ("model = Owner(); model.data = v", "name 'model': attribute data"),
    ("model = Slotted(); model.data = v", "name 'model': attribute data"),
    ("model = Owner(parts={'x': [v]})", "name 'model': attribute parts['x'][0]"),
    ("call = partial(print, v)", "name 'call': attribute args[0]"),
    (
        "def outer(x):\n def f(): return x\n return f\ng = outer(v)",
        "the closure of function 'outer.<locals>.f' (variable x)",
    ),
    (
        "def outer(x, y):\n def f(): return y['k'], x\n return f\ng = outer(1, {'k': v})",
        "the closure of function 'outer.<locals>.f' (variable y): y['k']",
    ),
    ("def f(a, b=1, c=v): pass", "the default of argument c of function 'f'"),
    ("def f(*, a=1, c=v): pass", "the default of argument c of function 'f'"),
    ("def f(): pass\nf.data = v", "attribute 'data' of function 'f'"),
    ("class C:\n x = [v]", "attribute 'x' of class '<unknown>.C': x[0]"),
    ("def f(x):\n yield 1\n yield x\ng = f(v)\nnext(g)", "the generator 'f' (variable x)"),
    (
        "def f(x):\n yield 1\n yield x\ng = f([v])\nnext(g)",
        "the generator 'f' (variable x): [0]",
    ),
    (
        "class Step:\n def run(self): pass\ns = Step(); s.x = v; r = s.run; del s",
        "the bound method 'Step.run': x",
    ),
    ("import mymod\nmymod.STATE = v", "attribute 'STATE' of module mymod"),
    ("import mymod\nmymod.STATE = {'x': v}", "attribute 'STATE' of module mymod: STATE['x']"),
]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a module that can be imported by the name ``mymod``."""
    made = ModuleType("mymod")
    monkeypatch.setitem(sys.modules, "mymod", made)
    return made


@pytest.mark.parametrize("make", VALUES)
@pytest.mark.parametrize(("code", "told"), WAYS)
@pytest.mark.usefixtures("module")
def test_ways_to_keep(code: str, told: str, make: Any) -> None:
    """Each is told by its name, for what the collector tracks and for an array."""
    gc.collect()
    assert run(code, make(), partial=functools.partial, deque=deque) == [told]


def test_sets_and_keys() -> None:
    """Of a set there is no place to tell."""
    assert run("s = {v}", Thing()) == ["name 's': s (an element)"]
    assert run("d = {v: 1}", Thing()) == ["name 'd': d (a key)"]


@pytest.mark.asyncio
async def test_coroutines() -> None:
    """One that waits is told of."""
    code = "async def f(x): pass\nc = f(v)"
    scope: dict[str, Any] = {"v": (value := Thing())}
    exec(code, scope)
    del scope["v"]
    assert holders_of(value, scope) == ["the coroutine 'f' (variable x)"]
    await scope["c"]


def test_tracebacks() -> None:
    """An error that is kept has its functions' variables."""
    code = """
def f(x):
    raise ValueError
try:
    f(v)
except ValueError as error:
    kept = error
"""
    assert run(code, Thing()) == ["the frame of function 'f' (variable x)"]


def test_threads() -> None:
    """A thread's function that runs is told of, and keeps nothing for having been looked at."""
    ready, leave = threading.Event(), threading.Event()
    code = """
def work(x):
    x = [x]
    ready.set()
    leave.wait()
thread = threading.Thread(target=work, args=(v,), name="mine", daemon=True)
thread.start()
"""
    value = Thing()
    names = {"threading": threading, "ready": ready, "leave": leave}
    scope: dict[str, Any] = {**names, "v": value}
    exec(code, scope)
    del scope["v"]
    try:
        assert ready.wait(HANG_S)
        before = sys.getrefcount(value)
        assert set(holders_of(value, scope)) == {
            "thread 'mine': attribute _args[0]",
            "thread 'mine': function 'work' (variable x): [0]",
        }
        assert sys.getrefcount(value) == before
    finally:
        leave.set()
        scope["thread"].join(HANG_S)
    assert not is_kept(value, 1)


@pytest.mark.parametrize("make", VALUES)
def test_what_was_frozen(make: Any) -> None:
    """What was there before the collector was told to leave it alone is told of, too."""
    scope: dict[str, Any] = {"early": [1]}
    module = ModuleType("frozen_module")
    registry: dict[str, object] = {}
    vars(module)["REGISTRY"] = registry
    sys.modules["frozen_module"] = module
    try:
        gc.collect()
        gc.freeze()
        value = make()
        registry["x"] = scope["late"] = value
        assert holders_of(value, scope) == [
            "name 'late'",
            "attribute 'REGISTRY' of module frozen_module: REGISTRY['x']",
        ]
    finally:
        del sys.modules["frozen_module"]


def test_bounds() -> None:
    """A few are told, those nearest first, in short texts."""
    value = Thing()
    scope: dict[str, Any] = {f"far{n}": [[[value]]] for n in range(100)}
    scope |= {"near": [value], "k" * 1000: {"a": {"b": value}}}
    told = holders_of(value, scope)
    assert told[0] == "name 'near': near[0]"
    assert "bytes left out" in told[1]
    assert len(told) == HOLDER_LIMIT
    assert all(len(text.encode()) <= TEXT_LIMIT for text in told)


def test_what_is_the_callers_own() -> None:
    """It is left out, and so is what holds it."""
    value = Thing()
    own = {"v": value}
    scope: dict[str, Any] = {}
    outer = [own]
    assert holders_of(value, scope, ignore=[own]) == []
    scope["x"] = own
    assert holders_of(value, scope) == ["name 'x': x['v']"]
    assert holders_of(value, scope, ignore=[own]) == []
    assert outer


def test_cycles() -> None:
    """What nothing keeps but itself waits for the collector; of what is kept that is not told."""
    value = Owner()
    vars(value)["me"] = [value]
    assert holders_of(value, {}) == [CYCLE]
    assert holders_of(value, {"x": value}) == ["name 'x'"]


def test_functions_of_the_values_own() -> None:
    """What only the value itself has does not keep it."""
    value = Owner()
    value.step = value.method  # type: ignore[attr-defined]  # as Keras's models have some
    value.call = lambda: value  # type: ignore[attr-defined]
    assert holders_of(value, {}) == [CYCLE]
    assert holders_of(value, {"later": [value]}) == ["name 'later': later[0]"]


def test_functions_that_nothing_names() -> None:
    """They are told of, if that is all there is."""
    value = Thing()
    callbacks = iter([lambda value=value: value])
    told = holders_of(value, {}, ignore=[callbacks])
    assert told == [f"the default of argument value of function '{HERE}.<locals>.<lambda>'"]
    assert next(callbacks)() is value


def test_nobody() -> None:
    """Of what is free there is nothing to tell; a name of Python's own is none."""
    assert holders_of(Thing(), {}) == []
    value = Thing()
    assert holders_of(value, {"__kept__": value}) == []


def test_no_code_of_the_users_runs() -> None:
    """Neither comparing, nor hashing, nor a repr, of the value or of what holds it."""

    class Touchy:
        def __eq__(self, other: object) -> bool:
            raise AssertionError

        __hash__ = None  # type: ignore[assignment]  # as a class with __eq__ has it

        def __repr__(self) -> str:
            raise AssertionError

        def __getattribute__(self, name: str) -> Any:
            raise AssertionError

    value, holder = Touchy(), Touchy()
    object.__setattr__(holder, "data", value)
    assert holders_of(value, {"x": [holder]}) == ["name 'x': x[0].data"]


class Colour(Enum):
    RED = 1


@pytest.mark.parametrize(
    "value",
    [
        None, True, 5, 10**30, 1.5, 1j, "text", b"bytes", ..., (), Colour.RED, Thing, sys, run, len,
    ],
)  # fmt: skip
def test_what_is_shared_by_nature(value: object) -> None:
    """It is never said to be kept."""
    others = [value] * 10
    assert not is_kept(value, 1)
    assert others


@pytest.mark.parametrize(
    "make", [Thing, lambda: np.zeros(3), lambda: [1], lambda: {"a": 1}, object]
)
def test_references_are_counted(make: Any) -> None:
    """A value is kept if there are more references than the caller's own."""
    value = make()
    assert not is_kept(value, 1)
    own = [value]
    assert is_kept(value, 1)
    assert not is_kept(value, 2)
    own.clear()
    assert not is_kept(value, 1)
