"""Exceptions as data: what is told, how it reads, and that nothing can break it."""

from __future__ import annotations

import gc
import sys
import traceback
import weakref
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.errors import InUse, NameTaken, StaleReference
from asyncbridge.outcome import Error, capture
from asyncbridge.worker import faults, frames, guards
from asyncbridge.worker.faults import describe, release
from asyncbridge.worker.namespace import NAMESPACE_NAME, Namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncbridge.protocol.messages import Fault


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A namespace of its own, forgotten after the test."""
    with closing(Namespace()) as namespace:
        yield namespace


def raised(call: Callable[..., object], *args: object) -> BaseException:
    """Return what the call raises, with a traceback that begins in the called function."""
    outcome = capture(call, *args)
    assert isinstance(outcome, Error)
    return outcome.error


def fault_of(namespace: Namespace, code: str, **bindings: object) -> Fault:
    """Describe what the code raises, as the worker does."""
    return describe(raised(namespace.run, code, bindings), name_of=namespace.name_of)


def causes(fault: Fault) -> Iterator[Fault]:
    """Yield the fault's causes, newest first."""
    cause = fault.cause
    while cause is not None:
        yield cause
        cause = cause.cause


def test_fault(namespace: Namespace) -> None:
    """A fault tells type, message and the frames from the generated code inwards."""
    fault = fault_of(namespace, "def f(x):\n    return 1 / x\n\nf(0)\n")

    assert (fault.type, fault.message) == ("ZeroDivisionError", "division by zero")
    filename = fault.frames[0][0]
    assert filename.startswith("<command ")
    assert fault.frames == (
        (filename, 4, "<module>", "f(0)"),
        (filename, 2, "f", "return 1 / x"),
    )
    assert (fault.notes, fault.cause, fault.subjects) == ((), None, ())


@pytest.mark.parametrize(
    "code",
    [
        "1 / 0",
        "def f(x):\n    return 1 + (2 / x) + 1\n\nf(0)\n",
        "raise KeyError('käse')",
        "raise ValueError",
        "raise ValueError('two\\nlines')",
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError(1) from error",
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    {}['k']",
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise KeyError(1) from None",
        (
            "try:\n    e = ValueError('v'); e.add_note('one'); e.add_note('two\\nlines'); raise e\n"
            "except ValueError as e:\n    raise KeyError('k') from e"
        ),
        "class Own(Exception): pass\nraise Own('mine')",
        "def f(n):\n    return f(n - 1) if n else 1 / 0\nf(40)",
        "import json; json.loads('{')",
        "import ast; ast.parse('x = = 1')",
        "exec(compile('if True:\\nx = 1', 'made.py', 'exec'))",
    ],
)
def test_text_is_python_s(namespace: Namespace, code: str) -> None:
    """The text is what Python itself would print, from the generated code inwards."""
    error = raised(namespace.run, code)
    # Take off the frames of the namespace, as describe does.
    step = error.__traceback__
    while step is not None and not step.tb_frame.f_code.co_filename.startswith("<command "):
        step = step.tb_next
    expected = "".join(traceback.format_exception(error.with_traceback(step)))

    assert describe(error).text == expected.rstrip("\n")


def test_carets(namespace: Namespace) -> None:
    """The text marks the part of a generated line that raised."""
    fault = fault_of(namespace, "1 + (2 / 0) + 1")

    assert fault.text.splitlines()[-3:] == [
        "    1 + (2 / 0) + 1",
        "         ~~^~~",
        "ZeroDivisionError: division by zero",
    ]


def test_syntax_error(namespace: Namespace) -> None:
    """A syntax error in a command shows its line with a caret, and no frames of the worker."""
    fault = fault_of(namespace, "x = 1\ny = = 2\n")

    assert fault.type == "SyntaxError"
    assert fault.frames == ()
    filename = fault.text.partition('"')[2].partition('"')[0]
    assert fault.text.splitlines() == [
        f'  File "{filename}", line 2',
        "    y = = 2",
        "        ^",
        "SyntaxError: invalid syntax",
    ]
    assert fault.message == f"invalid syntax ({filename}, line 2)"


