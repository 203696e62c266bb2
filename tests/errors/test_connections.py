"""Errors of connections: what catches them."""

from __future__ import annotations

import pytest

from asyncbridge.errors import (
    AuthenticationError,
    ConnectError,
    SessionTaken,
    SocketPermissionError,
)


@pytest.mark.parametrize(
    "kind", [ConnectError, SessionTaken, AuthenticationError, SocketPermissionError]
)
def test_each_is_a_connection_error(kind: type[ConnectError]) -> None:
    """Of ours and of Python's; the text is no error number."""
    error = kind("nobody there")
    assert isinstance(error, ConnectError)
    assert isinstance(error, ConnectionError)
    assert (str(error), error.errno) == ("nobody there", None)
