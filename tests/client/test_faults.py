from __future__ import annotations

from asyncbridge.client.faults import remote_error
from asyncbridge.errors import DependencyError, RemoteError
from asyncbridge.protocol.messages import Failed, Fault

FAULT = Fault(
    type="ValueError",
    message="no",
    frames=(("<command 1>", 2, "<module>", "f()"),),
    notes=("look here",),
    cause=Fault(type="KeyError", message="'k'"),
    subjects=("model",),
    text="Traceback (most recent call last):\n  f()\n  ~^^\nValueError: no\n",
)


def test_the_text_reads_from_the_client_to_the_worker() -> None:
    """What, where it was sent, then the worker's own traceback, indented."""
    error = remote_error(Failed(id=3, fault=FAULT), origin="app.py:7, in main", label="model.fit")
    assert str(error).splitlines() == [
        "ValueError: no",
        "  model.fit was sent from app.py:7, in main",
        "  and raised in the worker:",
        "    Traceback (most recent call last):",
        "      f()",
        "      ~^^",
        "    ValueError: no",
    ]


def test_everything_of_the_fault_is_there_as_data() -> None:
    """With the cause as an exception's cause, and notes as notes."""
    error = remote_error(Failed(id=3, fault=FAULT), origin="", label="")
    assert type(error) is RemoteError
    assert (error.type, error.message, error.command) == ("ValueError", "no", 3)
    assert error.frames == FAULT.frames
    assert error.subjects == ("model",)
    assert error.__notes__ == ["look here"]
    assert isinstance(error.__cause__, RemoteError)
    assert error.__cause__ is error.cause
    assert error.cause is not None
    assert error.cause.type == "KeyError"


def test_a_command_without_a_label_is_a_command() -> None:
    """The origin stands in any case."""
    error = remote_error(Failed(id=3, fault=FAULT), origin="app.py:7, in main", label="")
    assert "  a command was sent from app.py:7, in main" in str(error)


def test_a_dependent_names_the_command_that_failed() -> None:
    """It is a DependencyError whose cause is that one's error."""
    error = remote_error(Failed(id=5, fault=FAULT, because=3), origin="o", label="evaluate")
    assert isinstance(error, DependencyError)
    assert str(error) == (
        "evaluate was not run, because command 3, which it depends on, failed: ValueError: no"
    )
    assert error.command == 5
    assert isinstance(error.__cause__, RemoteError)
    assert error.__cause__.command == 3


def test_a_type_that_python_has_here_too_stays_a_remote_error() -> None:
    """Nothing that the worker says becomes a class."""
    fault = Fault(type="KeyboardInterrupt", message="")
    error = remote_error(Failed(id=1, fault=fault), origin="", label="")
    assert type(error) is RemoteError
    assert str(error) == "KeyboardInterrupt: "
