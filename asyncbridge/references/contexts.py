"""``async with`` of an object in the worker: it is entered and left there."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from asyncbridge.codegen import Block, Name
from asyncbridge.errors import AsyncBridgeError, RemoteError
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
    home = manager._home()
    code = RemoteCode(home)
    node = Name("worker_visits").attr("Visit").call(manager._code(code))
    label = f"with {manager._said()}"
    visit = home.send(Block((VISITS, node)), code.bindings or None, name=label, keep=True)
    value = home.send("visit.value", {"visit": visit}, name=label)
    try:
        reference, given = await visit, await value
    except BaseException as error:  # no block follows, whose end could leave it
        told = told_of(error)
        value._add_own_callback(hush)
        visit._add_own_callback(lambda ended: _leave_again(ended, home, manager, told))
        raise
    task = asyncio.current_task()
    assert task is not None
    _entered.setdefault(task, []).append((manager, reference))
    home._contexts.add(reference)  # type: ignore[attr-defined]  # of a bridge
    return given


async def leave(manager: Remote, error: BaseException | None) -> bool:
    """Leave it, with an error or without; return whether it has dealt with the error."""
    task = asyncio.current_task()
    assert task is not None
    stack = _entered[task]
    place = max(place for place, (each, _) in enumerate(stack) if each is manager)
    _, visit = stack.pop(place)
    home: Any = visit._home()
    try:
        swallowed: bool = await _leave(
            home, manager, visit, None if error is None else told_of(error)
        )
    finally:
        home._contexts.discard(visit)
    return swallowed


def _leave(home: Home, manager: Remote, visit: Ref, error: tuple[str, str] | None) -> Promise[Any]:
    return home.send(
        "visit.leave(error)",
        {"visit": visit, "error": error},
        name=f"the end of with {manager._said()}",
    )


def _leave_again(visit: Promise[Any], home: Home, manager: Remote, error: tuple[str, str]) -> None:
    """Leave what was entered for nobody, if it was."""
    if visit.state == "fulfilled":
        with suppress(AsyncBridgeError):
            _leave(home, manager, visit.result(), error)._add_own_callback(hush)


def told_of(error: BaseException) -> tuple[str, str]:
    """Return a class's name, and what an error like this one is made with."""
    if isinstance(error, RemoteError):  # as what it was over there
        return error.type, error.message
    given = error.args  # a KeyError would show it in quotes
    plain = len(given) == 1 and type(given[0]) is str
    return type(error).__name__, given[0] if plain else str(error)
