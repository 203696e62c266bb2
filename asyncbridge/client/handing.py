"""What stands, among a command's bindings, for values that are in the worker or not there yet."""

from __future__ import annotations

import sys
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.client.pending import Pending
from asyncbridge.errors import StaleReference
from asyncbridge.promise import Promise
from asyncbridge.references import Binding, Ref, Remote, RemoteExpression, RemoteModule
from asyncbridge.references.expression import hush
from asyncbridge.references.remote import foreign
from asyncbridge.serialization.encoders import ENCODERS, no_form
from asyncbridge.serialization.handles import there

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncbridge.client.bridge import Bridge
    from asyncbridge.references import Residence
    from asyncbridge.serialization.walk import Sink

__all__ = ["Handing", "Use", "holds_handle"]


class Use:
    """A promise among a command's bindings, whose value the worker puts there.

    Attributes:
        promise: It.
        item: Its command; or that which passes the value on. None until there is one.
        settled: Whether a callback waits for its end.
        residence: The worker that has the value, or gets it, where nothing else says so.
    """

    __slots__ = ("item", "promise", "residence", "settled")

    def __init__(self, promise: Promise[Any], item: Pending | None) -> None:
        self.promise = promise
        self.item = item
        self.settled = False
        self.residence: Residence | None = None


class Handing:
    """Writes handles among the bindings of one command.

    Args:
        bridge: Where that goes.

    Attributes:
        keeps: That nothing else stays here.
        uses: The promises whose values it uses, by their places.
        after: Commands that have to have succeeded before it.
        references: What must live until it is sent.
        names: Those of bindings among them.
        is_empty: Whether there is no handle among the bindings.
    """

    keeps: bool = False

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._sent: dict[int, tuple[object, Promise[Any]]] | None = None
        self.is_empty = True
        self.uses: list[Use] = _NONE
        self.after: list[Pending] = _NONE
        self.references: list[Ref] = _NONE
        self.names: list[str] = _NONE
        self._places: dict[int, int] = _NOWHERE
        self._residence: Residence | None = None

    def begin(self) -> None:
        """Forget what was written: the bindings are walked again."""
        self.is_empty = True

    def _note(self) -> None:
        """Begin the accounts with the first handle: most commands have none."""
        if self.is_empty:
            self.is_empty = False
            self.uses, self.after, self.references, self.names = [], [], [], []
            self._places = {}
            self._residence = None

    def give_up(self) -> None:
        """Let go of what was made in the worker for a command that will not be sent."""
        for _, promise in (self._sent or {}).values():
            if isinstance(item := promise._source, Pending):
                item.let_go()

    def write(self, value: Any, buffers: Sink, depth: int) -> object:
        """Return the tree of a handle; of what has come meanwhile, that of the value.

        Raises:
            BridgeClosed: It is behind a bridge that is closed.
            Refused: It is no handle.
            StaleReference: Its object is gone.
            ValueError: It is behind another bridge.
        """
        self._note()
        if isinstance(value, Remote):
            return self._remote(value)
        if isinstance(value, Promise):
            return self._promise(value, buffers, depth)
        hand_over = getattr(type(value), "_hand_over", None)
        if hand_over is None:
            if (module := home_of(value)) is None:
                raise no_form(value, depth)
            named = self._bridge.module(module).attr(value.__name__)
            return there("command", self._place(self._evaluated(named, value)))
        other = hand_over(value, self._bridge)
        return ENCODERS[type(other)](other, buffers, depth)

    def _remote(self, value: Remote) -> object:
        if isinstance(value, RemoteModule):
            if value._home() is not self._bridge:
                raise foreign(value)
            return there("module", value._name)
        if isinstance(value, Binding):
            value._check_released()
            if not value.is_at(self._bridge):
                raise foreign(value)
            self.names.append(value.name)
            return there("name", value.name)
        if isinstance(value, Ref):
            self._check_ref(value)
            self.references.append(value)
            return there("object", value._number)
        assert isinstance(value, RemoteExpression)
        return there("command", self._place(self._evaluated(value, value)))

    def _check_ref(self, value: Ref) -> None:
        home = value._home()
        if home is not self._bridge:
            raise foreign(value)
        if value._residence is not self._bridge._references.residence:
            raise StaleReference(f"{value!r} is of another worker", number=value._number)

    def _evaluated(self, value: RemoteExpression, key: object) -> Promise[Any]:
        """Have an expression evaluated ahead of the command, once for all that is this key.

        In this bridge's worker its value stays there; from another one's it comes through here.
        """
        if self._sent is None:
            self._sent = {}
        is_here = value._home() is self._bridge
        known = self._sent.get(id(key))
        if known is None:
            promise = value._sent_ahead() if is_here else value.promise()
            known = self._sent[id(key)] = (key, promise)
        if is_here:
            self._residence = self._bridge._references.residence
        return known[1]

    def _promise(self, promise: Promise[Any], buffers: Sink, depth: int) -> object:
        source = promise._source
        item = source if isinstance(source, Pending) and self._is_ours(source) else None
        if not promise.done():
            if item is not None and item.binding is not None:
                self.after.append(item)  # the name is known, and will be set by then
                self.names.append(item.binding)
                return there("name", item.binding)
            return there("command", self._place(promise))
        if promise.state == "fulfilled":
            kept = promise.result()
            return ENCODERS[type(kept)](kept, buffers, depth)
        if item is not None:
            self.after.append(item)
        return there("command", self._place(promise))

    def _place(self, promise: Promise[Any]) -> int:
        place = self._places.get(id(promise))
        if place is None:
            source = promise._source
            item = source if isinstance(source, Pending) and self._is_raw(promise, source) else None
            place = self._places[id(promise)] = len(self.uses)
            use = Use(promise, item)
            use.residence, self._residence = self._residence, None
            self.uses.append(use)
            if item is not None:
                self.after.append(item)
                promise._add_own_callback(hush)  # what uses it tells of its failure
        return place

    def _is_ours(self, source: Pending) -> bool:
        return source.home is self._bridge._rejections

    def _is_raw(self, promise: Promise[Any], source: Pending) -> bool:
        """Tell whether the worker has the promise's value, and nothing here makes another of it."""
        return self._is_ours(source) and not promise._transforms and not promise.done()


_NONE: Final[list[Any]] = []
_NOWHERE: Final[dict[int, int]] = {}


def home_of(value: object) -> str | None:
    """Return the module by which a worker, too, has a type or a built-in function; else None."""
    if not isinstance(value, type | BuiltinFunctionType):
        return None
    module = value.__module__
    if module not in ("builtins", "numpy"):
        return None
    found = getattr(sys.modules.get(module), value.__name__, None)
    return module if found is value else None


def holds_handle(values: Iterable[object]) -> bool:
    """Tell whether a handle stands in the values, inside any containers."""
    todo, seen = [list(values)], set[int]()
    while todo:
        items = todo.pop()
        for kind in set(map(type, items)):
            if issubclass(kind, Remote | Promise) or hasattr(kind, "_hand_over"):
                return True
        for item in items:
            if type(item) in _CONTAINERS and id(item) not in seen:
                seen.add(id(item))
                todo.append(list(item))  # type: ignore[call-overload]  # a container
                if type(item) is dict:
                    todo.append(list(item.values()))
    return False


_CONTAINERS = frozenset[type]((list, tuple, dict, set, frozenset))
