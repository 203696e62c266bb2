"""The mechanism of mirrors: an object here that stands for an object of Keras in the worker.

A mirror's class says what Keras says: a name, and a constructor with Keras's own signature.
Nothing else is needed of it::

    class Dropout(Layer):
        keras_name = "keras.layers.Dropout"

        def __init__(self, rate: float, seed: int | None = None) -> None:
            self._describe(locals())

A mirror is a plain description until a bridge needs it. With a current bridge that is at once;
else when something that has a bridge first uses it. From then on it belongs to that bridge.
"""

from __future__ import annotations

import inspect
import itertools
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from asyncbridge.codegen import Assign, Expression, Name, Node, random_name
from asyncbridge.errors import BridgeClosed
from asyncbridge.lifetime.binding import Binding
from asyncbridge.models.mirrors.arguments import parameters_of, same, show, split, take
from asyncbridge.models.mirrors.calls import Call, Ledger, blocking
from asyncbridge.models.mirrors.expressions import Code
from asyncbridge.models.mirrors.origins import Origin, call_site, call_text
from asyncbridge.models.mirrors.wire import carry, check, leaves

if TYPE_CHECKING:
    from asyncbridge.client import Bridge
    from asyncbridge.promise import Promise

__all__ = ["DType", "Identifier", "Mirror", "call_function", "keras_function"]

Function = TypeVar("Function", bound=Callable[..., object])

_serials = itertools.count()


class Mirror:
    """The base of all mirrors.

    Two mirrors are equal when their classes and arguments are, arrays element by element.

    Attributes:
        keras_name: Full name in Keras of the class that is mirrored.
    """

    keras_name: ClassVar[str]

    def __init__(self) -> None:
        raise TypeError(f"{type(self).__name__} is a base class; make one of its subclasses")

    def _describe(self, values: Mapping[str, object]) -> None:
        """Keep a constructor's arguments, and make the object if there is a bridge.

        Args:
            values: The constructor's ``locals()``.
        """
        name = type(self).__name__
        parameters = parameters_of(inspect.getattr_static(type(self), "__init__"))
        self._arguments = {
            key: carry(value, f"{name}() argument {key!r}")
            for key, value in take(name, parameters, values).items()
        }
        # Keras draws from global random generators in constructors: the order of the calls
        # here must be the order of the calls there.
        self._serial = next(_serials)
        self._leading, self._named = split(parameters, self._arguments)
        text = call_text(self.keras_name, self._leading.values(), self._named)
        self._origin = Origin(call=text, site=call_site(self))
        self._ledger = Ledger()
        self._bridge: Bridge | None = None
        self._name: str | None = None
        mirrors = _reach([self])
        if (bridge := _bridge_of(mirrors)) is not None:
            _bring(mirrors, bridge)

    @property
    def arguments(self) -> Mapping[str, object]:
        """The constructor's arguments by name, defaults included."""
        return MappingProxyType(self._arguments)

    @property
    def bridge(self) -> Bridge | None:
        """The bridge that the object lives behind; None while it is a description alone."""
        return self._bridge

    def __repr__(self) -> str:
        shown = {**self._leading, **self._named}
        parts = (f" {name}={show(value)}" for name, value in shown.items())
        return f"<{type(self).__name__}{''.join(parts)}>"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self) or not isinstance(other, Mirror):
            return NotImplemented
        return self is other or same(self._content(), other._content())

    def __hash__(self) -> int:
        # Arguments may be arrays, and a model's layers change: all of a class share a hash.
        return hash(type(self))

    if not TYPE_CHECKING:
        # Hidden from type checkers: with it, they would let any attribute be set.
        def __setattr__(self, name: str, value: object) -> None:
            if not name.startswith("_"):
                raise AttributeError(
                    f"{type(self).__name__}.{name} cannot be set on a mirror: it would not "
                    "reach the worker; pass it to the constructor"
                )
            object.__setattr__(self, name, value)

    def _content(self) -> dict[str, object]:
        """Return what two equal mirrors have in common, by argument."""
        return self._arguments

    def _parts(self) -> Iterable[object]:
        """Return what this one is made of, in which other mirrors may stand."""
        return self._arguments.values()

    def _create(self, bridge: Bridge) -> None:
        """Make the object in the worker; whatever it is made of is there."""
        code = Code(_name_in_worker)
        name = random_name(f"{type(self).__name__.lower()}_")
        made = code.call(code.keras(self.keras_name), self._leading, self._named)
        call = Call(self._origin, [self, *_reach(self._parts())])
        program = code.program(Assign(Name(name), made))
        _send(bridge, program, code, call, self.keras_name)
        bridge.collect(self, name)
        # atexit stays on: failures are reported once at the interpreter's end, too.
        weakref.finalize(self, self._ledger.close)
        self._bridge, self._name, self._ledger.creation = bridge, name, call

    def _call(
        self,
        method: Callable[..., object],
        values: Mapping[str, object],
        *,
        wrap: Callable[[Expression], Iterable[Any]] | None = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> Promise[Any]:
        """Call the method of the same name on the object in the worker.

        Args:
            method: The mirror's own method, whose signature is Keras's.
            values: Its ``locals()``.
            wrap: Makes statements of the call; the value of the last one is the command's.
            transform: Makes a domain object of the raw value.

        Raises:
            BridgeClosed: There is no open bridge.
            TypeError: An argument has a wrong type, or no wire form.
            ValueError: An argument belongs to another bridge, or data makes no array.
        """
        label = f"{type(self).__name__}.{method.__name__}"
        leading, named, parts = _take_call(label, method, values)
        mirrors = _reach([self, *parts])
        bridge = _settled_bridge(mirrors, label)
        code = Code(_name_in_worker)
        function = code.value(self, "").attr(method.__name__)
        node = code.call(function, leading, named)
        call = Call(self._origin, [*mirrors, *_bindings(parts)])
        program = code.program(*(wrap(node) if wrap else [node]))
        promise = _send(bridge, program, code, call, label, transform)
        self._ledger.add(call)
        return promise


Identifier = str | Mirror | Callable[..., object] | dict[str, object] | None
"""What Keras's ``get`` functions take: a name, an object, a function of Keras or a config."""
DType = str | Mirror | None
"""A dtype's name or a dtype policy."""


def keras_function(full_name: str) -> Callable[[Function], Function]:
    """Mark a function as the mirror of Keras's own, which it also stands for as an argument."""

    def mark(function: Function) -> Function:
        function.keras_name = full_name  # type: ignore[attr-defined]  # an attribute of ours
        return function

    return mark


def call_function(
    function: Callable[..., object],
    values: Mapping[str, object],
    *,
    transform: Callable[[Any], Any] | None = None,
) -> Promise[Any]:
    """Call the function of Keras that a mirrored one stands for.

    Args:
        function: The mirror, whose signature is Keras's.
        values: Its ``locals()``.
        transform: Makes a domain object of the raw value.

    Raises:
        BridgeClosed: There is no open bridge.
        TypeError: An argument has a wrong type, or no wire form.
        ValueError: An argument belongs to another bridge, or data makes no array.
    """
    full_name: str = getattr(function, "keras_name")  # noqa: B009 - see keras_function
    leading, named, parts = _take_call(function.__name__, function, values)
    mirrors = _reach(parts)
    bridge = _settled_bridge(mirrors, full_name)
    code = Code(_name_in_worker)
    node = code.call(code.keras(full_name), leading, named)
    call = Call(None, [*mirrors, *_bindings(parts)])
    return _send(bridge, code.program(node), code, call, full_name, transform)


# --- inner steps -------------------------------------------------------------------------


def _take_call(
    label: str, function: Callable[..., object], values: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, object], list[object]]:
    parameters = parameters_of(function)
    taken = take(label, parameters, values)
    for key, value in taken.items():
        check(value, f"{label}() argument {key!r}")
    return *split(parameters, taken), list(taken.values())


