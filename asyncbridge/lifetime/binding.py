"""The client's object for a value that stays in the worker under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from weakref import ref

if TYPE_CHECKING:
    from asyncbridge.lifetime.policies import Lifetime

__all__ = ["Binding"]


class Binding:
    """A name in the worker's namespace; ``str()`` gives the name, to be used in code."""

    __slots__ = ("__weakref__", "_home", "lifetime", "name")

    # Said by the codec, which does not know this class.
    _wire_advice: ClassVar[str] = "a binding is in the worker already: write its name into the code"

    def __init__(self, name: str, lifetime: Lifetime, home: object = None) -> None:
        self.name = name
        self.lifetime = lifetime
        self._home = None if home is None else ref(home)

    def is_at(self, bridge: object) -> bool:
        """Tell whether it may be a name in the worker of this bridge."""
        return self._home is None or self._home() is bridge

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Binding {self.name} {self.lifetime}>"