def test_await_error(namespace: Namespace) -> None:
    """A top-level await is shown like any syntax error, with the reason."""
    fault = fault_of(namespace, "x = 1\nawait x\n")

    assert "    await x\n    ^^^^^^^\nSyntaxError: 'await' outside function: " in fault.text
    assert "commands are synchronous" in fault.message


def test_syntax_error_in_a_long_line(namespace: Namespace) -> None:
    """A long line is cut, and gets no caret in a wrong place."""
    fault = fault_of(namespace, "x = [" + "1, " * 5000 + "= ]")

    assert len(fault.text) < 2 * guards.LINE_LIMIT
    assert "bytes left out" in fault.text
    assert "^" not in fault.text
    assert fault.text.endswith("SyntaxError: invalid syntax")


def test_long_source_line(namespace: Namespace) -> None:
    """A long source line is cut, in the frames and in the text."""
    fault = fault_of(namespace, "x = 1 / 0, [" + "1, " * 5000 + "]")

    assert len(fault.frames[0][3]) <= guards.LINE_LIMIT
    assert len(fault.text) < 2 * guards.LINE_LIMIT


def test_worker_s_own_error(namespace: Namespace) -> None:
    """An error with no generated code in it keeps the innermost frame of the worker's."""
    fault = describe(raised(namespace.run, "", {"class": 1}))

    assert fault.type == "asyncbridge.errors.IdentifierError"
    assert [frame[2] for frame in fault.frames] == ["_check_name"]


@pytest.mark.parametrize(
    ("error", "details"),
    [
        (NameTaken("no", name="m", owner="night"), {"name": "m", "owner": "night"}),
        (InUse("no", name="m", holders=("a", "b")), {"name": "m", "holders": "a\nb"}),
        (
            StaleReference("no", number=7, incarnation="ab", died_at=1.5, reason="r"),
            {"number": "7", "incarnation": "ab", "died_at": "1.5", "reason": "r"},
        ),
        (StaleReference("no"), {"number": "0", "incarnation": "", "reason": ""}),
        (NameTaken.__new__(NameTaken, "no"), {}),
        (NameTaken("no", name=["m"], owner="x" * 4000), {"owner": ANY}),  # type: ignore[arg-type]
    ],
)
def test_what_our_own_errors_tell(error: Exception, details: dict[str, str]) -> None:
    """Their attributes, as texts of a bounded size, as far as they are of the right types."""
    fault = describe(error)

    assert (fault.type, fault.base) == (f"asyncbridge.errors.{type(error).__name__}", "")
    assert fault.message == "no"
    assert dict(fault.details) == details
    assert all(len(text.encode()) <= guards.LINE_LIMIT for _, text in fault.details)


def test_an_error_derived_from_our_own() -> None:
    """It has that one's name as its base; its own properties are not asked."""

    class Mine(NameTaken):
        @property
        def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
            raise SystemExit

    fault = describe(Mine("no", name="m", owner="night"))

    assert fault.base == "asyncbridge.errors.NameTaken"
    assert dict(fault.details) == {"name": "m", "owner": "night"}


def test_frames_inside_the_worker_stay(namespace: Namespace) -> None:
    """Frames of the worker that generated code has called are not left out."""
    fault = fault_of(namespace, "call()", call=lambda: namespace.value_of("missing"))

    assert [frame[2] for frame in fault.frames] == ["<module>", "<lambda>", "value_of"]


def test_never_raised() -> None:
    """An exception that was never raised has no frames, and no traceback in its text."""
    assert describe(ValueError("plain")).text == "ValueError: plain"


def test_type_names(namespace: Namespace) -> None:
    """The type is named by its module and qualified name, builtins aside."""
    fault = fault_of(namespace, "class A:\n    class B(Exception): pass\nraise A.B")

    assert fault.type == f"{NAMESPACE_NAME}.A.B"
    assert fault.message == ""


