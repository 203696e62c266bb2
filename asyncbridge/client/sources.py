"""Streams among a command's bindings, and the threads in which plain iterators are advanced."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from asyncbridge.outcome import Error, capture
from asyncbridge.streams import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from asyncbridge.outcome import Outcome

__all__ = ["Source", "SourceThread", "take_streams"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A stream that a command was sent with.

    Attributes:
        name: The binding's.
        context: Of the call that sent it, in which the source runs.
    """

    name: str
    stream: Stream
    context: Context

    @property
    def label(self) -> str:
        """What people call it."""
        return self.stream.label or self.name


def take_streams(
    bindings: Mapping[str, object] | None, ends: str
) -> tuple[Mapping[str, object] | None, Sequence[Source]]:
    """Take the streams out of bindings; their descriptions stand in their places.

    Args:
        bindings: By name.
        ends: What ends them, as of ``Terms``.

    Raises:
        ValueError: The bindings outlive their command.
    """
    if not bindings:
        return bindings, ()
    names = [key for key, value in bindings.items() if type(value) is Stream]
    if not names:
        return bindings, ()
    if ends != "command":
        raise ValueError(f"{names[0]}: a stream ends with the command that it is sent with")
    sources: list[Source] = []
    described = dict(bindings)
    for name in names:
        stream = bindings[name]
        assert isinstance(stream, Stream)
        described[name] = stream.describe()
        sources.append(Source(name=name, stream=stream, context=copy_context()))
    return described, sources


class SourceThread:
    """A thread for one source, which may block in it for as long as it likes.

    Args:
        context: What the calls run in.

    Attributes:
        ident: The thread's.
    """

    def __init__(self, context: Context) -> None:
        self._context = context.copy()
        self._loop = asyncio.get_running_loop()
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon: a source that blocks for ever must not keep the process from ending.
        thread = threading.Thread(target=self._serve, name="asyncbridge-source", daemon=True)
        thread.start()
        assert thread.ident is not None
        self.ident = thread.ident
        self._waits = False

    @property
    def is_called(self) -> bool:
        """Whether a call's outcome is waited for."""
        return self._waits

    async def call(
        self, function: Callable[[], T], lost: Callable[[T], object] = lambda _: None
    ) -> T:
        """Call a function there, and return or raise what came of it.

        Args:
            function: It has no end but its own.
            lost: Takes what it returns when nobody waits for that any more; on the loop.
        """
        answer: asyncio.Future[Outcome[T]] = self._loop.create_future()

        def work() -> None:
            outcome = capture(self._context.run, function)
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(_answer, answer, outcome, lost)

        self._calls.put(work)
        self._waits = True
        try:
            outcome = await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled():  # it came at the same moment
                _answer(answer, answer.result(), lost)
            raise
        finally:
            self._waits = False
        if isinstance(outcome, Error) and isinstance(outcome.error, StopIteration):
            # A future cannot carry one.
            raise RuntimeError("a source raised StopIteration") from outcome.error  # noqa: TRY004
        return outcome.unwrap()

    def end(self, last: Callable[[], object]) -> None:
        """End the thread by a last call, once what it is in has returned."""
        self._calls.put(lambda: _ignore(capture(self._context.run, last)))
        self._calls.put(None)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call


def _answer(
    answer: asyncio.Future[Outcome[T]], outcome: Outcome[T], lost: Callable[[T], object]
) -> None:
    if not answer.done():
        answer.set_result(outcome)
    elif not isinstance(outcome, Error):
        lost(outcome.value)


def _ignore(_: object) -> None:
    """Let go of what a close has raised: the command has ended, nobody waits for it."""
