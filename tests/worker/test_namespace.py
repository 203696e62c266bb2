"""The shared scope, and the running of commands in it."""

from __future__ import annotations

import builtins
import contextlib
import inspect
import linecache
import pickle
import sys
import traceback
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.errors import IdentifierError
from asyncbridge.worker.namespace import COMMAND_PREFIX, NAMESPACE_NAME, Namespace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A namespace of its own, forgotten after the test."""
    with contextlib.closing(Namespace()) as namespace:
        yield namespace


def source_files() -> set[str]:
    """Return the names of the commands whose source lines can be looked up."""
    return {name for name in linecache.cache if name.startswith(COMMAND_PREFIX)}


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("1 + 1", 2),
        ("1 + 1;", 2),
        ("x = 3\nx * 2", 6),
        ("x = 3; x * 2", 6),
        ("x = 3", None),
        ("", None),
        ("# nothing but a comment", None),
        ("'text'", "text"),
        ("1\nif True:\n    2", None),
        ("from __future__ import annotations\n5", 5),
    ],
)
def test_value(namespace: Namespace, code: str, value: object) -> None:
    """A command's value is that of its last statement, if that is an expression."""
    assert namespace.run(code) == value


def test_shared(namespace: Namespace) -> None:
    """What one command defines, the next one finds."""
    namespace.run("def double(x):\n    return 2 * x")

    assert namespace.run("double(21)") == 42
    assert namespace.names() == ("double",)


def test_future_imports_are_not_inherited(namespace: Namespace) -> None:
    """Code is compiled without the future imports of the worker's own files."""
    assert namespace.run("def f(x: int): ...\nf.__annotations__['x']") is int


def test_command_bindings(namespace: Namespace) -> None:
    """A command's bindings are gone after it."""
    assert namespace.run("a + b", {"a": 1, "b": 2}) == 3
    assert namespace.names() == ()


def test_shadowing(namespace: Namespace) -> None:
    """A name that a command's binding shadowed stands again for what it stood for."""
    namespace.run("a = 'old'")

    assert namespace.run("a", {"a": "new"}) == "new"
    assert namespace.run("a") == "old"


@pytest.mark.parametrize("code", ["a = 9", "del a", "a = 9; 1 / 0", "del a; 1 / 0", "1 / 0"])
@pytest.mark.parametrize("shadowed", [True, False])
def test_put_back(namespace: Namespace, code: str, shadowed: bool) -> None:
    """A binding's name is put back whatever the code did to it, and however it ended."""
    if shadowed:
        namespace.bind("a", "old")
    with contextlib.suppress(ZeroDivisionError):
        namespace.run(code, {"a": "new"})

    assert namespace.names() == (("a",) if shadowed else ())
    assert not shadowed or namespace.value_of("a") == "old"


def test_eternal_bindings(namespace: Namespace) -> None:
    """Eternal bindings stay, also when the code raised."""
    with pytest.raises(ZeroDivisionError):
        namespace.run("1 / 0", {"a": 1}, lifetime="eternal")

    assert namespace.run("a") == 1


def test_unknown_lifetime(namespace: Namespace) -> None:
    """A lifetime of another name is refused, with the two that there are."""
    with pytest.raises(ValueError, match="'weekly': it must be 'command' or 'eternal'"):
        namespace.run("", {}, lifetime="weekly")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "not a Python identifier"),
        ("a b", "not a Python identifier"),
        ("a.b", "not a Python identifier"),
        ("class", "keyword"),
        ("None", "keyword"),
        ("__builtins__", "two underscores"),
        ("__debug__", "two underscores"),
        ("ﬁt", "reads it as 'fit'"),
    ],
)
def test_refused_names(namespace: Namespace, name: str, reason: str) -> None:
    """A name that code could not use, or that is Python's own, is refused before anything ran."""
    for lifetime in ("command", "eternal"):
        with pytest.raises(IdentifierError, match=reason):
            namespace.run("ran = True", {"fine": 1, name: 2}, lifetime=lifetime)
    with pytest.raises(IdentifierError, match=reason):
        namespace.bind(name, 2)

    assert namespace.names() == ()


@given(name=st.text(max_size=8))
def test_every_accepted_name_is_found(name: str) -> None:
    """Whatever name is accepted, code finds the value under it, as it is written."""
    with contextlib.closing(Namespace()) as namespace:
        try:
            namespace.bind(name, "value")
        except IdentifierError:
            return
        assert namespace.run(name) == "value"


