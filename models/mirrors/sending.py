"""Which bridge mirrors go to, and how what is said of them gets there."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from asyncbridge.codegen import Assign, Name, as_expression, random_name
from asyncbridge.errors import BridgeClosed, StaleReference
from asyncbridge.models.mirrors.arguments import show
from asyncbridge.models.mirrors.calls import Call, blocking
from asyncbridge.models.mirrors.described import Described, name_in_worker, reach
from asyncbridge.models.mirrors.expressions import Code
from asyncbridge.models.mirrors.origins import call_site
from asyncbridge.models.mirrors.wire import leaves
from asyncbridge.promise import Promise
from asyncbridge.references.binding import Binding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from asyncbridge.client import Bridge
    from asyncbridge.codegen import Expression, Node, Statement
    from asyncbridge.models.mirrors.origins import Origin
    from asyncbridge.models.mirrors.recipes import Recipe

    Body = Sequence[Statement | Expression]

__all__ = ["bridge_of", "bring", "current_bridge", "request", "settle"]


def request(
    recipe: Recipe,
    body: Callable[[Code, Expression], Body],
    *,
    owner: Described | None = None,
    transform: Callable[[Any], Any] | None = None,
    watched: Sequence[Described] = (),
    reads: bool = False,
    promise_factory: Callable[..., Promise[Any]] = Promise,
) -> Promise[Any]:
    """Send a command about mirrors; those that are descriptions yet are made before it.

    Args:
        recipe: What is called.
        body: Makes statements of the call's expression; the last one's value is the command's.
        owner: The mirror whose later calls fail with this one.
        transform: Makes a domain object of the raw value.
        watched: Those of whom the worker tells facts when it is done.
        reads: Whether it leaves the owner's object as it is: no later call fails with it.
        promise_factory: Makes the promise, called with ``loop=``.

    Raises:
        BridgeClosed: There is no open bridge.
        ValueError: A mirror in it belongs to another bridge; nothing was sent.
    """
    label, origin = recipe.label, None if owner is None else owner._origin
    near, bridge = settle(recipe.parts, f"{label}()")
    code = Code(name_in_worker)
    statements = list(body(code, recipe.expression(code)))
    if watched:
        # Python evaluates the value first: the facts are those of afterwards.
        statements[-1] = as_expression((statements[-1], _facts_of(code, watched)))
        transform = partial(_take_value, watched, transform)
    sent = f"{label} was sent from {call_site(owner)}"
    call = Call(origin, [*near, *_bindings(recipe.parts)], partial(_origins, near), sent)
    call.causes = tuple(blocking(one._ledger for one in reach(near)))
    program = code.program(*statements)
    promise = _send(bridge, program, code, call, label, transform, promise_factory)
    if owner is not None:
        owner._ledger.add(call, reads=reads)
    return promise


def settle(parts: Iterable[object], label: str) -> tuple[list[Described], Bridge]:
    """Make what is a description yet; return the mirrors among the parts, and their bridge.

    Raises:
        BridgeClosed: There is no open bridge.
        StaleReference: One of them was made in a scope that has ended.
        ValueError: One of them, or a binding, belongs to another bridge; nothing was sent.
    """
    near = reach(parts, through_made=False)
    for one in near:
        if one._released:
            raise StaleReference(
                f"{label}: {show(one)} was released {one._released} ({one._origin.note()})",
                reason=f"released {one._released}",
            )
    bridge = bridge_of(near)
    if bridge is None:
        raise BridgeClosed(
            f"{label} needs an open bridge: call it within "
            "`async with asyncbridge.connect():`, or with one bridge open in the process"
        )
    for binding in _bindings(parts):
        if not binding.is_at(bridge):
            raise ValueError(
                f"{label}: the binding {binding} is a name in another bridge's worker; put the "
                f"value into this one's: {bridge!r}"
            )
    bring(near, bridge)
    check_keras(bridge, label)
    return near, bridge


def check_keras(bridge: Bridge, label: str) -> None:
    """Refuse a bridge to a worker that is known to have no Keras.

    Raises:
        ValueError: It was started with ``backend=None``, or is a fake one.
    """
    if not bridge.has_keras:
        raise ValueError(
            f"{label}: {bridge!r} is to a worker without Keras: open one with a backend, by "
            'connect(backend="tensorflow"); in tests, by the fixture `bridge`'
        )


def bridge_of(mirrors: Iterable[Described]) -> Bridge | None:
    """Return the bridge that one of these belongs to, else the current one."""
    owners = (mirror._bridge for mirror in mirrors if mirror._bridge is not None)
    return next(owners, None) or current_bridge()


def current_bridge() -> Bridge | None:
    """Return the bridge that was entered here, or the only one that is open."""
    # A bridge can be open only where the client was loaded: a description loads nothing.
    if "asyncbridge.client" not in sys.modules:
        return None
    from asyncbridge.client import current  # noqa: PLC0415 - it is loaded

    return current.current_bridge()


def bring(mirrors: Sequence[Described], bridge: Bridge) -> None:
    """Make those that are descriptions yet, in the order in which they were described.

    Raises:
        ValueError: One of them belongs to another bridge; nothing was sent.
    """
    _refuse_foreign(mirrors)
    for mirror in mirrors:
        if mirror._bridge is None:
            _create(mirror, bridge)


# --- inner steps -------------------------------------------------------------------------


def _refuse_foreign(mirrors: Sequence[Described]) -> None:
    owners = {id(one._bridge): one for one in mirrors if one._bridge is not None}
    if len(owners) < 2:
        return
    # The one at fault is the one that does not belong to the present bridge.
    here = owners.get(id(current_bridge()), next(iter(owners.values())))
    foreign = next(one for one in owners.values() if one._bridge is not here._bridge)
    raise ValueError(
        f"{show(foreign)} belongs to {foreign._bridge!r}, and {show(here)} to another bridge, "
        f"{here._bridge!r}: make another one there ({foreign._origin.note()})"
    )


def _create(mirror: Described, bridge: Bridge) -> None:
    """Make the object in the worker; whatever it is made of is there."""
    check_keras(bridge, mirror._recipe.label)
    code = Code(name_in_worker)
    name = random_name(f"{type(mirror).__name__.lower()}_")
    body: list[Statement | Expression] = [Assign(Name(name), mirror._recipe.expression(code))]
    watched = mirror._watched()
    if watched:
        body.append(_facts_of(code, watched, {id(mirror): name}))
    near = reach(mirror._parts(), through_made=False)
    call = Call(mirror._origin, [mirror, *near], partial(_origins, near))
    # What those are made of in turn is in their own creations' hands.
    call.causes = tuple(blocking(one._ledger for one in near))
    transform = partial(_take_facts, watched) if watched else None
    _send(bridge, code.program(*body), code, call, mirror._recipe.label, transform, sets=(name,))
    bridge.tie(mirror, name, mirror._origin.title)
    # atexit stays on: failures are reported once at the interpreter's end, too.
    weakref.finalize(mirror, mirror._ledger.close)
    mirror._bridge, mirror._name, mirror._ledger.creation = bridge, name, call


def _send(
    bridge: Bridge,
    program: Node,
    code: Code,
    call: Call,
    label: str,
    transform: Callable[[Any], Any] | None,
    promise_factory: Callable[..., Promise[Any]] = Promise,
    sets: tuple[str, ...] = (),
) -> Promise[Any]:
    promise = bridge.send(
        program,
        code.bindings or None,
        transform=transform,
        name=label,
        after=[cause.promise for cause in call.wanted() if cause.promise is not None],
        annotate=call.annotate,
        promise_factory=promise_factory,
        _sets=sets,
    )
    call.started(promise)
    return promise


def _bindings(values: Iterable[object]) -> Iterator[Binding]:
    return (leaf for leaf in leaves(values) if isinstance(leaf, Binding))


def _origins(near: Sequence[Described]) -> dict[str, Origin]:
    return {one._name: one._origin for one in reach(near) if one._name is not None}


def _facts_of(
    code: Code, watched: Sequence[Described], new: Mapping[int, str] = MappingProxyType({})
) -> Expression:
    names = [Name(new[id(one)]) if id(one) in new else code.value(one, "") for one in watched]
    return code.worker("state").call(*names)


def _take_facts(watched: Sequence[Described], facts: Sequence[Mapping[str, object]]) -> None:
    for one, told in zip(watched, facts, strict=True):
        one._note(told)


def _take_value(
    watched: Sequence[Described], transform: Callable[[Any], Any] | None, pair: Any
) -> object:
    value, facts = pair
    _take_facts(watched, facts)
    return value if transform is None else transform(value)
