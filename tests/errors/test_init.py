"""The errors together: one home, one root, and copies of each kind."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from asyncbridge import errors
from asyncbridge.errors import (
    AsyncBridgeError,
    ConnectError,
    Detached,
    InUse,
    NameTaken,
    ResultExpired,
    SentCommand,
    SerializationError,
    StaleReference,
    StateLost,
    WorkerLost,
)

KINDS = [getattr(errors, name) for name in errors.__all__ if name != "SentCommand"]


def test_every_error_is_of_the_package() -> None:
    """Texts, pickles and the wire name it by that, not by the file that it stands in."""
    assert {kind.__module__ for kind in [*KINDS, SentCommand]} == {"asyncbridge.errors"}
    assert all(issubclass(kind, AsyncBridgeError) for kind in KINDS)


def test_the_tree_is_drawn_as_it_is() -> None:
    """Each error stands in it once, below its base."""
    drawn = {"AsyncBridgeError": ""}
    above = ["AsyncBridgeError"]
    branch = re.compile(r"^    ((?:│   |    )*)[├└]── (\w+)", re.MULTILINE)
    for indent, name in branch.findall(errors.__doc__ or ""):
        depth = len(indent) // 4 + 1
        above[depth:] = [name]
        drawn[name] = above[depth - 1]
    assert drawn.pop("RemoteValueError") == "RemoteError"  # one of many, from a table
    bases = {kind.__name__: kind.__bases__[0].__name__ for kind in KINDS}
    assert drawn == bases | {"AsyncBridgeError": ""}


@pytest.mark.parametrize(
    "error",
    [
        WorkerLost("ended", phase="started", stderr_tail="x", command=SentCommand(id=1)),
        StateLost.of(WorkerLost("ended"), ("x",)),
        ResultExpired("gone", command=3, reason="dropped"),
        Detached("left", command=3),
        SerializationError("no form", path="x"),
        ConnectError("nobody there"),
        StaleReference("gone", number=7, incarnation="ab", died_at=1.5, reason="it ended"),
        NameTaken("taken", name="model", owner="night"),
        InUse("held", name="model", holders=("a", "b")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_error_survives_pickle_and_copy(error: AsyncBridgeError) -> None:
    """With its text as it is, and all that it tells."""
    error.add_note("look here")
    for other in pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error):
        assert (type(other), str(other)) == (type(error), str(error))
        assert other.__dict__ == error.__dict__
