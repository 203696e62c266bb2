"""What type checkers see of a remote error; this file is never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

import asyncbridge
from asyncbridge.errors import RemoteError, SentCommand


def of_an_error(error: RemoteError) -> None:
    """Its data, and its command, which a cause has not."""
    assert_type(error.type, str)
    assert_type(error.full_text, str)
    assert_type(error.frames, tuple[tuple[str, int, str, str], ...])
    assert_type(error.locals, tuple[Mapping[str, str], ...])
    assert_type(error.cause, RemoteError | None)
    if error.command is not None:
        assert_type(error.command, SentCommand)
        assert_type(error.command.id, int)
        assert_type(error.command.bindings, tuple[str, ...])


async def caught_as_python_s_own(bridge: asyncbridge.Bridge) -> None:
    """Both ``except`` clauses stand for a type of their own."""
    try:
        await bridge.send("{}['k']")
    except KeyError as error:
        assert_type(error, KeyError)
        if isinstance(error, RemoteError):
            assert_type(error.type, str)
    except asyncbridge.RemoteError as error:
        assert_type(error.command, SentCommand | None)