def test_uncompiled_binds_nothing(namespace: Namespace) -> None:
    """Code that does not compile binds nothing."""
    with pytest.raises(SyntaxError):
        namespace.run("a b", {"a": 1}, lifetime="eternal")

    assert namespace.names() == ()


@pytest.mark.parametrize(
    "code",
    [
        "await something()",
        "x = await something()",
        "async with a: pass",
        "async for a in b: pass",
        "[a async for a in b]",
    ],
)
def test_top_level_await(namespace: Namespace, code: str) -> None:
    """Await at the top level is a syntax error that says how commands run."""
    with pytest.raises(SyntaxError, match="commands are synchronous") as caught:
        namespace.run(code)

    assert caught.value.text == f"{code}\n"


def test_other_syntax_errors(namespace: Namespace) -> None:
    """Other syntax errors keep Python's message, and get their line of source."""
    with pytest.raises(SyntaxError) as caught:
        namespace.run("x = 1\nreturn x")

    assert caught.value.msg == "'return' outside function"
    assert (caught.value.lineno, caught.value.text) == (2, "return x\n")


def test_coroutine_function(namespace: Namespace) -> None:
    """Await inside an async function is fine."""
    code = (
        "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 7\nasyncio.run(f())"
    )

    assert namespace.run(code) == 7


def test_system_exit(namespace: Namespace) -> None:
    """SystemExit reaches the caller as the exception that it is."""
    with pytest.raises(SystemExit) as caught:
        namespace.run("import sys; sys.exit(3)")

    assert caught.value.code == 3


@pytest.mark.parametrize(
    "wreck",
    [
        "del __builtins__",
        "__builtins__ = {}",
        "del __name__",
        "__name__ = '__main__'",
        "import sys; del sys.modules[__name__]",
        "import sys; sys.modules[__name__] = None",
        "globals().clear()",
        "globals()[1] = 2",
    ],
)
def test_wrecked_scope(namespace: Namespace, wreck: str) -> None:
    """Whatever code does to the scope's own names, the next command finds them whole."""
    namespace.run(wreck)

    assert namespace.run("len('four')") == 4
    assert namespace.run("__name__") == NAMESPACE_NAME
    assert namespace.run("import sys; vars(sys.modules[__name__]) is globals()") is True
    assert "sys" in namespace.names()


def test_builtins_are_python_s_own(namespace: Namespace) -> None:
    """Commands see the very builtins of the process."""
    assert namespace.run("__builtins__") is builtins


def test_home(namespace: Namespace) -> None:
    """Classes that commands define can be pickled, and be dataclasses with string annotations."""
    point = namespace.run(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass, KW_ONLY\n"
        "@dataclass\n"
        "class Point:\n"
        "    x: int\n"
        "    _: KW_ONLY\n"
        "    y: int = 0\n"
        "Point(1, y=2)"
    )

    assert pickle.loads(pickle.dumps(point)) == point
    assert type(point).__module__ == NAMESPACE_NAME


def test_getsource(namespace: Namespace) -> None:
    """The source of a function that a command defined can be looked up."""
    namespace.run("x = 1\ndef double(x):\n    return 2 * x\n")

    double = namespace.value_of("double")
    assert callable(double)
    assert inspect.getsource(double) == "def double(x):\n    return 2 * x\n"


def test_traceback_lines(namespace: Namespace) -> None:
    """A traceback shows the command's own line, as Python counts lines."""
    with pytest.raises(ZeroDivisionError) as caught:
        namespace.run("x = '\f'\r\n\ny = x and 1 / 0\n")

    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert frame.filename.startswith(COMMAND_PREFIX)
    assert (frame.lineno, frame.line) == (3, "y = x and 1 / 0")


def test_lines_come_back(namespace: Namespace) -> None:
    """Code that clears linecache does not take the lines of later runs."""
    namespace.run("import linecache; linecache.clearcache()")

    namespace.run("'seen'")

    assert any(linecache.getline(name, 1) == "'seen'\n" for name in source_files())


def test_same_source_same_file(namespace: Namespace) -> None:
    """The file name goes by the source: equal sources share one, others have another."""
    name = "import sys; sys._getframe().f_code.co_filename"
    first = namespace.run(name)

    assert namespace.run(name) == first
    assert namespace.run(name + " ") != first


