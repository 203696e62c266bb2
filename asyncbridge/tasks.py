"""The one place that creates tasks outside a ``TaskGroup``: none gets lost, none fails unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

__all__ = ["begin", "spawn"]

T = TypeVar("T")

# The event loop itself holds tasks weakly; this holds them until they are done.
_unfinished: set[asyncio.Task[Any]] = set()


def spawn(
    coro: Coroutine[Any, Any, T],
    *,
    name: str,
    on_error: Callable[[BaseException], object] | None = None,
) -> asyncio.Task[T]:
    """Start a task on the running loop and keep it alive until it is done.

    Args:
        coro: What it runs.
        name: The task's name, for people.
        on_error: Called with the exception that the task ends by, which then counts as
            handled. Without it, an exception that nobody has taken two turns of the loop
            after the end goes to ``loop.call_exception_handler``, once, even while somebody
            still holds the task.
    """
    task = asyncio.create_task(coro, name=name)
    _unfinished.add(task)
    task.add_done_callback(partial(_ended, on_error))
    return task


def begin(coro: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
    """Run a coroutine at once, up to where it first waits.

    It runs in its caller's task, or in none, so it is not to ask for its own: as time limits do.

    Returns:
        What waits for the rest, and raises what that raises; None when there is no rest.
    """
    try:
        waited = coro.send(None)
    except StopIteration:
        return None
    except Exception as error:  # noqa: BLE001 - it is for whoever awaits the rest
        return _Rest(coro, error=error)
    return _Rest(coro, waited)


class _Rest(Generator[Any, Any, None]):
    """A coroutine that has begun: first it gives what that waits for, then it is that."""

    def __init__(
        self, coro: Coroutine[Any, Any, None], waited: Any = None, error: Exception | None = None
    ) -> None:
        self._coro = coro
        self._waited = waited
        self._error = error
        self._awaited = False

    def __await__(self) -> Generator[Any, Any, None]:
        return self

    def send(self, value: Any) -> Any:
        if self._error is not None:
            raise self._error
        if self._awaited:
            return self._coro.send(value)
        self._awaited = True
        return self._waited

    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> Any:
        return self._coro.throw(typ if val is None else val)


def _ended(on_error: Callable[[BaseException], object] | None, task: asyncio.Task[Any]) -> None:
    _unfinished.discard(task)
    if not _is_unseen(task):
        return
    if on_error is None:
        # Awaiters wake after this callback, and those behind asyncio.wait one turn later.
        loop = task.get_loop()
        loop.call_soon(loop.call_soon, _report, task)
    elif (error := task.exception()) is not None:
        on_error(error)


def _report(task: asyncio.Task[Any]) -> None:
    if _is_unseen(task):
        task.get_loop().call_exception_handler(
            {
                "message": f"task {task.get_name()!r} failed and nobody awaits it",
                "exception": task.exception(),  # taken here, so the task's end logs no second time
                "task": task,
            }
        )


def _is_unseen(task: asyncio.Task[Any]) -> bool:
    """Return whether it ended by an exception that nobody took."""
    return task._log_traceback  # asyncio keeps it in no public place
