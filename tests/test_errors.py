from __future__ import annotations

import copy
import pickle

import pytest

from asyncbridge.errors import (
    AsyncBridgeError,
    ConnectError,
    DependencyError,
    Detached,
    RemoteError,
    ResultExpired,
    SentCommand,
    SerializationError,
    StateLost,
    WorkerLost,
)


def test_a_remote_error_survives_pickle_and_copy() -> None:
    """With all of its attributes, its notes and its cause."""
    cause = RemoteError("KeyError", "'k'")
    command = SentCommand(id=3, code="f(x)", bindings=("x",))
    error = DependencyError("E", "m", cause=cause, command=command, text="long", full_text="longer")
    error.add_note("look here")
    for other in pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error):
        assert type(other) is DependencyError
        assert str(other) == "long"
        assert (other.type, other.message, other.full_text) == ("E", "m", "longer")
        assert other.command == command
        assert other.__notes__ == ["look here"]
        assert other.__cause__ is other.cause
        assert repr(other.cause) == repr(cause)


def test_the_repr_is_one_short_line() -> None:
    """It has the class, the remote type and the first line of the message."""
    assert repr(RemoteError("a.B", "one\ntwo", text="x\ny")) == "RemoteError('a.B: one')"
    assert len(repr(RemoteError("E", "m" * 1000))) < 230


def test_a_sent_command_does_not_repeat_its_code() -> None:
    """Which may be long."""
    assert repr(SentCommand(id=1, code="x" * 1000, bindings=("a",))) == (
        "SentCommand(id=1, bindings=('a',), name='', sent_from='')"
    )


@pytest.mark.parametrize(
    ("command", "title"),
    [
        (SentCommand(id=3, name="my job"), "my job (command 3)"),
        (SentCommand(id=3), "command 3"),
        (SentCommand(id=0, name="my job"), "my job"),
        (SentCommand(id=0), "the command"),
    ],
)
def test_a_command_is_called_by_what_it_has(command: SentCommand, title: str) -> None:
    """Its name, its number, or neither."""
    assert command.title == title
    assert command.note == ""


@pytest.mark.parametrize(
    "error",
    [
        WorkerLost("ended", phase="started", stderr_tail="x", command=SentCommand(id=1)),
        StateLost.of(WorkerLost("ended"), ("x",)),
        ResultExpired("gone", command=3, reason="dropped"),
        Detached("left", command=3),
        SerializationError("no form", path="x"),
        ConnectError("nobody there"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_error_survives_pickle_and_copy(error: AsyncBridgeError) -> None:
    """With its text as it is, and all that it tells."""
    error.add_note("look here")
    for other in pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error):
        assert (type(other), str(other)) == (type(error), str(error))
        assert other.__dict__ == error.__dict__


def test_start_up_banners_are_no_last_words() -> None:
    """They stay in the tail; where there is nothing else, nothing is quoted."""
    banners = (
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
        "I0000 00:00:1 7424 port.cc:153] oneDNN custom operations are on. You may see slightly "
        "different numerical results due to floating-point round-off errors.\n"
        "I0000 00:00:1 7424 cpu_feature_guard.cc:227] This TensorFlow binary is optimized to use "
        "available CPU instructions in performance-critical operations.\n"
        "To enable the following instructions: AVX2 FMA, rebuild TensorFlow.\n"
    )
    assert str(WorkerLost("ended", stderr_tail=banners)) == "ended (command phase: unknown)"
    lost = WorkerLost("ended", stderr_tail=f"{banners}epoch 41\n")
    assert str(lost).splitlines()[1:] == ["The worker's last words:", "  | epoch 41"]
    assert lost.stderr_tail.startswith("WARNING")


def test_lost_state_is_called_what_a_person_calls_it() -> None:
    """The names in the worker are there as data."""
    titles = {"qzx": "Dense(1), made at app.py:2"}
    lost = WorkerLost("it ended")
    error = StateLost.of(lost, ("qzx", "x"), told=lambda name: titles.get(name, repr(name)))
    assert str(error).startswith("it needs Dense(1), made at app.py:2, 'x', which was lost with")
    assert error.names == ("qzx", "x")
    assert "it needs what its code does not show" in str(StateLost.of(lost, ()))
