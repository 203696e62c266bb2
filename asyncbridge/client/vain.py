"""What a task, or a thread, waits for in vain: a command that cannot run before it goes on.

Nothing here is a guess: where it is not plain that a wait can only end by that command, or by a
cancellation, no such wait is found.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from dataclasses import dataclass
from functools import partial
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import ref

from asyncbridge.client.pending import Pending
from asyncbridge.promise.blocking import Step, blocked_in
from asyncbridge.promise.handle import Handle
from asyncbridge.promise.waiting import Awaiting, Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = [
    "Reader",
    "TaskReader",
    "ThreadReader",
    "Wait",
    "timers_of",
    "wait_of_task",
    "wait_of_thread",
]

IsBehind: TypeAlias = "Callable[[Pending], bool]"
"""Tells a command that cannot run now, and never will while things stand as they do."""
_DEPTH = 50
"""Tasks that wait for tasks, at most."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait that can only end by a command.

    Attributes:
        command: The command; of several, the first.
        fail: Ends the wait by an error.
    """

    command: Pending
    fail: Callable[[BaseException], object]


# --- what is waited for ------------------------------------------------------------------


def wait_of_task(
    task: asyncio.Task[Any], is_behind: IsBehind, around: Sequence[asyncio.Handle] = ()
) -> Wait | None:
    """Return what a task waits for in vain; None if it may yet go on.

    Args:
        task: The task.
        is_behind: Tells which commands are waited for in vain.
        around: Timers that end more than this wait.
    """
    seen: set[asyncio.Task[Any]] = set()
    wait = _wait_for(task, is_behind, seen)
    if wait is None:
        return None
    limits = timers_of(seen, task.get_loop())
    return wait if all(any(each is known for known in around) for each in limits) else None


def wait_of_thread(thread: int, is_behind: IsBehind) -> Wait | None:
    """Return what a thread, named by its ident, waits for in vain; None if it may yet go on."""
    blocked = blocked_in(thread)
    if blocked is not None and isinstance(blocked.promise, Step):
        task = blocked.promise.task
        return None if task is None else wait_of_task(task, is_behind)
    command = None if blocked is None else _command_of(blocked.promise, is_behind)
    return None if blocked is None or command is None else Wait(command, blocked.fail)


def _wait_for(awaited: object, is_behind: IsBehind, seen: set[asyncio.Task[Any]]) -> Wait | None:
    """Follow a task to what it waits for, through other tasks and what gathers them."""
    if isinstance(awaited, (Waiter, Awaiting)):
        command = _command_of(awaited.promise, is_behind)
        return None if command is None else Wait(command, awaited.fail)
    if isinstance(awaited, asyncio.Task):
        if awaited in seen or len(seen) == _DEPTH:
            return None
        seen.add(awaited)
        # asyncio keeps it in no public place.
        return _wait_for(getattr(awaited, "_fut_waiter", None), is_behind, seen)
    if isinstance(awaited, Handle):
        command = _command_of(awaited, is_behind)
        return None if command is None else Wait(command, _nothing)
    children = getattr(awaited, "_children", None)
    if isinstance(awaited, asyncio.Future) and isinstance(children, (list, tuple)):
        return _wait_for_all(awaited, children, is_behind, seen)
    return None


def _wait_for_all(
    gathering: asyncio.Future[Any],
    children: Sequence[asyncio.Future[Any]],
    is_behind: IsBehind,
    seen: set[asyncio.Task[Any]],
) -> Wait | None:
    """Return a gathering's wait: one that may yet end could end it, by an error."""
    waits = [_wait_for(child, is_behind, seen) for child in children if not child.done()]
    known = [wait for wait in waits if wait is not None]
    if not known or len(known) < len(waits):
        return None
    command = min((wait.command for wait in known), key=lambda command: command.id)
    return Wait(command, partial(_end, gathering))


def _end(gathering: asyncio.Future[Any], error: BaseException) -> None:
    if not gathering.done():
        gathering.set_exception(error)


def _nothing(error: BaseException) -> None:
    """Leave a promise alone: the wait for it ends with what gathers it."""


def _command_of(promise: asyncio.Future[Any], is_behind: IsBehind) -> Pending | None:
    """Return the command that alone can settle a promise, if that is one of those."""
    link: Any = promise
    while isinstance(link, Handle) and not link.done():
        source = link._source
        if source is not None:
            return source if isinstance(source, Pending) and is_behind(source) else None
        link = link._upstream
    return None


