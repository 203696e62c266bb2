"""Captured output of the worker, as lines, to any number of readers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from asyncbridge.promise.log import LogReader
from asyncbridge.promise.output import OutputLine, OutputLog

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from asyncbridge.client.pending import Pending
    from asyncbridge.protocol.messages import Output

__all__ = ["OutputReader", "OutputRouter"]

LINE_KEPT = 64 * 1024
"""Characters of a line, past which it is cut in two."""

log = logging.getLogger("asyncbridge.output")


class OutputReader(LogReader[OutputLine]):
    """An iterator of lines: ``async for`` in a coroutine, ``for`` in a script.

    Lines are kept from its creation on; a reader that falls behind loses the oldest, and is
    told how many in ``dropped``. It ends with the bridge, after the lines that are here.
    """

    def __init__(self, loop: AbstractEventLoop, forget: Callable[[], None]) -> None:
        super().__init__(OutputLog(), loop)
        self._forget = forget

    def put(self, line: OutputLine) -> None:
        """Add a line; on the loop."""
        self._log.add(line)

    def end(self) -> None:
        """Let the iteration end after the lines that are here; on the loop."""
        self._log.end()

    def close(self) -> None:
        """Stop listening; on the loop."""
        self._forget()
        self.end()

    def _take(self) -> OutputLine:
        line = super()._take()
        self._log.let_go(1)  # the log is this reader's own
        return line


class OutputRouter:
    """Cuts what arrives into lines; gives them to readers, to their command and to the logger.

    The logger is ``asyncbridge.output``, at level INFO: TensorFlow's own chatter is a log,
    not a text on the client's terminal.
    """

    def __init__(self) -> None:
        self._readers: set[OutputReader] = set()
        self._partial: dict[tuple[int | None, str], str] = {}
        self._ended = False

    def reader(self, loop: AbstractEventLoop) -> OutputReader:
        """Return a new reader of the lines from now on."""
        reader = OutputReader(loop, lambda: self._readers.discard(reader))
        self._readers.add(reader)
        if self._ended:
            reader.end()
        return reader

    def feed(self, output: Output, item: Pending | None = None) -> None:
        """Take a piece of output; of this command, if it has no outcome yet."""
        key = (output.id, output.stream)
        if output.dropped:
            self._emit(key, f"[{output.dropped} characters of output were dropped here]", item)
        text = self._partial.pop(key, "") + output.text
        *lines, rest = text.split("\n")
        for line in lines:
            self._emit(key, line, item)
        while len(rest) > LINE_KEPT:  # a line with no end must not grow for ever
            self._emit(key, rest[:LINE_KEPT], item)
            rest = rest[LINE_KEPT:]
        if rest:
            self._partial[key] = rest

    def flush(self, item: Pending) -> None:
        """Emit what a command that has finished left without a line end."""
        for stream in ("stdout", "stderr"):
            rest = self._partial.pop((item.id, stream), None)
            if rest is not None:
                self._emit((item.id, stream), rest, item)

    def end(self) -> None:
        """Emit what is left, and end the readers."""
        self._ended = True
        for key, rest in self._partial.items():
            self._emit(key, rest, None)
        self._partial.clear()
        for reader in self._readers:
            reader.end()

    def _emit(self, key: tuple[int | None, str], text: str, item: Pending | None) -> None:
        line = OutputLine(text=text, stream=key[1], command_id=key[0])
        log.info("%s", text, extra={"stream": key[1], "command_id": key[0]})
        if item is not None:
            item.printed(line)
        for reader in self._readers:
            reader.put(line)
