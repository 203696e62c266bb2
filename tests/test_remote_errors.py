"""The table of built-in exceptions: what is in it, and that none of them breaks the text."""

from __future__ import annotations

import asyncio
import builtins
import copy
import pickle
import traceback

import pytest

from asyncbridge.errors import RemoteError
from asyncbridge.remote_errors import known_base, known_details, remote_class

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


def test_the_first_known_name_counts() -> None:
    """A type's own name goes before that of its base."""
    assert issubclass(remote_class("KeyError", "ValueError"), KeyError)
    assert issubclass(remote_class("own.Error", "ValueError"), ValueError)
    assert remote_class("own.Error", "") is RemoteError