def _reach(values: Iterable[object]) -> list[Mirror]:
    """Return all mirrors in the values, and in what those are made of, oldest first."""
    found: dict[int, Mirror] = {}
    todo = list(values)
    while todo:
        for leaf in leaves([todo.pop()]):
            if isinstance(leaf, Mirror) and id(leaf) not in found:
                found[id(leaf)] = leaf
                todo.extend(leaf._parts())
    return sorted(found.values(), key=lambda mirror: mirror._serial)


def _bindings(values: Iterable[object]) -> Iterator[object]:
    return (leaf for leaf in leaves(values) if isinstance(leaf, Binding))


def _name_in_worker(value: object) -> str | None:
    return value._name if isinstance(value, Mirror) else None


def _current_bridge() -> Bridge | None:
    # A bridge can be open only where the client was loaded: a description loads nothing.
    if "asyncbridge.client" not in sys.modules:
        return None
    from asyncbridge.client.current import current_bridge  # noqa: PLC0415 - it is loaded

    return current_bridge()


def _bridge_of(mirrors: Iterable[Mirror]) -> Bridge | None:
    """Return the bridge that one of these belongs to, else the current one."""
    owners = (mirror._bridge for mirror in mirrors if mirror._bridge is not None)
    return next(owners, None) or _current_bridge()


def _settled_bridge(mirrors: Iterable[Mirror], label: str) -> Bridge:
    bridge = _bridge_of(mirrors)
    if bridge is None:
        raise BridgeClosed(
            f"{label}() needs an open bridge: call it within "
            "`async with asyncbridge.connect():`, or with one bridge open in the process"
        )
    _bring(mirrors, bridge)
    return bridge


def _bring(mirrors: Iterable[Mirror], bridge: Bridge) -> None:
    """Make those that are descriptions yet, in the order in which they were described.

    Raises:
        ValueError: One of them belongs to another bridge; nothing was sent.
    """
    for mirror in mirrors:
        if mirror._bridge not in (None, bridge):
            raise ValueError(
                f"{mirror!r} belongs to {mirror._bridge!r} and cannot be used with {bridge!r}: "
                "make another one there"
            )
    for mirror in mirrors:
        if mirror._bridge is None:
            mirror._create(bridge)


def _send(
    bridge: Bridge,
    program: Node,
    code: Code,
    call: Call,
    label: str,
    transform: Callable[[Any], Any] | None = None,
) -> Promise[Any]:
    mirrors = [value for value in call.holds if isinstance(value, Mirror)]
    call.origins = {mirror._name: mirror._origin for mirror in mirrors if mirror._name}
    call.causes = tuple(blocking(mirror._ledger for mirror in mirrors))
    promise = bridge.send(
        program,
        code.bindings or None,
        transform=transform,
        name=label,
        after=[cause.promise for cause in call.wanted() if cause.promise is not None],
        annotate=call.annotate,
    )
    call.started(promise)
    return promise
