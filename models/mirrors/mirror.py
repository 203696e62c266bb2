"""The mechanism of mirrors: an object here that stands for an object of Keras in the worker.

A mirror's class says what Keras says: a name, and a constructor with Keras's own signature.
Nothing else is needed of it::

    class Dropout(Layer):
        keras_name = "keras.layers.Dropout"

        def __init__(self, rate: float, seed: int | None = None) -> None:
            self._describe(Dropout, locals())

A mirror is a plain description until a bridge needs it. With a current bridge that is at once;
else when something that has a bridge first uses it. From then on it belongs to that bridge.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from asyncbridge.models.mirrors.arguments import (
    Arguments,
    Parameter,
    parameters_of,
    same,
    show,
    split,
    take,
)
from asyncbridge.models.mirrors.attributes import Attribute
from asyncbridge.models.mirrors.bodies import as_it_is, assigning, plain
from asyncbridge.models.mirrors.described import Described, reach
from asyncbridge.models.mirrors.overrides import refuse_overrides
from asyncbridge.models.mirrors.recipes import asked_of, attribute_of, called, named, sent_to
from asyncbridge.models.mirrors.sending import bridge_of, bring, request, settle
from asyncbridge.models.mirrors.taking import is_symbolic, only_reads, take_call
from asyncbridge.models.mirrors.wire import carry, check
from asyncbridge.promise import Promise
from asyncbridge.references.binding import Binding

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Self

    from asyncbridge.client import Bridge
    from asyncbridge.models.mirrors.bodies import Body
    from asyncbridge.models.mirrors.recipes import Recipe

__all__ = ["Attribute", "DType", "Identifier", "Mirror", "is_symbolic", "take_call"]


class Mirror(Described):
    """The base of all mirrors.

    Two mirrors are equal when their classes and arguments are, arrays element by element.
    Awaiting one waits until it is made in the worker, and gives it back.

    Attributes:
        keras_name: Full name in Keras of the class that is mirrored.
    """

    keras_name: ClassVar[str]

    # None for what no constructor made: the worker alone knows what is in it.
    _arguments: dict[str, object] | None = None
    _parameters: tuple[Parameter, ...] = ()

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Refuse a class whose methods would have to run in the worker."""
        refuse_overrides(cls)  # type: ignore[arg-type]  # every class is hashable
        return super().__new__(cls)

    def _describe(self, owner: type[Mirror], values: Mapping[str, object]) -> None:
        """Keep a constructor's arguments, and make the object if there is a bridge.

        Args:
            owner: The class whose constructor it is.
            values: The constructor's ``locals()``.
        """
        self._parameters = parameters_of(inspect.getattr_static(owner, "__init__"))
        self._arguments = self._checked(values)
        self._begin(called(self.keras_name, split(self._parameters, self._arguments)))

    def _checked(self, values: Mapping[str, object]) -> dict[str, object]:
        name = type(self).__name__
        return {
            key: carry(value, f"{name}() argument {key!r}")
            for key, value in take(name, self._parameters, values).items()
        }

    @classmethod
    def _from(cls, recipe: Recipe) -> Self:
        """Return a mirror of what something else than the constructor makes."""
        mirror = cls.__new__(cls)
        mirror._begin(recipe)
        return mirror

    @classmethod
    def _later(cls, recipe: Recipe) -> Self:
        """Return a mirror of what is in the worker, which gets a name there when it is used."""
        mirror = cls.__new__(cls)
        mirror._set_up(recipe)
        return mirror

    def _begin(self, recipe: Recipe) -> None:
        self._set_up(recipe)
        mirrors = reach([self], through_made=False)
        if (bridge := bridge_of(mirrors)) is not None:
            bring(mirrors, bridge)

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """Make one of a config, as ``get_config`` gives it."""
        check(config, f"{cls.__name__}.from_config() argument 'config'")
        name = f"{cls.keras_name}.from_config"
        return cls._from(called(name, Arguments(leading={"config": config}, named={})))

    @classmethod
    def from_binding(cls, binding: Binding) -> Self:
        """Make a mirror of what stands under a name in the worker, such as a layer of one's own.

        ``keras.Layer.from_binding(bridge.binding("mine"))`` is called like any other layer.
        """
        return cls._later(named(binding))

    @property
    def binding(self) -> Binding:
        """The name of the object in the worker, for code that is sent there.

        Raises:
            BridgeClosed: It is a description, and there is no open bridge.
        """
        settle([self], f"{type(self).__name__}.binding")
        assert self._name is not None
        return Binding(self._name, "collected", self._bridge)

    @property
    def arguments(self) -> Mapping[str, object]:
        """The constructor's arguments by name, defaults included; none if it made it not."""
        return MappingProxyType(self._arguments or {})

    @property
    def bridge(self) -> Bridge | None:
        """The bridge that the object lives behind; None while it is a description alone."""
        return self._bridge

    def fetch(self, name: str) -> Promise[Any]:
        """Return a promise of an attribute of the object in the worker, of any name.

        What has no wire form rejects it.
        """
        return self._request(attribute_of(self, *name.split(".")), plain, reads=True)

    def __await__(self) -> Generator[Any, None, Self]:
        making = self._making()
        if making is not None:
            yield from making.__await__()
        return self

    def _hand_over(self, bridge: Bridge) -> Binding:
        """Return what stands for the object among the bindings of a command."""
        return self.binding

    def __copy__(self) -> Self:
        # There is one object in the worker, whose name goes with one mirror.
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __repr__(self) -> str:
        return self._brief()

    def _brief(self) -> str:
        """Return what an error needs of the repr."""
        if self._arguments is None:
            return f"<{type(self).__name__} {self._origin.call}>"
        said = split(self._parameters, self._arguments)
        shown = {**said.leading, **said.named}
        parts = (f" {name}={show(value)}" for name, value in shown.items())
        return f"<{type(self).__name__}{''.join(parts)}>"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self) or not isinstance(other, Mirror):
            return NotImplemented
        if self is other or self._arguments is None or other._arguments is None:
            return self is other
        return same(self._content(), other._content())

    def __hash__(self) -> int:
        # Arguments may be arrays, and a model's layers change: all of a class share a hash.
        return hash(type(self))

    if not TYPE_CHECKING:
        # Hidden from type checkers: with them, they would take any attribute for granted.
        def __getattr__(self, name: str) -> object:
            given = self._arguments or {}
            # None stands for what Keras finds by itself, which only the worker knows.
            if not name.startswith("_") and given.get(name) is not None:
                return given[name]
            raise AttributeError(self._lacks(name), name=name, obj=self)

        def __setattr__(self, name: str, value: object) -> None:
            if name.startswith("_") or hasattr(
                inspect.getattr_static(type(self), name, None), "__set__"
            ):
                object.__setattr__(self, name, value)
            else:
                self._change(name, value)

    def _lacks(self, name: str) -> str:
        kind = type(self).__name__
        if name.startswith("_"):
            return f"{kind!r} mirrors have no attribute {name!r}"
        known = [*dir(type(self)), *self.arguments]
        guess = "" if name in known else _guess(name, known)
        return (
            f"{kind!r} mirrors have no attribute {name!r}{guess}; "
            f"`await mirror.fetch({name!r})` asks the worker for any"
        )

    def _change(self, name: str, value: object) -> None:
        """Change a description; what the worker has made stays as it is.

        Raises:
            AttributeError: The object was made, or the constructor has no such argument.
        """
        kind = type(self).__name__
        if self._arguments is None or name not in self._arguments:
            raise AttributeError(
                f"{kind}.{name} cannot be set on a mirror: it would not reach the worker"
                f"{_guess(name, self.arguments)}"
            )
        if self._name is not None:
            raise AttributeError(
                f"{kind}.{name} cannot be changed any more: the {kind} was made in the worker "
                f"({self._origin.note()}); make another one with {name}={show(value)}, and what "
                "is built on it"
            )
        self._arguments = self._checked({**self._arguments, name: value})
        self._recipe = called(self.keras_name, split(self._parameters, self._arguments))

    def _content(self) -> dict[str, object]:
        """Return what two equal mirrors have in common, by argument."""
        return self._arguments or {}

    def _making(self) -> Promise[Any] | None:
        """Return the promise of the object's making; None when it is made.

        Raises:
            BridgeClosed: It is a description, and there is no open bridge.
        """
        settle([self], f"await {show(self)}")
        assert self._ledger.creation is not None
        return self._ledger.creation.promise

    def _fact(self, name: str, pick: Callable[[dict[str, object]], object]) -> Attribute:
        """Return what the worker tells of the object when it is made, to be awaited."""

        def ask() -> Promise[Any]:
            making = self._making()
            if making is not None:
                return making.then(lambda _: pick(self._facts))
            assert self._bridge is not None
            known = Promise[Any].with_resolvers(loop=self._bridge._loop)
            known.resolve(pick(self._facts))
            return known.promise

        return Attribute(self, name, ask)

    def _attribute(self, name: str) -> Attribute:
        """Return an attribute of the object in the worker, to be awaited."""
        return Attribute(self, name, lambda: self.fetch(name))

    def _call(
        self,
        method: Callable[..., object],
        values: Mapping[str, object],
        *,
        body: Body | None = None,
        watched: Sequence[Described] = (),
    ) -> Promise[Any]:
        """Call the method of the same name on the object in the worker.

        Args:
            method: The mirror's own method, whose signature is Keras's.
            values: Its ``locals()``.
            body: Makes a command of the call; by default one with its value as data.
            watched: Those of whom the worker tells facts afterwards.

        Raises:
            BridgeClosed: There is no open bridge.
            TypeError: An argument has a wrong type, or no wire form.
            ValueError: An argument belongs to another bridge, or data makes no array.
        """
        name = method.__name__
        label = f"{type(self).__name__}.{name}"
        recipe = sent_to(self, name, take_call(label, method, values))
        gives_nothing = method.__annotations__.get("return") == "Promise[None]"
        by_default = as_it_is if gives_nothing else plain
        reads = only_reads(name)
        return self._request(recipe, body or by_default, watched=watched, reads=reads)

    def _ask(
        self,
        method: Callable[..., object],
        values: Mapping[str, object],
        *,
        transform: Callable[[Any], Any] | None = None,
        watched: Sequence[Described] = (),
        reads: bool = False,
        promise_factory: Callable[..., Promise[Any]] = Promise,
    ) -> Promise[Any]:
        """Call the function of a method's name on the worker's side, with the object.

        Args:
            method: The mirror's own method.
            values: Its ``locals()``.
            transform: Makes a domain object of the raw value.
            watched: Those of whom the worker tells facts afterwards.
            reads: Whether it leaves the object as it is: no later call fails with it.
            promise_factory: Makes the promise, called with ``loop=``.

        Raises:
            As ``_call``.
        """
        name = method.__name__
        label = f"{type(self).__name__}.{name}"
        recipe = asked_of(name, self, name, take_call(label, method, values))
        return self._request(
            recipe,
            as_it_is,
            transform=transform,
            watched=watched,
            reads=reads,
            promise_factory=promise_factory,
        )

    def _request(self, recipe: Recipe, body: Body, **options: Any) -> Promise[Any]:
        """Send a command about this mirror; the options are those of ``sending.request``."""
        return request(recipe, body, owner=self, **options)

    def _set(self, name: str, value: object, watched: Sequence[Described] = ()) -> Promise[None]:
        """Set an attribute of the object in the worker.

        Raises:
            BridgeClosed: There is no open bridge.
            TypeError: The value has no wire form.
        """
        recipe = attribute_of(self, name)
        check(value, recipe.label)
        label = f"{recipe.label} = {show(value)}"
        recipe = replace(recipe, label=label, parts=(*recipe.parts, value))
        return self._request(recipe, assigning(value, name), watched=watched)

    def _apply(self, function: Callable[..., object], values: Mapping[str, object]) -> Any:
        """Call the object itself: a node of the graph if there is a symbolic tensor among these.

        Args:
            function: The class's own ``__call__``.
            values: Its ``locals()``.
        """
        arguments = take_call(type(self).__name__, function, values)
        recipe = sent_to(self, "", arguments)
        if is_symbolic(arguments):
            from asyncbridge.models.mirrors.tensor import tensors_of  # noqa: PLC0415 - a cycle

            return tensors_of(recipe, self._results(arguments), operation=self)
        return self._request(recipe, plain, reads=True)

    def _results(self, arguments: Arguments) -> object:
        """Return the structure of what a symbolic call gives; None for what nobody knows."""
        return None


Identifier = str | Mirror | Callable[..., object] | dict[str, object] | None
"""What Keras's ``get`` functions take: a name, an object, a function of Keras or a config."""
DType = str | Mirror | None
"""A dtype's name or a dtype policy."""


# --- inner steps -------------------------------------------------------------------------


def _guess(name: str, known: Mapping[str, object] | Sequence[str]) -> str:
    close = difflib.get_close_matches(name, [key for key in known if key[0] != "_"], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
