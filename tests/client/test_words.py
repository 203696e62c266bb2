"""Words for where a command stands, and where it was sent."""

from __future__ import annotations

from typing import get_args

from asyncbridge.client.words import STATE_NAMES, STOP_MODES, origin
from asyncbridge.protocol.messages import StopMode
from asyncbridge.protocol.states import CommandState


def test_every_state_has_a_name() -> None:
    """A new state in the protocol needs one here."""
    assert set(STATE_NAMES) == set(CommandState)


def test_the_modes_of_a_cancel() -> None:
    """The worker knows all of them."""
    assert set(STOP_MODES.values()) <= set(get_args(StopMode))


def test_the_origin_is_the_callers_line() -> None:
    """This file, this function."""
    assert "test_words.py:" in origin()
    assert origin().endswith("in test_the_origin_is_the_callers_line")
