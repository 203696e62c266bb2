"""What type checkers see of a remote error; this file is never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never, assert_type

import asyncbridge
from asyncbridge.errors import RemoteError, SentCommand
from asyncbridge.models.mirrors.training import Training


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


async def handlers_of_errors(bridge: asyncbridge.Bridge, given: RemoteError) -> None:
    """A lambda's parameter is the error; a function stays what it is."""
    bridge.on_error(lambda err: asyncbridge.Ignore(assert_type(err, RemoteError)))  # type: ignore[assert-type] # mypy has none yet, and then Any
    assert_type(bridge.on_error(None), None)

    @bridge.on_error
    async def decide(error: RemoteError) -> asyncbridge.Retry | None:
        return asyncbridge.Retry() if error.attempt < 3 else None

    assert_type(await decide(given), asyncbridge.Retry | None)
    bridge.on_error(lambda error: 5)  # type: ignore[type-var]  # pyright: ignore - no decision


async def events_of_a_training(training: Training) -> str:
    """A match over all of them is exhaustive."""
    async for event in training.progress():
        match event:
            case asyncbridge.TrainBegin() | asyncbridge.TrainEnd():
                pass
            case asyncbridge.EpochBegin() | asyncbridge.EpochEnd():
                pass
            case asyncbridge.BatchEnd() | asyncbridge.ValidationEnd():
                pass
            case _:
                assert_never(event)
    reader: asyncbridge.ProgressReader[asyncbridge.TrainingEvent] = training.progress()
    return type(reader).__name__
