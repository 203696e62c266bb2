"""Errors of a real worker's: as Python's own types, as one text, and hostile ones."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncbridge.client import connect
from asyncbridge.errors import DependencyError, NameTaken, RemoteError, WorkerLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.client import Bridge

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]

KIB = 1024
DESCRIPTORS = Path("/proc/self/fd")


async def test_errors_are_caught_as_python_s_own(connected: Callable[[], Bridge]) -> None:
    """By their type, by a base of it, and by the built-in that a class of one's own is of."""
    async with connected() as bridge:
        with pytest.raises(KeyError):
            await bridge.send("{}['k']")
        with pytest.raises(ArithmeticError):
            await bridge.send("1 / 0")
        with pytest.raises(ImportError) as no_module:
            await bridge.send("import no_such_module")
        assert no_module.value.name == "no_such_module"
        with pytest.raises(FileNotFoundError) as no_file:
            await bridge.send("open('/no/such/file')")
        assert (no_file.value.errno, no_file.value.filename) == (2, "/no/such/file")
        with pytest.raises(ValueError, match="mine") as own:
            await bridge.send("class Own(ValueError): pass\nraise Own('mine')")
        assert isinstance(own.value, RemoteError)
        assert own.value.type.endswith(".Own")
        with pytest.raises(UnicodeDecodeError, match="invalid start byte"):
            await bridge.send(r"b'\xff'.decode()")
        with pytest.raises(SyntaxError, match="was never closed"):
            await bridge.send("compile('(', 'x', 'exec')")


async def test_errors_of_our_own_are_caught_by_their_names(
    connected: Callable[[], Bridge],
) -> None:
    """With what they tell; what depends on their command is none of them."""
    async with connected() as bridge:
        code = (
            "from asyncbridge.errors import NameTaken\nraise NameTaken('no', name='m', owner='a')"
        )
        failed = bridge.send(code)
        second = bridge.send("1", after=[failed])
        with pytest.raises(NameTaken) as caught:
            await failed
        assert isinstance(caught.value, RemoteError)
        assert (caught.value.name, caught.value.owner) == ("m", "a")
        with pytest.raises(DependencyError) as dependent:
            await second
        assert not isinstance(dependent.value, NameTaken)
        assert isinstance(dependent.value.cause, NameTaken)


async def test_an_error_has_its_command(connected: Callable[[], Bridge]) -> None:
    """With number, code, names and place; so has that of the command which it depends on."""
    async with connected() as bridge:
        first = bridge.send("a / b", {"a": 1, "b": 0}, name="ratio")
        second = bridge.send("1", after=[first])
        with pytest.raises(RemoteError) as caught:
            await first
        command = caught.value.command
        assert command is not None
        assert (command.id, command.code, command.bindings) == (1, "a / b", ("a", "b"))
        assert command.name == "ratio"
        assert "test_errors.py:" in command.sent_from
        with pytest.raises(DependencyError) as dependent:
            await second
        assert dependent.value.cause is not None
        assert dependent.value.cause.command == command
        assert not isinstance(dependent.value, ArithmeticError)
        copied = pickle.loads(pickle.dumps(caught.value))
        assert (type(copied), str(copied)) == (type(caught.value), str(caught.value))


STEERING = {
    "SystemExit": "raise SystemExit(3)",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "StopIteration": "next(iter(()))",
    "StopAsyncIteration": "raise StopAsyncIteration",
    "asyncio.exceptions.CancelledError": "import asyncio\nraise asyncio.CancelledError",
    "asyncbridge_namespace.Own": "class Own(BaseException): pass\nraise Own('o')",
    "asyncbridge_namespace.Leave": "class Leave(SystemExit): pass\nraise Leave('o')",
}


async def test_what_steers_a_program_steers_neither_side(connected: Callable[[], Bridge]) -> None:
    """It is a plain RemoteError here, and the worker lives."""
    async with connected() as bridge:
        for name, code in STEERING.items():
            outcome = (await asyncio.gather(bridge.send(code), return_exceptions=True))[0]
            assert type(outcome) is RemoteError
            assert outcome.type == name
        pid = await bridge.send("import os\nos.getpid()")
        assert (await bridge.info()).pid == pid


LIBRARY = "/somewhere/site-packages/keras/src/layer.py"
CALLING_BACK = f"""
scope = {{}}
exec(compile(
    "def outer(f): return middle(f)\\ndef middle(f): return inner(f)\\ndef inner(f): return f()",
    {LIBRARY!r}, "exec"), scope)
def mine():
    raise RuntimeError("in the callback")
scope["outer"](mine)
"""