def timers_of(
    tasks: Iterable[asyncio.Task[Any]], loop: asyncio.AbstractEventLoop
) -> list[asyncio.Handle]:
    """Return the timers that will wake tasks: those of ``asyncio.timeout`` and its like.

    A loop that does not show its timers, such as uvloop's, seems to have none.
    """
    tasks = set(tasks)
    return [each for each in tuple(getattr(loop, "_scheduled", ())) if _is_of(each, tasks)]


def _is_of(timer: asyncio.Handle, tasks: set[asyncio.Task[Any]]) -> bool:
    """Tell whether a timer knows one of the tasks, as far as one can see."""
    owner = getattr(getattr(timer, "_callback", None), "__self__", None)
    known = [owner, getattr(owner, "_task", None), *(getattr(timer, "_args", None) or ())]
    known += tuple(getattr(owner, "_tasks", None) or ())
    return any(isinstance(each, asyncio.Task) and each in tasks for each in known)


# --- who reads ---------------------------------------------------------------------------


class TaskReader:
    """The task that goes through a value's parts, while it is between two of them.

    Args:
        iterator: What it has them from. Nobody else may hold it: they could read on.
        around: Timers that were there before the first part: they end the loop, not a wait in it.
    """

    def __init__(self, iterator: ref[Any], around: Sequence[asyncio.Handle]) -> None:
        self._iterator = iterator
        # Weakly: a task that has failed holds the frames that hold the iterator.
        task = asyncio.current_task()
        self._task = None if task is None else ref(task)
        self._around = around

    def wait(self, is_behind: IsBehind) -> Wait | None:
        """Return what it waits for in vain."""
        task = None if self._task is None else self._task()
        if task is None or task.done():
            return None
        wait = wait_of_task(task, is_behind, self._around)
        return wait if wait is not None and _is_in_frames(self._iterator, task) else None


class ThreadReader:
    """The thread that goes through a value's parts, while it is between two of them.

    Args:
        iterator: As of ``TaskReader``.
        thread: The thread's ident.
    """

    def __init__(self, iterator: ref[Any], thread: int) -> None:
        self._iterator = iterator
        self._thread = thread

    def wait(self, is_behind: IsBehind) -> Wait | None:
        """Return what it waits for in vain."""
        wait = wait_of_thread(self._thread, is_behind)
        return wait if wait is not None and _is_on_a_stack(self._iterator) else None


Reader: TypeAlias = TaskReader | ThreadReader


def _is_in_frames(iterator: ref[Any], task: asyncio.Task[Any]) -> bool:
    """Tell whether all that refers to an iterator are frames that a task has suspended."""
    held: list[Any] = list(_frames(task.get_coro()))
    for frame in held:  # it grows by generators that nobody but these frames can advance
        for inner in _generators_in(frame):
            if inner() is not iterator() and _references(inner) == _held_by(held, inner):
                held.append(inner())
    return _references(iterator) == _held_by(held, iterator)


def _generators_in(frame: object) -> list[ref[Any]]:
    return [ref(each) for each in gc.get_referents(frame) if isinstance(each, AsyncGeneratorType)]


def _frames(step: Any) -> Iterator[object]:
    """Yield the coroutines and generators that a coroutine waits in, the outermost first."""
    while step is not None:
        if isinstance(step, CoroutineType):
            yield step
            step = step.cr_await
        elif isinstance(step, AsyncGeneratorType):
            yield step
            step = step.ag_await
        elif isinstance(step, GeneratorType):
            yield step
            step = step.gi_yieldfrom
        else:  # such as the step of an asynchronous generator, which does not tell of which
            kinds = (CoroutineType, AsyncGeneratorType, GeneratorType)
            inner = [each for each in gc.get_referents(step) if isinstance(each, kinds)]
            step = inner[0] if inner else None


def _held_by(frames: Sequence[object], iterator: ref[Any]) -> int:
    return sum(each is iterator() for frame in frames for each in gc.get_referents(frame))


def _is_on_a_stack(iterator: ref[Any]) -> bool:
    """Tell whether nothing refers to an iterator but a frame that runs, as ``for`` has it."""
    return _references(iterator) == 1 and not gc.get_referrers(iterator())


def _references(iterator: ref[Any]) -> int:
    """Count the references to an object; 0 if there is none any more."""
    return _count(iterator) - _OWN


def _count(iterator: ref[Any]) -> int:
    return sys.getrefcount(iterator())


class _Probe:
    """Something that one reference is held to."""


def _own() -> int:
    """Return how many references the count itself takes."""
    probe = _Probe()
    return _count(ref(probe)) - 1


_OWN = _own()
