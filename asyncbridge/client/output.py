"""Captured output of the worker, as lines, to any number of readers."""

from __future__ import annotations

import asyncio
import logging
from asyncio.events import _get_running_loop
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from asyncbridge.errors import WrongLoopError

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.protocol.messages import Output

__all__ = ["OutputLine", "OutputReader", "OutputRouter"]

LINES_KEPT = 10_000
"""Lines held for a reader that does not read, before the oldest are dropped."""

LINE_KEPT = 64 * 1024
"""Characters of a line, past which it is cut in two."""

log = logging.getLogger("asyncbridge.output")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLine:
    """One line that a command, or the worker itself, printed.

    Attributes:
        text: The line, without its end.
        stream: ``stdout`` or ``stderr``.
        command_id: The command that printed it, None for the worker itself.
    """

    text: str
    stream: str
    command_id: int | None


class OutputReader:
    """An iterator of lines, ``async for`` on the bridge's loop, ``for`` in a script.

    Lines are kept from its creation on; a reader that falls behind loses the oldest, and is
    told how many in ``dropped``. It ends with the bridge, after the lines that are here.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, forget: Callable[[], None]) -> None:
        self._loop = loop
        self._forget = forget
        self._lines: deque[OutputLine] = deque(maxlen=LINES_KEPT)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._ended = False
        self.dropped = 0

    def put(self, line: OutputLine) -> None:
        """Add a line; on the loop."""
        if len(self._lines) == LINES_KEPT:
            self.dropped += 1
        self._lines.append(line)
        self._wake()

    def end(self) -> None:
        """Let the iteration end after the lines that are here; on the loop."""
        self._ended = True
        self._wake()

    def close(self) -> None:
        """Stop listening; on the loop."""
        self._forget()
        self.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> OutputLine:
        while not self._lines:
            if self._ended:
                raise StopAsyncIteration
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter
        return self._lines.popleft()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> OutputLine:
        if _get_running_loop() is not None:
            raise WrongLoopError("`for` would block this event loop: use `async for`")
        with suppress(IndexError):
            return self._lines.popleft()
        if self._loop.is_closed():
            raise StopIteration
        try:
            return asyncio.run_coroutine_threadsafe(self.__anext__(), self._loop).result()
        except StopAsyncIteration:
            raise StopIteration from None

    def _wake(self) -> None:
        # All of them: each looks again, and those that find nothing wait on.
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)


class OutputRouter:
    """Cuts what arrives into lines; gives them to the readers and to the logger.

    The logger is ``asyncbridge.output``, at level INFO: TensorFlow's own chatter is a log,
    not a text on the client's terminal.
    """

    def __init__(self) -> None:
        self._readers: set[OutputReader] = set()
        self._partial: dict[tuple[int | None, str], str] = {}
        self._ended = False

    def reader(self, loop: asyncio.AbstractEventLoop) -> OutputReader:
        """Return a new reader of the lines from now on."""
        reader = OutputReader(loop, lambda: self._readers.discard(reader))
        self._readers.add(reader)
        if self._ended:
            reader.end()
        return reader

    def feed(self, output: Output) -> None:
        """Take a piece of output."""
        key = (output.id, output.stream)
        if output.dropped:
            self._emit(key, f"[{output.dropped} characters of output were dropped here]")
        text = self._partial.pop(key, "") + output.text
        *lines, rest = text.split("\n")
        for line in lines:
            self._emit(key, line)
        while len(rest) > LINE_KEPT:  # a line with no end must not grow for ever
            self._emit(key, rest[:LINE_KEPT])
            rest = rest[LINE_KEPT:]
        if rest:
            self._partial[key] = rest

    def flush(self, command_id: int | None) -> None:
        """Emit what a command that has finished left without a line end."""
        for stream in ("stdout", "stderr"):
            rest = self._partial.pop((command_id, stream), None)
            if rest is not None:
                self._emit((command_id, stream), rest)

    def end(self) -> None:
        """Emit what is left, and end the readers."""
        self._ended = True
        for key, rest in self._partial.items():
            self._emit(key, rest)
        self._partial.clear()
        for reader in self._readers:
            reader.end()

    def _emit(self, key: tuple[int | None, str], text: str) -> None:
        line = OutputLine(text=text, stream=key[1], command_id=key[0])
        log.info("%s", text, extra={"stream": key[1], "command_id": key[0]})
        for reader in self._readers:
            reader.put(line)
