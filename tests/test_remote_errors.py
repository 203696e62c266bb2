"""The table of exceptions: what is in it, and that none of them breaks the text."""

from __future__ import annotations

import asyncio
import builtins
import copy
import pickle
import traceback

import pytest

from asyncbridge import errors
from asyncbridge.errors import InUse, NameTaken, RemoteError, StaleReference
from asyncbridge.remote_errors import detail_text, known_base, known_details, remote_class

KINDS = [kind for kind in vars(builtins).values() if isinstance(kind, type)]
ERRORS = [kind for kind in KINDS if issubclass(kind, Exception)]
LISTED = [kind for kind in ERRORS if remote_class(kind.__name__) is not RemoteError]
TEXT = "Some: text\n  of two lines"


def made(kind: type[Exception]) -> RemoteError:
    """Return an error as the client makes it."""
    cls = remote_class(kind.__name__)
    error = cls(kind.__name__, "text", text=TEXT)
    error._put(known_details(cls, [("errno", "13"), ("name", "module")], TEXT))
    return error


def test_what_is_not_in_the_table() -> None:
    """What steers a program, what says nothing, and groups, which cannot be made of a text."""
    names = {kind.__name__ for kind in ERRORS} - {kind.__name__ for kind in LISTED}
    assert {"Exception", "ExceptionGroup", "StopAsyncIteration", "StopIteration"} <= names
    # Of newer Pythons:
    newer = {"PythonFinalizationError", "_IncompleteInputError"}
    others = {name for name in names if not name.endswith(("Warning", "Iteration"))}
    assert others - newer == {"Exception", "ExceptionGroup"}
    for name in ("GeneratorExit", "SystemExit", "KeyboardInterrupt", "CancelledError", "eval"):
        assert remote_class(name) is RemoteError


@pytest.mark.parametrize("kind", LISTED, ids=lambda kind: kind.__name__)
def test_a_listed_error(kind: type[Exception]) -> None:
    """It is of its type and its type's bases, keeps its text, and can be pickled and copied."""
    error = made(kind)
    assert isinstance(error, kind)
    assert isinstance(error, RemoteError)
    assert not isinstance(error, StopIteration | asyncio.CancelledError)
    assert repr(error) == f"Remote{kind.__name__}('{kind.__name__}: text')"
    for each in error, pickle.loads(pickle.dumps(error)), copy.copy(error):
        assert type(each) is type(error)
        assert str(each) == TEXT
        assert each.args == (TEXT,)
        assert vars(each) == vars(error)
        shown = "".join(traceback.format_exception(each))
        assert shown == f"asyncbridge.remote_errors.{type(each).__name__}: {TEXT}\n"


def test_details_survive_copies() -> None:
    """They are kept by the built-in's own slots."""
    error = made(PermissionError)
    for each in error, pickle.loads(pickle.dumps(error)), copy.copy(error):
        assert isinstance(each, PermissionError)
        assert each.errno == 13
    imported = made(ModuleNotFoundError)
    assert isinstance(imported, ImportError)
    assert imported.name == "module"


@pytest.mark.parametrize("kind", [StaleReference, NameTaken, InUse])
def test_an_error_of_our_own(kind: type[Exception]) -> None:
    """It is of its type by its whole name, whatever else it is told; copies have its details."""
    assert remote_class(kind.__name__) is RemoteError
    cls = remote_class(f"asyncbridge.errors.{kind.__name__}")
    error = cls(kind.__name__, "text", text=TEXT)
    bare = {name: getattr(kind, name) for name in vars(kind)["__annotations__"]}
    assert {name: getattr(error, name) for name in bare} == bare
    error._put(known_details(cls, [("name", "x"), ("number", "7"), ("holders", "a\nb")], TEXT))
    for each in error, pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error):
        assert type(each) is cls
        assert isinstance(each, kind)
        assert str(each) == TEXT
        assert vars(each) == vars(error) != {}
    assert {getattr(error, name) for name in bare} & {"x", 7, ("a", "b")}


def test_of_our_own_errors_there_are_three() -> None:
    """The others are found out on this side: one from the worker is text."""
    names = {
        name
        for name in errors.__all__
        if remote_class(f"asyncbridge.errors.{name}") is not RemoteError
    }
    assert names == {"StaleReference", "NameTaken", "InUse"}


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (7, int, "7"),
        (True, int, None),
        (1.5, float, "1.5"),
        (2, float, "2"),
        (None, float, None),
        (("a", "b\nc", 3), tuple, "a\nb c"),
        ((), tuple, ""),
        (["a"], tuple, None),
        (type("Text", (str,), {})("a"), str, None),
    ],
)
def test_a_detail_travels_as_text(value: object, kind: type, text: str | None) -> None:
    """If it is of the very type that the table says; a time may be without a fraction."""
    assert detail_text(value, kind) == text


@pytest.mark.parametrize("value", ["", "x", "nan", "inf", "1e999", "1" * 33])
def test_a_time_that_is_none_is_left_out(value: str) -> None:
    """What is read is a number of ordinary size."""
    cls = remote_class("asyncbridge.errors.StaleReference")
    assert known_details(cls, [("died_at", value)], "") == {}
    assert known_details(cls, [("died_at", "1763.25")], "") == {"died_at": 1763.25}


def test_a_tuple_is_bounded() -> None:
    """However many lines there are; none of them is none."""
    cls = remote_class("asyncbridge.errors.InUse")
    assert known_details(cls, [("holders", "")], "") == {"holders": ()}
    told = known_details(cls, [("holders", "\n" * 1_000_000)], "")
    assert told == {"holders": ("",) * 256}


@pytest.mark.parametrize("number", ["", "x", "-", "²", "9" * 5000, "1.5", "--1"])
def test_a_number_that_is_none_is_left_out(number: str) -> None:
    """Whatever a worker tells, the error is made."""
    assert known_details(remote_class("OSError"), [("errno", number)], "") == {}
    assert known_details(remote_class("OSError"), [("errno", "-3"), ("args", "x")], "") == {
        "errno": -3
    }
    assert known_details(remote_class("ValueError"), [("errno", "3")], "") == {}


def test_the_nearest_base() -> None:
    """By the class's own order, past whatever its metaclass says."""

    class Meta(type):
        def __eq__(cls, other: object) -> bool:
            raise RuntimeError

        def __hash__(cls) -> int:
            raise RuntimeError

        def mro(cls) -> list[type]:
            return super().mro()

    class Own(KeyError, metaclass=Meta):
        pass

    class Steering(StopIteration):
        pass

    assert known_base(Own) == "KeyError"
    assert known_base(ModuleNotFoundError) == "ModuleNotFoundError"
    assert known_base(asyncio.TimeoutError) == "TimeoutError"
    assert known_base(Steering) == ""
    assert known_base(SystemExit) == ""
    assert known_base(NameTaken) == "asyncbridge.errors.NameTaken"
    assert known_base(type("Mine", (NameTaken,), {})) == "asyncbridge.errors.NameTaken"


def test_the_first_known_name_counts() -> None:
    """A type's own name goes before that of its base."""
    assert issubclass(remote_class("KeyError", "ValueError"), KeyError)
    assert issubclass(remote_class("own.Error", "ValueError"), ValueError)
    assert remote_class("own.Error", "") is RemoteError