async def test_frames_of_frameworks_are_folded(
    connected: Callable[[], Bridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One's own above and below them are shown; the whole is there, too."""
    monkeypatch.delenv("ASYNCBRIDGE_FULL_TRACEBACK", raising=False)
    async with connected() as bridge:
        with pytest.raises(RuntimeError, match="in the callback") as caught:
            await bridge.send(CALLING_BACK)
        error = caught.value
        assert isinstance(error, RemoteError)
        lines = [line.strip() for line in str(error).splitlines()]
        assert "... 3 frames in keras" in lines
        assert 'scope["outer"](mine)' in lines
        assert 'raise RuntimeError("in the callback")' in lines
        assert LIBRARY not in str(error)
        assert error.full_text.count(LIBRARY) == 3
        assert [frame[2] for frame in error.frames] == [
            *("<module>", "outer", "middle", "inner", "mine"),
        ]


async def test_variables_come_only_if_asked_for(connected: Callable[[], Bridge]) -> None:
    """They may hold secrets."""
    code = "def f(password):\n    total = [1, 2]\n    return total[password]\nf(given)"
    async with connected() as bridge:
        with pytest.raises(RemoteError) as caught:
            await bridge.send(code, {"given": "xyzzy"})
        assert caught.value.locals == ()
        assert "xyzzy" not in str(caught.value)
    async with connect(backend=None, locals=True) as bridge:
        with pytest.raises(RemoteError) as caught:
            await bridge.send(code, {"given": "xyzzy"})
        assert caught.value.locals == (
            {"given": "'xyzzy'"},
            {"password": "'xyzzy'", "total": "[1, 2]"},
        )
        assert "total = [1, 2]" in str(caught.value)


PREPARED = """
import sys
class Act(Exception):
    def __init__(self, **methods):
        self.methods = methods
    def __str__(self):
        return self.methods['str']()
    def __repr__(self):
        return self.methods['repr']()
def leave():
    raise SystemExit('from within')
def forever():
    return str(Act(str=forever))
class OwnClass(Exception):
    __class__ = property(lambda self: leave())
    __notes__ = property(lambda self: leave())
    __cause__ = property(lambda self: leave())
    __traceback__ = property(lambda self: leave())
class Init(Exception):
    def __init__(self):
        raise Init2
class Init2(BaseException):
    def __getattribute__(self, name):
        raise SystemExit(name)
def ring():
    a, b, c = ValueError('a'), ValueError('b'), ValueError('c')
    a.__cause__, b.__cause__, c.__cause__ = b, c, a
    return a
def own_ring():
    a = ValueError('a')
    group = ExceptionGroup('g', [a])
    a.__cause__ = group
    return group
def chain(count):
    error = ValueError(0)
    for n in range(count):
        newer = ValueError(n)
        newer.__cause__, error = error, newer
    return error
def deep(n):
    return deep(n - 1) if n else 1 / 0
def recurse():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        deep(10_000)
    finally:
        sys.setrecursionlimit(limit)
def nested(count):
    error = ValueError('inmost')
    for _ in range(count):
        error = ExceptionGroup('g', [error])
    return error
def noted(notes):
    error = ValueError('noted')
    error.__notes__ = notes
    return error
"""
HOSTILE = {
    "str raises": "raise Act(str=leave)",
    "str gives no text": "raise Act(str=lambda: 3)",
    "str loops": "raise Act(str=forever)",
    "repr raises, in a KeyError": "raise KeyError(Act(repr=leave))",
    "attributes that raise": "raise OwnClass('x')",
    "init raises": "raise Init",
    "ring of causes": "raise ring()",
    "ring through a group": "raise own_ring()",
    "long chain": "raise chain(10_000)",
    "message of 10 MB": "raise ValueError('HEAD' + 'x' * 10_000_000 + 'TAIL')",
    "notes of 10 MB": "raise noted(['x' * 10_000_000] * 20)",
    "notes that raise": "raise noted([Act(str=leave), 3])",
    "10,000 frames": "recurse()",
    "endless recursion": "def f(): f()\nf()",
    "group of 10,000": "raise ExceptionGroup('g', [ValueError(n) for n in range(10_000)])",
    "nested groups": "raise nested(2_000)",
    "surrogates": "raise ValueError('\\ud800 \\udfff')",
    "escapes": "raise ValueError('\\x1b[2J\\x1b]0;title\\x07 \\r\\x00\\x85 \\u202e')",
    "huge name": "raise type('N' * 10_000_000, (Exception,), {})('n')",
    "odd name": "raise type('\\ud800\\n\\x1b[2J \\'', (Exception,), {'__module__': 5})('n')",
    "long line": "x = 1 / 0, [" + "1, " * 100_000 + "]",
}


@pytest.mark.parametrize("variables", [False, True], ids=["", "locals"])
async def test_hostile_errors(variables: bool) -> None:
    """Each is a RemoteError with a bounded text that steers nothing, and the next command works."""
    async with connect(backend=None, locals=variables) as bridge:
        await bridge.send(PREPARED)
        pid = (await bridge.info()).pid
        for what, code in HOSTILE.items():
            outcome = (await asyncio.gather(bridge.send(code), return_exceptions=True))[0]
            assert isinstance(outcome, RemoteError), what
            for text in (str(outcome), outcome.full_text):
                assert len(text.encode()) < 80 * KIB, what
                assert text.replace("\n", "").replace("\t", "").isprintable(), what
            assert len(outcome.message.encode()) <= 4 * KIB, what
            assert len(outcome.type) < 2 * KIB, what
            assert len(outcome.frames) <= 60, what
            assert await bridge.send("import os\nos.getpid()") == pid, what


ACTS: tuple[tuple[str, object], ...] = (
    ("import os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)", ValueError),
    ("os.close(0); os.close(1); os.close(2)\n'closed'", "closed"),
    ("import faulthandler\nfaulthandler.disable()\n'disabled'", "disabled"),
    ("pid = os.fork()\nif not pid: os._exit(3)\nos.waitpid(pid, 0)[1] >> 8", 3),
    (
        "import sys\nsys.unraisablehook = None\nsys.stderr = sys.stdout = None",
        None,
    ),
    ("import threading\nt = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()", None),
    ("threading.excepthook = None\nthreading.Thread(target=lambda: 1 / 0).start()", RuntimeError),
    ("import linecache\nlinecache.getline = None\n{}['k']", KeyError),
)


async def test_code_that_steers_its_process() -> None:
    """Signals, forks, closed output and broken hooks: each outcome is told, and the next."""
    async with connect(backend=None, locals=True) as bridge:
        pid = (await bridge.info()).pid
        for code, expected in ACTS:
            outcome = (await asyncio.gather(bridge.send(code), return_exceptions=True))[0]
            if isinstance(expected, type):
                assert isinstance(outcome, expected), code
            else:
                assert outcome == expected, code
            assert await bridge.send("import os\nos.getpid()") == pid, code


async def test_code_that_closes_all_descriptors_ends_its_worker_alone(
    connected: Callable[[], Bridge],
) -> None:
    """Its promise knows, in time; another bridge, and this process, go on."""
    async with connected() as other, connected() as bridge:
        before = len([*DESCRIPTORS.iterdir()])
        with pytest.raises((WorkerLost, RemoteError)):
            await asyncio.wait_for(bridge.send("import os\nos.closerange(0, 4096)\n1 / 0"), 60)
        assert await other.send("1 + 1") == 2
        assert len([*DESCRIPTORS.iterdir()]) <= before


IN_A_CALLBACK = """
import keras, numpy
class Leave(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise SystemExit("enough")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
model.compile(loss="mse")
model.fit(numpy.ones((8, 4)), numpy.ones((8, 3)), callbacks=[Leave()], verbose=0)
"""


@pytest.mark.slow
@pytest.mark.tensorflow
async def test_an_exit_in_a_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the training alone; the text has the callback's line between Keras's frames."""
    monkeypatch.delenv("ASYNCBRIDGE_FULL_TRACEBACK", raising=False)
    async with connect() as bridge:
        with pytest.raises(RemoteError, match="SystemExit: enough") as caught:
            await bridge.send(IN_A_CALLBACK)
        assert type(caught.value) is RemoteError
        text = str(caught.value)
        assert " frames in keras" in text
        assert 'raise SystemExit("enough")' in text
        assert "site-packages" not in text
        with pytest.raises(ValueError, match="rellu"):
            await bridge.send("keras.layers.Dense(3, activation='rellu')")
        assert await bridge.send("1 + 1") == 2
