"""Objects as records of a table: those that stand in several places have one."""

from __future__ import annotations

import sys
from functools import partial
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from asyncbridge.errors import SerializationError
from asyncbridge.serialization.codec import draft
from asyncbridge.worker import tensor_forms
from asyncbridge.worker.guards import attempt, cut, type_name
from asyncbridge.worker.records import INLINE, Record, Ref, Unmovable, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncbridge.worker.models.moving import KerasPacking

__all__ = ["Packing", "found_by_name"]

_NAMED: Final = (FunctionType, BuiltinFunctionType, type)


class Packing:
    """Writes the table of records.

    Attributes:
        records: By number; None in the place of an object that cannot move.
        failures: The reasons, by number, of what has a record and yet cannot move.
        keras: Takes Keras's objects apart; None where Keras has not been imported.
    """

    def __init__(self) -> None:
        self.records: list[Record | None] = []
        self.failures: dict[int, str] = {}
        self.keras: KerasPacking | None = None
        self._numbers: dict[int, int] = {}
        self._refused: dict[int, str] = {}
        # Held, so that no other object gets the address of one meanwhile.
        self._held: list[object] = []

    def item(self, thing: object) -> object:
        """Return what stands for an object in a record: itself, or its number in a tuple.

        Raises:
            Unmovable: It cannot move.
        """
        return thing if type(thing) in INLINE else self.ref(thing)

    def ref(self, thing: object) -> Ref:
        """Return an object's number in a tuple, after its record was written.

        Raises:
            Unmovable: It cannot move.
        """
        key = id(thing)
        if key in self._refused:
            raise Unmovable(self._refused[key])
        if key not in self._numbers:
            self._held.append(thing)
            self._write(thing, key)
        return (self._numbers[key],)

    def number_of(self, address: int) -> int | None:
        """Return the number of the object of this ``id()``, if it has one."""
        return self._numbers.get(address)

    def _write(self, thing: object, key: int) -> None:
        # The number first: what a thing holds may lead to itself again.
        number = self._numbers[key] = len(self.records)
        self.records.append(None)
        try:
            self.records[number] = self._record(thing)
        except Exception as error:
            del self._numbers[key]
            self._refused[key] = told(error)
            raise Unmovable(self._refused[key]) from error

    def _record(self, thing: Any) -> Record:
        writer = _CONTAINERS.get(type(thing))
        if writer is not None:
            return writer(thing, self)
        if isinstance(thing, ModuleType):
            return {"kind": "module", "name": check_module(thing.__name__)}
        record = self.keras.record(thing) if self.keras is not None else None
        if record is not None:
            return record
        if isinstance(thing, _NAMED) or (callable(thing) and found_by_name(thing) is not None):
            return _named(thing)
        return tensor_forms.take_apart(thing) or _data(thing)


def _items(things: Iterable[tuple[str, object]], packing: Packing) -> list[object]:
    found = []
    for step, thing in things:
        try:
            found.append(packing.item(thing))
        except Unmovable as error:
            raise Unmovable(f"{step} of it: {error}") from error
    return found


def _sequence(kind: str) -> Callable[[Any, Packing], Record]:
    def write(thing: list[Any] | tuple[Any, ...], packing: Packing) -> Record:
        if set(map(type, thing)) <= INLINE:
            return {"kind": kind, "plain": list(thing)}
        steps = ((f"item {place}", each) for place, each in enumerate(thing))
        return {"kind": kind, "items": _items(steps, packing)}

    return write


def _dict(thing: dict[Any, Any], packing: Packing) -> Record:
    keys = _items((("a key", key) for key in thing), packing)
    values = _items(((f"{key!r:.80}", value) for key, value in thing.items()), packing)
    return {"kind": "dict", "keys": keys, "items": values}


_CONTAINERS: Final[dict[type, Callable[[Any, Packing], Record]]] = {
    list: _sequence("list"),
    tuple: _sequence("tuple"),
    dict: _dict,
}


def _named(thing: Any) -> Record:
    """Return the record of a function or class that another process can import."""
    found = found_by_name(thing)
    if found is not None:
        return {"kind": "name", "module": found[0], "name": found[1]}
    owner = getattr(thing, "__self__", None)
    if isinstance(thing, BuiltinFunctionType) and not isinstance(owner, ModuleType | None):
        raise Unmovable(
            f"{cut(repr(thing), 200)} is a method of an object, and does not move without it: make "
            "it anew"
        )
    raise Unmovable(
        f"{cut(repr(thing), 200)} was made by a command: define it in a module that the worker "
        "can import, or make it anew"
    )


def found_by_name(thing: Any) -> tuple[str, str] | None:
    """Return the module and the name by which another process can import an object."""
    if type(thing) is np.ufunc:
        module, name = "numpy", thing.__name__
    else:
        module = attempt(lambda: thing.__module__, None)
        name = attempt(lambda: thing.__qualname__, "")
    if not isinstance(module, str) or not isinstance(name, str) or not _is_imported(module):
        return None
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = attempt(partial(getattr, found, part, None), None)
    return (module, name) if found is thing else None


def check_module(name: str) -> str:
    """Return a module's name, if another process can import it.

    Raises:
        Unmovable: It cannot.
    """
    if not _is_imported(name):
        raise Unmovable(f"the module {name!r} was made by a command: make it anew")
    return name


def _is_imported(name: str) -> bool:
    # What commands or a script make has no spec; __main__ is another one over there.
    module = sys.modules.get(name)
    return name != "__main__" and getattr(module, "__spec__", None) is not None


def _data(thing: object) -> Record:
    holder = _tensor_in(thing)
    if holder is not None:
        raise Unmovable(
            f"{type(thing)} with a {type_name(holder)} in it has no wire form that keeps it: put "
            "that into a list, tuple or dict, or make it anew"
        )
    try:
        draft(thing, path="it", decided=True)
    except SerializationError as error:
        # What to send in the place of such an object helps nobody here.
        why = str(error).partition(";")[0]
        inside = "" if why.startswith("it: ") else f" ({why})"
        raise Unmovable(
            f"{type(thing)} has no wire form: register it with asyncbridge.serializable, or make "
            f"it anew{inside}"
        ) from error
    return {"kind": "data", "value": thing}


def _tensor_in(thing: Any) -> type | None:
    """Return the type of a tensor that stands in other containers: the codec makes arrays of those."""
    if isinstance(thing, (str, bytes, bytearray, memoryview, np.ndarray)):
        return None
    parts: Iterable[object] = ()
    if isinstance(thing, dict):
        parts = thing.values()
    elif isinstance(thing, (set, frozenset, tuple, list)) or hasattr(thing, "appendleft"):
        parts = thing
    elif hasattr(type(thing), "__dataclass_fields__"):
        parts = attempt(lambda: vars(thing).values(), ())
    return next((type(part) for part in parts if tensor_forms.is_tensor(part)), None)
