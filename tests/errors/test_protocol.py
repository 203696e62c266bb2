"""Breaks of the protocol: what catches them."""

from __future__ import annotations

import pytest

from asyncbridge.errors import (
    LocalProtocolError,
    ProtocolError,
    ProtocolVersionError,
    RemoteProtocolError,
)


@pytest.mark.parametrize("kind", [LocalProtocolError, RemoteProtocolError, ProtocolVersionError])
def test_one_name_catches_each(kind: type[ProtocolError]) -> None:
    """Whoever broke it."""
    with pytest.raises(ProtocolError) as caught:
        raise kind("no")
    assert type(caught.value) is kind
