from __future__ import annotations

import pytest

from asyncbridge.errors import DecodeError
from asyncbridge.transport import compression
from asyncbridge.transport.checksums import known
from asyncbridge.transport.handshake import PROTOCOL, accept, accepted, offers


@pytest.mark.parametrize("sound", [False, True])
def test_two_sides_agree(sound: bool) -> None:
    """Both take the client's first choice, and compression where both have it."""
    answer = accept(offers(sound=sound), sound=sound)
    assert answer is not None
    best = "none" if sound else next(iter(known()))
    assert accepted(answer, sound=sound) == (best, compression.available())


def test_a_worker_behind_a_proxy() -> None:
    """Only the client sees TLS: what is behind the proxy is not known to be safe."""
    answer = accept(offers(sound=True), sound=False)
    assert answer is not None
    assert answer["Asyncbridge-Checksum"] != "none"


@pytest.mark.parametrize(
    "change",
    [{"Upgrade": "websocket"}, {"Asyncbridge-Checksum": "sha9"}, {"Asyncbridge-Checksum": ""}],
)
def test_a_request_for_something_else(change: dict[str, str]) -> None:
    """Another protocol, or checksums that nobody knows, are not accepted."""
    assert accept(offers(sound=False) | change, sound=False) is None


def test_no_compression_unless_it_is_asked_for() -> None:
    """A client that does not offer it, or offers another one, gets plain chunks."""
    for packing in ({}, {"Asyncbridge-Packing": "rar"}):
        asked = {"Upgrade": PROTOCOL, "Asyncbridge-Checksum": "crc32"} | packing
        answer = accept(asked, sound=False)
        assert answer is not None
        assert accepted(answer, sound=False) == ("crc32", False)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"Asyncbridge-Checksum": "none"},
        {"Asyncbridge-Checksum": "sha9"},
        {"Asyncbridge-Checksum": "crc32", "Asyncbridge-Packing": "rar"},
    ],
)
def test_an_answer_that_was_not_offered(answer: dict[str, str]) -> None:
    """The worker chooses among what the client has offered."""
    with pytest.raises(DecodeError, match="chose what was not offered"):
        accepted(answer, sound=False)