def test_many_frames(namespace: Namespace) -> None:
    """Of a deep recursion the outermost and innermost frames are kept, and the rest counted."""
    fault = fault_of(namespace, "def f():\n    g()\ndef g():\n    f()\nf()")

    assert fault.type == "RecursionError"
    assert len(fault.frames) == frames.FRAME_LIMIT
    assert fault.frames[0][2] == "<module>"
    assert "\n  [frames left out: " in fault.text


def test_subjects(namespace: Namespace) -> None:
    """Subjects are the named objects whose methods the error went through, innermost first."""
    namespace.run(
        "class Inner:\n"
        "    def fail(self): self.again(1)\n"
        "    def again(self, n): self.again(n - 1) if n else [][0]\n"
        "    __eq__ = __hash__ = None\n"
        "class Outer:\n"
        "    def run(self, part): part.fail()\n"
        "class Unnamed:\n"
        "    def run(self, *parts): parts[0].run(parts[1])\n"
        "inner, outer = Inner(), Outer()"
    )

    assert fault_of(namespace, "Unnamed().run(outer, inner)").subjects == ("inner", "outer")


def test_no_subjects_without_self(namespace: Namespace) -> None:
    """A function's ``self`` that is nothing, or a variable of the scope, names no subject."""
    namespace.run("nothing = None\ndef f(self): 1 / 0\nself = [1]")

    assert fault_of(namespace, "f(nothing)").subjects == ()
    assert fault_of(namespace, "1 / 0").subjects == ()


def test_hostile_class_body(namespace: Namespace) -> None:
    """The mapping that a class body runs in is not looked at."""
    fault = fault_of(
        namespace,
        "class Scope(dict):\n"
        "    def get(self, *args): raise SystemExit\n"
        "class Meta(type):\n"
        "    def __prepare__(name, bases): return Scope()\n"
        "class C(metaclass=Meta):\n"
        "    1 / 0\n",
    )

    assert fault.type == "ZeroDivisionError"
    assert len(fault.frames) == 2


def test_cause(namespace: Namespace) -> None:
    """A cause is told as a fault of its own, whose text stands in the whole one."""
    fault = fault_of(
        namespace,
        "def low(): 1 / 0\ntry:\n    low()\nexcept Exception as e:\n    raise KeyError(1) from e",
    )

    assert fault.type == "KeyError"
    assert fault.cause is not None
    assert fault.cause.type == "ZeroDivisionError"
    assert [frame[2] for frame in fault.cause.frames] == ["<module>", "low"]
    assert fault.cause.text == ""
    assert "the direct cause of" in fault.text
    assert fault.text.index("ZeroDivisionError") < fault.text.index("KeyError: 1")


def test_context(namespace: Namespace) -> None:
    """A context stands for the cause where it is not suppressed."""
    code = "try:\n    1 / 0\nexcept Exception:\n    raise KeyError(1)"
    fault = fault_of(namespace, code)
    assert fault.cause is not None
    assert fault.cause.type == "ZeroDivisionError"
    assert "During handling of" in fault.text

    assert fault_of(namespace, code + " from None").cause is None


def test_long_chain() -> None:
    """Of a long chain the newest causes are told, and the text says that there were more."""
    error: BaseException = ValueError(0)
    for number in range(1, 20):
        newer = ValueError(number)
        newer.__cause__ = error
        error = newer
    fault = describe(error)

    assert [cause.message for cause in causes(fault)] == ["18", "17", "16", "15", "14"]
    assert fault.text.startswith("[earlier exceptions left out]\n\nThe above exception was the")


def test_cycle_of_causes() -> None:
    """A cycle of causes is gone round once."""
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    itself = ValueError("itself")
    itself.__cause__ = itself

    assert [cause.type for cause in causes(describe(first))] == ["KeyError"]
    assert describe(itself).cause is None
    assert describe(itself).text == "ValueError: itself"


