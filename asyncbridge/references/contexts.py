"""``async with`` of an object in the worker: it is entered and left there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from asyncbridge.codegen import Block, Name
from asyncbridge.references.code import RemoteCode
from asyncbridge.references.iteration import VISITS

if TYPE_CHECKING:
    from asyncbridge.references.ref import Ref
    from asyncbridge.references.remote import Remote

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
    return await value


async def leave(manager: Remote, error: BaseException | None) -> bool:
    """Leave it, with an error or without; return whether it has dealt with the error."""
    task = asyncio.current_task()
    assert task is not None
    stack = _entered[task]
    place = max(place for place, (each, _) in enumerate(stack) if each is manager)
    _, visit = stack.pop(place)
    home: Any = visit._home()
    told = None if error is None else (type(error).__name__, str(error))
    try:
        swallowed: bool = await home.send(
            "visit.leave(error)",
            {"visit": visit, "error": told},
            name=f"the end of with {manager._said()}",
        )
    finally:
        home._contexts.discard(visit)
    return swallowed
