"""``async for`` over an object in the worker."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.codegen import Block, FromImport, Name
from asyncbridge.references.code import RemoteCode

if TYPE_CHECKING:
    from asyncbridge.references.ref import Ref
    from asyncbridge.references.remote import Remote

__all__ = ["RemoteIterator"]

MOST: Final = 64
"""Items that are asked for at once."""
VISITS: Final = FromImport("asyncbridge.worker", (("visits", "worker_visits"),))
"""Our side of the worker, as commands import it."""


class RemoteIterator:
    """Asks for one item first, then for as many as were taken by then, up to ``MOST``.

    So what is asked for in vain, where a loop is left early, is at most as much as was used.

    Args:
        over: What is iterated over; its iterator is made in the worker with the first item.
    """

    def __init__(self, over: Remote) -> None:
        self._over = over
        self._iteration: Ref | None = None
        self._items: deque[Any] = deque()
        self._taken = 0
        self._ended = False

    def __aiter__(self) -> RemoteIterator:
        return self

    async def __anext__(self) -> Any:
        if not self._items and not self._ended:
            await self._ask()
        if not self._items:
            raise StopAsyncIteration
        self._taken += 1
        return self._items.popleft()

    async def _ask(self) -> None:
        home = self._over._home()
        if self._iteration is None:
            code = RemoteCode(home)
            node = Name("worker_visits").attr("Iteration").call(self._over._code(code))
            label = f"iter({self._over._said()})"
            self._iteration = await home.send(
                Block((VISITS, node)), code.bindings or None, name=label, keep=True
            )
        count = min(MOST, max(1, self._taken))
        items, self._ended = await home.send(
            f"iteration.take({count})",
            {"iteration": self._iteration},
            name=f"next({self._over._said()})",
        )
        self._items.extend(items)
        home._iterations.add(self)  # type: ignore[attr-defined]  # of a bridge
        if self._ended:
            self._iteration = None
            home._iterations.discard(self)  # type: ignore[attr-defined]  # likewise