def test_notes() -> None:
    """Notes are told in their order, cut in size and in number."""
    error = ValueError("v")
    error.add_note("first")
    error.add_note("x" * 100_000)
    for number in range(98):
        error.add_note(str(number))
    fault = describe(error)

    assert fault.notes[0] == "first"
    assert len(fault.notes[1].encode()) <= faults.MESSAGE_LIMIT
    assert fault.notes[-1] == "[notes left out: 84]"
    # The client's exception has them, and shows them below the text.
    assert fault.text.splitlines() == ["ValueError: v"]


@pytest.mark.parametrize("limit", [256, faults.MESSAGE_LIMIT])
def test_huge_message(limit: int) -> None:
    """A huge message keeps its head and its tail, within the limit, in the text too."""
    fault = describe(ValueError("HEAD" + "é" * 5_000_000 + "TAIL"), message_limit=limit)

    assert limit - 64 < len(fault.message.encode()) <= limit
    assert fault.message.startswith("HEADé")
    assert fault.message.endswith("éTAIL")
    head, marker, tail = fault.message.partition(" bytes left out] … ")
    head, _, count = head.partition(" … [")
    assert marker
    assert abs(len(head.encode()) + int(count) + len(tail.encode()) - 10_000_008) <= 2
    assert len(fault.text.encode()) <= limit + len("ValueError: ")


def test_huge_text(namespace: Namespace) -> None:
    """The whole text is bounded, whatever it is made of."""
    error = raised(namespace.run, "1 / 0")
    for _ in range(20):
        error.add_note("n" * 100_000)
    group = BaseExceptionGroup("all", [error, ValueError("END")])

    text = describe(group, message_limit=16 * 1024).text

    assert len(text.encode()) <= faults.TEXT_LIMIT
    assert text.startswith("ExceptionGroup: all")
    assert "END" in text


def test_exception_group(namespace: Namespace) -> None:
    """A group's members are listed in boxes, with their own tracebacks."""
    fault = fault_of(
        namespace,
        "def fail(n):\n"
        "    try:\n"
        "        {}[n]\n"
        "    except KeyError as error:\n"
        "        return error\n"
        "raise ExceptionGroup('both', [fail(1), ExceptionGroup('in', [ValueError(2)])])",
    )

    assert fault.message == "both (2 sub-exceptions)"
    lines = fault.text.splitlines()
    assert "ExceptionGroup: both (2 sub-exceptions)" in lines
    assert "  +---------------- 1 ----------------" in lines
    assert "  | KeyError: 1" in lines
    assert "  | ExceptionGroup: in (1 sub-exception)" in lines
    assert "  |   | ValueError: 2" in lines
    assert lines[-1] == "  +------------------------------------"


def test_large_groups() -> None:
    """Wide and deep groups are cut, with a count of what is left out."""
    wide = describe(ExceptionGroup("wide", [ValueError(n) for n in range(100)])).text
    assert wide.count("ValueError") == faults.GROUP_LIMIT
    assert "[sub-exceptions left out: 92]" in wide

    deep: Exception = ValueError(1)
    for _ in range(50):
        members: list[Exception] = [deep]
        deep = ExceptionGroup("deep", members)
    text = describe(deep).text
    assert text.count("ExceptionGroup: deep") == faults.GROUP_DEPTH + 1
    assert "[sub-exceptions left out: 1]" in text


