"""Attributes of objects in the worker: nothing is sent until one is awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Self

    from asyncbridge.client import Bridge
    from asyncbridge.models.mirrors.mirror import Mirror
    from asyncbridge.promise import Promise

__all__ = ["Attribute", "RemoteAttribute"]


class Attribute:
    """What an attribute of a mirror gives: ``await layer.weights``.

    Reading an attribute sends nothing. ``await``, ``then`` and ``wait_for_value`` ask for the
    value, each time anew.
    """

    __slots__ = ("_ask", "_name", "_owner")
    __hash__ = object.__hash__

    def __init__(self, owner: object, name: str, ask: Callable[[], Promise[Any]]) -> None:
        self._owner = owner
        self._name = name
        self._ask = ask

    def promise(self) -> Promise[Any]:
        """Ask for the value."""
        return self._ask()

    def then(self, on_fulfilled: Callable[[Any], Any]) -> Promise[Any]:
        """Ask for the value, and call a function with it; see ``Promise.then``."""
        return self._ask().then(on_fulfilled)

    def wait_for_value(self, timeout: float | None = None) -> Any:
        """Ask for the value, and block for it; see ``Promise.wait_for_value``."""
        return self._ask().wait_for_value(timeout)

    def _hand_over(self, bridge: Bridge) -> Promise[Any]:
        """Ask for the value, which stands among the bindings of a command."""
        return self._ask()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._ask().__await__()

    def _refuse(self, *_: object) -> Never:
        raise TypeError(
            f"{self._name!r} of {self._owner!r} is known in the worker: write "
            f"(await ...{self._name}) to have its value"
        )

    __bool__ = __float__ = __int__ = __len__ = __iter__ = __getitem__ = __call__ = __eq__ = _refuse

    if not TYPE_CHECKING:
        # Hidden from type checkers: with it, they would take any attribute for granted.
        def __getattr__(self, name: str) -> Never:
            raise AttributeError(
                f"{self!r} has no attribute {name!r}: its value is known in the worker, write "
                f"(await ...{self._name}).{name}",
                name=name,
                obj=self,
            )

    def __repr__(self) -> str:
        return f"<attribute {self._name!r} of {self._owner!r}: await it>"


class RemoteAttribute:
    """A property of a mirror's class that gives the ``Attribute`` of its own name."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, mirror: None, owner: type) -> Self: ...
    @overload
    def __get__(self, mirror: Mirror, owner: type) -> Attribute: ...
    def __get__(self, mirror: Mirror | None, owner: type) -> Self | Attribute:
        return self if mirror is None else mirror._attribute(self._name)
