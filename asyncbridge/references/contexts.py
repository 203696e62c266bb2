"""``async with`` of an object in the worker: it is entered and left there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from asyncbridge.codegen import Block, Name
from asyncbridge.errors import RemoteError
from asyncbridge.references.code import RemoteCode
from asyncbridge.references.expression import hush
from asyncbridge.references.iteration import VISITS

if TYPE_CHECKING:
    from asyncbridge.promise import Promise
    from asyncbridge.references.ref import Ref
    from asyncbridge.references.remote import Home, Remote

__all__ = ["enter", "leave"]

# By the task that has entered, and by what it has: the same object may be entered in several.
_entered: WeakKeyDictionary[asyncio.Task[Any], list[tuple[Remote, Ref]]] = WeakKeyDictionary()


async def enter(manager: Remote) -> Any:
    """Enter a context manager; return what its ``__enter__`` has."""
    code = RemoteCode()
    node = Name("worker_visits").attr("Visit").call(manager._code(code))
    label = f"with {manager._said()}"
    home = manager._home()
    visit = home.send(Block((VISITS, node)), code.bindings or None, name=label, keep=True)
    value = home.send("visit.value", {"visit": visit}, name=label)
    reference = await visit
    task = asyncio.current_task()
    assert task is not None
    _entered.setdefault(task, []).append((manager, reference))
    home._contexts.add(reference)  # type: ignore[attr-defined]  # of a bridge
    try:
        return await value
    except BaseException as error:  # no block follows, whose end could leave it
        _forget(manager)
        home._contexts.discard(reference)  # type: ignore[attr-defined]  # of a bridge
        _leave(home, manager, reference, error)._add_own_callback(hush)
        raise


async def leave(manager: Remote, error: BaseException | None) -> bool:
    """Leave it, with an error or without; return whether it has dealt with the error."""
    visit = _forget(manager)
    home: Any = visit._home()
    try:
        swallowed: bool = await _leave(home, manager, visit, error)
    finally:
        home._contexts.discard(visit)
    return swallowed


def _forget(manager: Remote) -> Ref:
    """Return what the task has entered last, of one context manager, and forget it."""
    task = asyncio.current_task()
    assert task is not None
    stack = _entered[task]
    place = max(place for place, (each, _) in enumerate(stack) if each is manager)
    return stack.pop(place)[1]


def _leave(home: Home, manager: Remote, visit: Ref, error: BaseException | None) -> Promise[Any]:
    told = None if error is None else class_and_text(error)
    return home.send(
        "visit.leave(error)",
        {"visit": visit, "error": told},
        name=f"the end of with {manager._said()}",
    )


def class_and_text(error: BaseException) -> tuple[str, str]:
    """Return what the manager is told of an error: of a command's, what that was over there."""
    if isinstance(error, RemoteError):
        return error.type, error.message
    return type(error).__name__, str(error)