HOSTILE_CLASSES = """
class Text(str):
    def fail(self, *args):
        raise RuntimeError("hostile text")
    __len__ = __getitem__ = __format__ = __add__ = __eq__ = __hash__ = fail
    encode = split = strip = __str__ = __repr__ = fail

class RaisingStr(Exception):
    def __str__(self):
        raise SystemExit("from __str__")
    __repr__ = __str__

class NoStr(Exception):
    def __str__(self):
        return 3

class HostileStr(Exception):
    def __str__(self):
        return Text("hostile")

class Itself(Exception):
    def __str__(self):
        raise self

class Endless(Exception):
    def __str__(self):
        return str(self)

class EveryAttribute(Exception):
    def __getattribute__(self, name):
        raise KeyboardInterrupt(name)

class Liar(Exception):
    __class__ = SyntaxError
    __cause__ = __context__ = __traceback__ = __notes__ = __suppress_context__ = 5

class RaisingClass(Exception):
    @property
    def __class__(self):
        raise RuntimeError("no class")
    @property
    def __notes__(self):
        raise GeneratorExit

class Meta(type):
    def __getattribute__(cls, name):
        raise RuntimeError(name)

class HostileMeta(Exception, metaclass=Meta):
    pass

class NoModule(Exception):
    __module__ = 5

class TextNames(Exception):
    __module__ = Text("module")
TextNames.__qualname__ = Text("TextNames")

class HostileGroup(ExceptionGroup):
    exceptions = None

class HostileList(list):
    def __iter__(self):
        raise SystemExit

def noted(notes):
    error = ValueError("noted")
    error.__notes__ = notes
    return error

def syntax(**attributes):
    error = SyntaxError("s")
    vars(error).update(attributes)
    for name, value in attributes.items():
        setattr(error, name, value)
    return error
"""
FAILED = "<exception str() failed>"


@pytest.mark.parametrize(
    ("expression", "name", "message"),
    [
        ("RaisingStr()", "RaisingStr", FAILED),
        ("NoStr()", "NoStr", FAILED),
        ("HostileStr()", "HostileStr", "hostile"),
        ("Itself()", "Itself", FAILED),
        ("Endless()", "Endless", FAILED),
        ("EveryAttribute('e')", "EveryAttribute", "e"),
        ("Liar('l')", "Liar", "l"),
        ("RaisingClass('r')", "RaisingClass", "r"),
        ("HostileMeta('m')", "HostileMeta", "m"),
        ("NoModule('n')", "NoModule", "n"),
        ("TextNames('t')", "TextNames", "t"),
        ("ValueError('\\ud800 lone')", "ValueError", "\\ud800 lone"),
        ("ValueError(Text('arg'))", "ValueError", FAILED),
        ("ValueError(RaisingStr())", "ValueError", FAILED),
        ("noted('not a list')", "ValueError", "noted"),
        ("noted(5)", "ValueError", "noted"),
        ("noted([1, RaisingStr(), Text('x'), '\\udfff'])", "ValueError", "noted"),
        ("noted(HostileList([1]))", "ValueError", "noted"),
        ("noted(RaisingClass())", "ValueError", "noted"),
        ("HostileGroup('g', [ValueError(1)])", "HostileGroup", "g (1 sub-exception)"),
        ("syntax(lineno='x', offset='y', text=5)", "SyntaxError", "s"),
        ("syntax(lineno=-3, filename=3)", "SyntaxError", "s (line -3)"),
        ("syntax(msg=None)", "SyntaxError", "None"),
        ("syntax(msg=RaisingStr())", "SyntaxError", FAILED),
        ("syntax(lineno=1, offset=1, text='x', end_offset=10**12)", "SyntaxError", "s (line 1)"),
        ("syntax(lineno=1, offset=-5, text='x')", "SyntaxError", "s (line 1)"),
        ("SystemExit(3)", "SystemExit", "3"),
        ("KeyboardInterrupt()", "KeyboardInterrupt", ""),
    ],
)
def test_hostile_exceptions(namespace: Namespace, expression: str, name: str, message: str) -> None:
    """Whatever an exception does when it is looked at, it is described, in plain bounded text."""
    namespace.run(HOSTILE_CLASSES)
    error: Any = namespace.run(expression)
    alone: Fault | None = None
    try:  # not capture(), which looks at the error
        namespace.run("raise error", {"error": error})
    except BaseException:
        alone = describe(error)
    effect = ValueError("effect")
    effect.__cause__ = error
    caused = describe(effect)

    for whole, told in ((alone, alone), (caused, caused.cause)):
        assert whole is not None
        assert told is not None
        assert told.type.rpartition(".")[2] == name
        assert told.message == message
        assert told.frames[-1][2:] == ("<module>", "raise error")
        assert told.type in whole.text
        assert len(whole.text) <= faults.TEXT_LIMIT
        orjson.dumps(whole)
    release(effect)
    assert BaseException.__dict__["__traceback__"].__get__(error) is None


