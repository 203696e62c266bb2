"""Errors of the worker's code: their copies, and how they are shown."""

from __future__ import annotations

import copy
import pickle

from asyncbridge.errors import DependencyError, RemoteError, SentCommand


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
