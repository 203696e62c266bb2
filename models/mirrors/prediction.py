"""The promise of predictions: it can be awaited as a whole, or gone through part by part."""

from __future__ import annotations

from asyncio.events import _get_running_loop
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from asyncbridge.errors import WrongLoopError
from asyncbridge.models.mirrors.rows import rows_of, sliced
from asyncbridge.outcome import Value
from asyncbridge.promise import Promise
from asyncbridge.promise.blocking import block_on

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator, Generator

    from asyncbridge.client.parts import Parts
    from asyncbridge.client.pending import Pending

__all__ = ["Prediction"]


class Prediction(Promise[Any]):
    """What ``predict`` returns: a promise of the outputs for all samples.

    ``async for part in model.predict(data)`` gives those of each batch as they come instead, and
    the worker computes no faster than they are taken. It keeps none of them, so the promise's value
    is None then. Leaving the loop stops the prediction.

    Args:
        loop: The bridge's.
        batch_size: Rows of a part, where the value has come whole already.
    """

    def __init__(self, *, loop: AbstractEventLoop, batch_size: int) -> None:
        super().__init__(loop=loop)
        self._batch_size = batch_size
        self._gone_through = False
        self._parts: Parts | None = None
        self._iterator: ref[Any] | None = None

    def __aiter__(self) -> AsyncGenerator[Any, None]:
        """Go through the outputs, batch by batch; once.

        Raises:
            DeadlockError: A wait in the loop, for a command that comes behind this one.
            RuntimeError: They were gone through before.
            WrongLoopError: It is not the bridge's own loop.
        """
        iterator = self._each()
        self._iterator = ref(iterator)
        return iterator

    def __iter__(self) -> Generator[Any, None, None]:
        """Go through them in a script, as ``async for`` does elsewhere.

        Raises:
            DeadlockError: As above.
            RuntimeError: As above.
            WrongLoopError: An event loop runs in this thread.
        """
        if _get_running_loop() is not None:
            raise WrongLoopError("`for` would block this event loop: use `async for`")
        iterator = self._stepwise(aiter(self))
        self._iterator = ref(iterator)
        return iterator

    def _stepwise(self, steps: AsyncGenerator[Any, None]) -> Generator[Any, None, None]:
        """Yield the parts to a thread without a loop: each step is made on the bridge's."""
        try:
            while (found := block_on(self._loop, partial(_next_of, steps))) is not None:
                if self._parts is not None and self._iterator is not None:
                    self._parts.held_by_thread(self._iterator)
                yield found.value
        finally:
            if not self._loop.is_closed():  # else nothing is left that would end
                block_on(self._loop, partial(_close, steps))

    async def _each(self) -> AsyncGenerator[Any, None]:
        if _get_running_loop() is not self._loop:
            raise WrongLoopError("predictions are gone through on the loop of their bridge")
        if self._gone_through:
            raise RuntimeError("these predictions are gone through already: predict again")
        self._gone_through = True
        source: Pending | None = self._source  # type: ignore[assignment]  # a command's
        self._parts = None if source is None else source.parts()
        if self._parts is None:  # it began before it was known that parts are wanted
            for part in _cut(await self, self._batch_size):
                yield part
            return
        try:
            async for part in self._parts:
                if self._iterator is not None:
                    self._parts.held_by_task(self._iterator)
                yield part
                self._parts.held_by_nobody()
            await self  # for its error
        finally:
            self._parts.leave()
            if not self.done():
                self.cancel("its parts are not wanted any more", mode="graceful")


async def _next_of(steps: AsyncGenerator[Any, None]) -> Value[Any] | None:
    async for part in steps:
        return Value(part)
    return None


async def _close(steps: AsyncGenerator[Any, None]) -> None:
    await steps.aclose()


def _cut(whole: Any, size: int) -> list[Any]:
    return [sliced(whole, start, start + size) for start in range(0, rows_of(whole), size)]
