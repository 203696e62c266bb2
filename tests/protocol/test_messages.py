"""What holds for every message class; their bytes are tested with the frames."""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, fields, is_dataclass
from typing import get_args

import pytest

from asyncbridge.protocol import messages
from asyncbridge.protocol.messages import (
    ClientMessage,
    Goodbye,
    Message,
    Ping,
    Placed,
    Returned,
    StreamItem,
    StreamTaken,
    WorkerMessage,
)

DATA: list[type] = [value for value in vars(messages).values() if is_dataclass(value)]  # type: ignore[misc] # classes, all of them


@pytest.mark.parametrize("cls", DATA)
def test_data_is_slotted_and_keyword_only(cls: type) -> None:
    """An instance has no dict, and its fields are given by name."""
    assert "__slots__" in vars(cls)
    assert all(field.kw_only for field in fields(cls))


@pytest.mark.parametrize("cls", DATA)
def test_fields_with_a_default_stand_last(cls: type) -> None:
    """An older peer's shorter row still fills every field that has no default."""
    has_default = [field.default is not MISSING for field in fields(cls)]
    assert has_default == sorted(has_default)


def test_data_is_frozen() -> None:
    """A message cannot be changed once it is made."""
    ping = Ping(nonce=1)
    with pytest.raises(FrozenInstanceError):
        ping.nonce = 2  # type: ignore[misc] # the test's subject


def test_what_comes_from_either_side() -> None:
    """Every other message has one direction, and the union of both is all there are."""
    client, worker = set(get_args(ClientMessage)), set(get_args(WorkerMessage))
    assert client & worker == {Goodbye, Placed, Returned, StreamItem, StreamTaken}
    assert set(get_args(Message)) == client | worker


def test_versions_are_a_range() -> None:
    """The oldest version that is spoken is no newer than the newest."""
    assert 1 <= messages.OLDEST_VERSION <= messages.PROTOCOL_VERSION
