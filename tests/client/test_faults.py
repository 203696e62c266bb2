from __future__ import annotations

import asyncio

import pytest

import asyncbridge
from asyncbridge.client.faults import dependency_error, dropped_error, lost_error, remote_error
from asyncbridge.client.pending import Pending
from asyncbridge.client.rejections import Rejections
from asyncbridge.errors import (
    BridgeClosed,
    ConnectError,
    DependencyError,
    RemoteError,
    SentCommand,
    WorkerLost,
)
from asyncbridge.promise import Promise
from asyncbridge.protocol.messages import Dropped, Failed, Fault

FAULT = Fault(
    type="ValueError",
    message="no",
    frames=(("<command 1>", 2, "<module>", "f()"),),
    notes=("look here",),
    cause=Fault(type="KeyError", message="'k'"),
    subjects=("model",),
    text="Traceback (most recent call last):\n  f()\n  ~^^\nValueError: no\n",
)
COMMAND = SentCommand(id=3, code="f()", bindings=("x",))
FOLDED = Fault(
    type="ValueError",
    message="no",
    text="Traceback:\n  a\n  b\n  c\n  d\nValueError: no",
    folds=((1, 2, "  ... 1 frame in keras"), (4, 1, "  ... 1 frame in numpy")),
)


def pending(label: str = "", *, number: int = 3, run_timeout: float | None = None) -> Pending:
    """Return a command that was sent from ``app.py:7``."""
    item = Pending(
        Promise(loop=asyncio.new_event_loop()),
        code="f()", bindings=None, lifetime="command", label=label, after=(),
        home=Rejections(), annotate=None, origin="app.py:7, in main", run_timeout=run_timeout,
    )  # fmt: skip
    item.promise.get_loop().close()
    item.id = number
    return item


def test_the_text_reads_from_the_client_to_the_worker() -> None:
    """What, where it was sent, then the worker's own traceback, indented."""
    command = SentCommand(id=3, name="model.fit", sent_from="app.py:7, in main")
    error = remote_error(Failed(id=3, fault=FAULT), command)
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
    error = remote_error(Failed(id=3, fault=FAULT), COMMAND)
    assert (error.type, error.message, error.command) == ("ValueError", "no", COMMAND)
    assert error.frames == FAULT.frames
    assert error.subjects == ("model",)
    assert error.__notes__ == ["look here"]
    assert isinstance(error.__cause__, RemoteError)
    assert error.__cause__ is error.cause
    assert error.cause is not None
    assert (error.cause.type, error.cause.command) == ("KeyError", None)


def test_a_command_without_a_label_is_a_command() -> None:
    """The origin stands in any case."""
    command = SentCommand(id=3, sent_from="app.py:7, in main")
    error = remote_error(Failed(id=3, fault=FAULT), command)
    assert "  a command was sent from app.py:7, in main" in str(error)


def test_a_dependent_names_the_command_that_failed() -> None:
    """It is a DependencyError whose cause is that one's error, with what is known of that one."""
    command = SentCommand(id=5, name="evaluate", sent_from="o")
    error = remote_error(Failed(id=5, fault=FAULT, because=3), command, because=COMMAND)
    assert isinstance(error, DependencyError)
    assert not isinstance(error, ValueError)
    assert str(error) == (
        "evaluate (command 5) was not run, because command 3, which it depends on, failed: ValueError: no"
    )
    assert error.command is command
    assert isinstance(error.__cause__, RemoteError)
    assert error.__cause__.command is COMMAND


def test_a_dependent_of_an_unknown_command_has_its_number() -> None:
    """That one may have been another process's."""
    error = remote_error(Failed(id=5, fault=FAULT, because=3), SentCommand(id=5))
    assert error.cause is not None
    assert error.cause.command == SentCommand(id=3)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(type="ValueError", message=""), ValueError),
        (Fault(type="mine.Own", message="", base="KeyError"), KeyError),
        (Fault(type="ModuleNotFoundError", message=""), ImportError),
    ],
)
def test_an_error_is_of_the_built_in_type_too(fault: Fault, kind: type[Exception]) -> None:
    """By its own name, or by the nearest base that the worker tells."""
    error = remote_error(Failed(id=1, fault=fault), COMMAND)
    assert isinstance(error, RemoteError)
    assert isinstance(error, kind)
    assert error.type == fault.type


@pytest.mark.parametrize(
    "name",
    [
        "KeyboardInterrupt",
        "StopIteration",
        "os.system",
        "Exception",
        "asyncbridge.errors.WorkerLost",
    ],
)
def test_a_type_that_is_not_in_the_table_is_text(name: str) -> None:
    """Nothing that the worker says becomes a class, by its type or its base."""
    for fault in Fault(type=name, message=""), Fault(type="x", message="", base=name):
        error = remote_error(Failed(id=1, fault=fault), COMMAND)
        assert type(error) is RemoteError
        assert str(error) == f"{fault.type}: "


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(type="asyncbridge.errors.NameTaken", message=""), asyncbridge.NameTaken),
        (Fault(type="asyncbridge.errors.InUse", message=""), RuntimeError),
        (
            Fault(type="mine.Own", message="", base="asyncbridge.errors.StaleReference"),
            asyncbridge.StaleReference,
        ),
    ],
)
def test_an_error_of_our_own_is_caught_by_its_name(fault: Fault, kind: type[Exception]) -> None:
    """If the table has it; it is a remote error, too, with its command."""
    with pytest.raises(kind) as caught:
        raise remote_error(Failed(id=1, fault=fault), COMMAND)
    assert isinstance(caught.value, RemoteError)
    assert caught.value.command is COMMAND