def test_cache_is_used() -> None:
    """A source is compiled once, as long as it is among the last ones used."""
    code = "import sys; sys._getframe().f_code"
    with contextlib.closing(Namespace(cache_size=2)) as namespace:
        first = namespace.run(code)
        namespace.run("1")
        assert namespace.run(code) is first
        namespace.run("2")
        assert namespace.run(code) is first
        namespace.run("3")
        namespace.run("4")
        assert namespace.run(code) is not first


def test_lines_are_bounded() -> None:
    """Source lines go with the compiled code."""
    before = source_files()
    with contextlib.closing(Namespace(cache_size=3)) as namespace:
        for number in range(20):
            namespace.run(f"{number}")
        assert len(source_files() - before) == 3
    assert source_files() == before


def test_lines_of_definitions_stay() -> None:
    """One-off commands do not take the lines of a function away; later definitions do."""
    before = source_files()
    with contextlib.closing(Namespace(cache_size=3)) as namespace:
        namespace.run("def f():\n    1 / 0")
        f = namespace.value_of("f")
        assert callable(f)
        for number in range(20):
            namespace.run(f"{number}")
        assert "1 / 0" in inspect.getsource(f)
        for number in range(20):
            namespace.run(f"def g(): return {number}")
        with pytest.raises(OSError):
            inspect.getsource(f)
        assert len(source_files() - before) == 6
    assert source_files() == before


def test_release(namespace: Namespace) -> None:
    """Release deletes what is there, and leaves Python's own names."""
    namespace.run("a = 1; b = 2")

    namespace.release(["a", "never", "__name__"])

    assert namespace.names() == ("b",)
    assert namespace.run("__name__") == NAMESPACE_NAME


def test_value_of(namespace: Namespace) -> None:
    """A name that stands for nothing is a NameError that says which."""
    namespace.bind("a", 1)

    assert namespace.value_of("a") == 1
    with pytest.raises(NameError, match="'b' is not defined in the worker"):
        namespace.value_of("b")


class Hostile:
    """Compares and hashes by raising."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    def __hash__(self) -> int:
        raise AssertionError("hashed")


def test_name_of(namespace: Namespace) -> None:
    """An object's name is found by identity, with no call of its methods."""
    first, second = Hostile(), Hostile()
    namespace.run("", {"a": first, "also_a": first, "b": second}, lifetime="eternal")

    assert namespace.name_of(first) == "a"
    assert namespace.name_of(second) == "b"
    assert namespace.name_of(Hostile()) is None


def test_name_of_follows_changes(namespace: Namespace) -> None:
    """Names are those of now: after commands, bindings and releases."""
    thing, other = object(), object()
    namespace.bind("a", thing)
    assert namespace.name_of(thing) == "a"

    namespace.run("b = a; del a")
    assert namespace.name_of(thing) == "b"

    namespace.bind("c", other)
    assert namespace.name_of(other) == "c"

    namespace.bind("d", thing)
    assert namespace.name_of(thing) == "b"
    namespace.release(["b"])
    assert namespace.name_of(thing) == "d"
    namespace.release(["d"])
    assert namespace.name_of(thing) is None


def test_name_of_is_no_stale_id(namespace: Namespace) -> None:
    """A name that something else rebound meanwhile is not told."""
    thing = object()
    namespace.bind("a", thing)
    assert namespace.name_of(thing) == "a"

    vars(sys.modules[NAMESPACE_NAME])["a"] = None

    assert namespace.name_of(thing) is None


def test_python_s_own_names_are_not_told(namespace: Namespace) -> None:
    """The builtins module stands in the scope, under no name that a client could use."""
    assert namespace.name_of(builtins) is None


def test_close() -> None:
    """A closed namespace leaves no module behind, but leaves that of another one."""
    first = Namespace()
    second = Namespace()
    first.close()
    assert NAMESPACE_NAME in sys.modules

    second.close()
    assert NAMESPACE_NAME not in sys.modules


def test_what_bindings_are_at_the_end(namespace: Namespace) -> None:
    """Who asks for it is told what their names stood for when the code ended, or failed."""
    left: dict[str, object] = {}
    with pytest.raises(ZeroDivisionError):
        namespace.run("x += 1\ndel y\nx / 0", {"x": 1, "y": 2}, left=left)
    assert left == {"x": 2}
    assert namespace.names() == ()
