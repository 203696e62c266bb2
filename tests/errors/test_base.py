"""Copies of errors, and what a command is called."""

from __future__ import annotations

import copy
import pickle

import pytest

from asyncbridge.errors import AsyncBridgeError, SentCommand


class Own(AsyncBridgeError, ValueError):
    """An error whose ``__init__`` makes a text of what it is given."""

    def __init__(self, *, size: int) -> None:
        super().__init__(f"{size} bytes")
        self.size = size


def test_a_copy_is_not_made_by_init() -> None:
    """It has the text as it is, and what the error tells."""
    error = Own(size=3)
    for other in pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error):
        assert (type(other), other.args, other.size) == (Own, ("3 bytes",), 3)


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


def test_a_note_says_where_a_command_was_sent() -> None:
    """By its title."""
    command = SentCommand(id=3, name="my job", sent_from="app.py:7, in main")
    assert command.note == "my job (command 3) was sent from app.py:7, in main"