def test_an_error_of_our_own_has_what_the_worker_told() -> None:
    """What its class has no attribute for is left out."""
    details = (("name", "model"), ("holders", "a\nb"), ("args", "x"), ("__class__", "x"))
    fault = Fault(type="asyncbridge.errors.InUse", message="held", details=details)
    error = remote_error(Failed(id=1, fault=fault), COMMAND)
    assert isinstance(error, asyncbridge.InUse)
    assert (error.name, error.holders) == ("model", ("a", "b"))
    assert str(error) == "asyncbridge.errors.InUse: held"


def test_an_os_error_has_its_number() -> None:
    """What the worker tells of it stands where Python has it."""
    details = (("errno", "2"), ("filename", "/x"), ("characters_written", "3"))
    fault = Fault(type="FileNotFoundError", message="[Errno 2]", details=details)
    error = remote_error(Failed(id=1, fault=fault), COMMAND)
    assert isinstance(error, FileNotFoundError)
    assert (error.errno, error.filename, error.strerror) == (2, "/x", None)
    assert str(error) == "FileNotFoundError: [Errno 2]"


def test_folded_frames_are_counted_and_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text has a line for each run of them; full_text, and the variable, have them all."""
    monkeypatch.delenv("ASYNCBRIDGE_FULL_TRACEBACK", raising=False)
    error = remote_error(Failed(id=1, fault=FOLDED), COMMAND)
    assert [line.strip() for line in str(error).splitlines()] == [
        "ValueError: no",
        "and raised in the worker:",
        "Traceback:",
        "... 1 frame in keras",
        "c",
        "... 1 frame in numpy",
        "ValueError: no",
    ]
    monkeypatch.setenv("ASYNCBRIDGE_FULL_TRACEBACK", "1")
    assert str(remote_error(Failed(id=1, fault=FOLDED), COMMAND)) == error.full_text
    assert [line.strip() for line in error.full_text.splitlines()][2:7] == [
        *("Traceback:", "a", "b", "c", "d"),
    ]


def test_notes_and_variables_come_along() -> None:
    """Notes as Python's own, without what steers a terminal; variables by frame."""
    fault = Fault(type="E", message="", notes=("\x1b[2Jgone",), locals=((("x", "1"),), ()))
    error = remote_error(Failed(id=1, fault=fault), COMMAND)
    assert error.notes == ("\x1b[2Jgone",)
    assert error.__notes__ == ["\\x1b[2Jgone"]
    assert error.locals == ({"x": "1"}, {})


def test_a_lost_worker_names_the_command() -> None:
    """In the text, with its phase, as data, and in a note with its line."""
    lost = WorkerLost("it ended", signal="SIGKILL", stderr_tail="out of paper")
    error = lost_error(pending("my night job"), lost, "started")
    assert isinstance(error, WorkerLost)
    assert str(error).splitlines() == [
        "it ended (my night job, command 3, phase: started)",
        "The worker's last words:",
        "  | out of paper",
    ]
    assert error.command == pending("my night job").sent()
    assert error.__notes__ == ["my night job (command 3) was sent from app.py:7, in main"]
    assert (error.phase, error.signal, lost.command) == ("started", "SIGKILL", None)


def test_what_ran_too_long_is_told_with_its_command() -> None:
    """The limit stands in the reason."""
    lost = WorkerLost("it ended", last_stack="Timeout (0:00:05)!")
    error = lost_error(pending(run_timeout=5), lost, "started")
    assert str(error) == (
        "it ended; the command ran for more than 5 s (run_timeout) (command 3, phase: started)"
    )


def test_a_closed_bridge_names_the_command() -> None:
    """Each has an error of its own, whatever ends the session."""
    closed = BridgeClosed("the bridge was closed")
    error = lost_error(pending("my job"), closed, "started")
    assert (type(error), str(error)) == (
        BridgeClosed,
        "the bridge was closed: my job (command 3)",
    )
    assert error.__notes__ == ["my job (command 3) was sent from app.py:7, in main"]
    other = ConnectError("no")
    own = lost_error(pending(), other, "started")
    assert (type(own), str(own), own is other) == (ConnectError, "no", False)
    assert own.__notes__ == ["command 3 was sent from app.py:7, in main"]
    assert not hasattr(other, "__notes__")


def test_what_depends_on_a_command_names_it() -> None:
    """By its name and its number; so does what was dropped behind it."""
    failed, item = pending("Sequential.compile", number=17), pending("Sequential.fit", number=18)
    failed.reason = ValueError("no")
    start = "Sequential.fit (command 18) was not run"
    because = "because Sequential.compile (command 17), which it depends on, failed"
    assert str(dependency_error(item, failed)) == f"{start}, {because}: ValueError: no"
    message = Failed(id=18, fault=FAULT, because=17)
    error = remote_error(message, item.sent(), because=failed.sent())
    assert str(error) == f"{start}, {because}: ValueError: no"
    dropped = dropped_error(item, Dropped(ids=(18,), because=17, error="e-1"), "Sequential.compile")
    assert str(dropped) == (
        f"{start}: it was queued behind Sequential.compile (command 17), which failed, and "
        "DropQueue() was decided about that error (e-1)"
    )