def test_describing_can_fail() -> None:
    """When all else fails, type and message are told."""

    class Self:
        def fail(self) -> None:
            raise ValueError("told")

    def name_of(_obj: object) -> str:
        raise RuntimeError("a broken namespace")

    fault = describe(raised(Self().fail), name_of=name_of)

    assert (fault.type, fault.message, fault.text) == ("ValueError", "told", "ValueError: told")


@given(text=st.text(alphabet=st.characters(), max_size=400), limit=st.integers(64, 600))
def test_every_message(text: str, limit: int) -> None:
    """Any text can be a message: it fits the limit, can be sent, and is whole if it fits."""
    message = describe(ValueError(text), message_limit=limit).message

    assert len(message.encode()) <= limit
    plain = text.encode("utf-8", "backslashreplace").decode()
    if len(plain.encode()) <= limit:
        assert message == plain


def test_nothing_is_kept(namespace: Namespace) -> None:
    """Describing an exception holds on to neither it nor its frames."""
    error = raised(namespace.run, "def f(): 1 / 0\nf()")
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    before = [sys.getrefcount(held) for held in (error, *frames)]

    fault = describe(error, name_of=namespace.name_of)

    assert fault.message == "division by zero"
    assert [sys.getrefcount(held) for held in (error, *frames)] == before


def test_release(namespace: Namespace) -> None:
    """A released exception dies with the last variable, and with it what its frames held."""

    class Held(Exception):
        pass

    def fail() -> None:
        data = Data()
        held.append(weakref.ref(data))
        raise Held

    def once() -> None:
        code = (
            "try:\n    f()\nexcept Exception as cause:\n"
            "    raise ExceptionGroup('g', [cause]) from cause"
        )
        error = raised(namespace.run, code, {"f": fail})
        assert error.__cause__ is not None
        held.append(weakref.ref(error.__cause__))
        release(error)

    held: list[weakref.ref[object]] = []
    gc.collect()
    gc.disable()
    try:
        once()
        assert [ref() for ref in held] == [None, None]
    finally:
        gc.enable()


class Data:
    """Stands for the arrays in a frame."""


def test_release_goes_round_cycles_once() -> None:
    """Cycles of causes do not hold the release up."""
    first, second = raised(int, "x"), raised(int, "y")
    first.__cause__, second.__context__ = second, first

    release(first)

    assert first.__traceback__ is None
    assert second.__traceback__ is None


MODELS_FILE = str(Path(faults.__file__).parent / "models" / "training.py")


def of_models(source: str) -> dict[str, Any]:
    """Define functions whose frames are those of what commands call in Keras's place."""
    scope: dict[str, Any] = {}
    exec(compile(source, MODELS_FILE, "exec"), scope)
    return scope


def test_frames_between_command_and_keras(namespace: Namespace) -> None:
    """What stands between a command and Keras is left out of frames and text."""
    scope = of_models("def outer(*given): return fit(*given)\ndef fit(model): return model.fit()")
    namespace.run("class Model:\n    def fit(self): 1 / 0\nmodel = Model()")
    fault = fault_of(namespace, "outer(model)", outer=scope["outer"])

    assert [frame[2] for frame in fault.frames] == ["<module>", "fit"]
    assert MODELS_FILE not in fault.text
    assert fault.subjects == ("model",)


def test_an_error_of_what_stands_between(namespace: Namespace) -> None:
    """An error that is raised there shows its place, and the subject is the first argument."""
    scope = of_models("def outer(*given): return fit(*given)\ndef fit(model, x): 1 / 0")
    namespace.run("model = [1]")
    fault = fault_of(namespace, "outer(model, 1)", outer=scope["outer"])

    assert [frame[2] for frame in fault.frames] == ["<module>", "fit"]
    assert fault.subjects == ("model",)
