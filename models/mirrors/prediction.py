"""The promise of predictions: it can be awaited as a whole, or gone through part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncbridge.models.mirrors.rows import rows_of, sliced
from asyncbridge.promise import Promise

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator

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

    async def __aiter__(self) -> AsyncGenerator[Any, None]:
        """Go through the outputs, batch by batch; once.

        Raises:
            RuntimeError: They were gone through before.
        """
        if self._gone_through:
            raise RuntimeError("these predictions are gone through already: predict again")
        self._gone_through = True
        source: Pending | None = self._source  # type: ignore[assignment]  # a command's
        parts = None if source is None else source.parts()
        if parts is None:  # it began before it was known that parts are wanted
            for part in _cut(await self, self._batch_size):
                yield part
            return
        async for part in _each(self, parts):
            yield part


async def _each(prediction: Prediction, parts: Parts) -> AsyncGenerator[Any, None]:
    try:
        async for part in parts:
            yield part
        await prediction  # for its error
    finally:
        parts.leave()
        if not prediction.done():
            prediction.cancel("its parts are not wanted any more", mode="graceful")


def _cut(whole: Any, size: int) -> list[Any]:
    return [sliced(whole, start, start + size) for start in range(0, rows_of(whole), size)]
