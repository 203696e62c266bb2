"""What commands have made, as data of which another worker makes it anew.

The data is a table of records. A record names others by their places in it, each as a tuple of
one number, so that what was one object becomes one object, and what refers to itself may move, too.
Keras's own objects are taken apart in ``models/moving.py`` and put together in
``models/remaking.py``, where Keras has been imported.
"""

from __future__ import annotations

import random
import sys
from importlib import import_module
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import numpy as np

from asyncbridge.errors import SerializationError
from asyncbridge.serialization.codec import draft
from asyncbridge.worker import tensor_forms
from asyncbridge.worker.guards import LINE_LIMIT, attempt, cut, type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from asyncbridge.worker.models.moving import KerasPacking
    from asyncbridge.worker.models.remaking import KerasUnpacking

__all__ = ["Packing", "Record", "Unmovable", "Unpacking", "pack", "unpack"]

Record = dict[str, Any]
Ref = tuple[int]

_INLINE: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
"""What stands in a record itself: nobody tells one of these from its equal."""
_NAMED: Final = (FunctionType, BuiltinFunctionType, type)


class Unmovable(Exception):
    """An object that cannot be made anew elsewhere; the text says why, and what to do."""


def pack(things: Mapping[str, object]) -> dict[str, Any]:
    """Return data with a wire form, of which ``unpack`` makes these objects anew.

    Two keys of one object are two keys of one object afterwards; so is what stands in lists,
    tuples and dicts. Keras's objects come back with their state, and as parts of one another.

    Args:
        things: Objects by keys of any text.

    Returns:
        ``lost`` has the reasons, by key, of what cannot move; the rest is for ``unpack``. Arrays
        are not copied: they are views of what may still change.
    """
    packing = Packing()
    keras = packing.keras = _keras_packing(packing, things)
    names: dict[str, object] = {}
    lost: dict[str, str] = {}
    for key, thing in things.items():
        try:
            names[key] = packing.item(thing)
        except Exception as error:
            lost[key] = told(error)
    if keras is not None:
        keras.finish()
    whole = _whole(names, packing, lost)
    return {
        "names": whole,
        "records": _kept(packing.records, whole.values()),
        "lost": lost,
        "settings": _settings(),
    }


def unpack(data: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, str]]:
    """Make objects of what ``pack`` returned, and set what it noted of the process.

    Returns:
        The objects, and the reasons of what was lost, each by key. A key stands in one of them.
    """
    unpacking = Unpacking(data["records"])
    made: dict[str, object] = {}
    lost: dict[str, str] = dict(data["lost"])
    _set_early(data["settings"])
    for key, item in data["names"].items():
        try:
            made[key] = unpacking.value(item)
        except Exception as error:
            lost[key] = told(error)
    if unpacking.keras is not None:
        unpacking.keras.finish()
    whole = _whole({key: data["names"][key] for key in made}, unpacking, lost)
    # Last: to make objects draws numbers, and counts names.
    _set_settings(data["settings"])
    return {key: made[key] for key in whole}, lost


def told(error: Exception) -> str:
    """Return an error as a reason.

    Raises:
        MemoryError: It is one, which is no fault of the object's.
    """
    if isinstance(error, MemoryError):
        raise error
    text = cut(attempt(lambda: str(error), ""), LINE_LIMIT)
    return text if isinstance(error, Unmovable) else f"{type_name(type(error))}: {text}"


# --- taking apart ------------------------------------------------------------------------


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
        return thing if type(thing) in _INLINE else self.ref(thing)

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
        if isinstance(thing, _NAMED):
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
        if set(map(type, thing)) <= _INLINE:
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
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "")
    if isinstance(module, str) and _is_imported(module):
        found: Any = sys.modules[module]
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is thing:
            return {"kind": "name", "module": module, "name": name}
    raise Unmovable(
        f"{cut(repr(thing), 200)} was made by a command: define it in a module that the worker "
        "can import, or make it anew"
    )


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
        raise Unmovable(
            f"{type(thing)} has no wire form: register it with asyncbridge.serializable, or make "
            f"it anew ({error})"
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


# --- putting together --------------------------------------------------------------------


class Unpacking:
    """Makes the objects of a table, each when it is first asked for.

    Attributes:
        records: The table.
        failures: The reasons, by number, of what was made and yet is not as it was.
        keras: Makes Keras's objects; None as long as there are none.
    """

    def __init__(self, records: list[Record | None]) -> None:
        self.records = records
        self.failures: dict[int, str] = {}
        self.keras: KerasUnpacking | None = None
        self.made: dict[int, Any] = {}
        self._open: set[int] = set()

    def value(self, item: object) -> Any:
        """Return what an item of a record stands for.

        Raises:
            Unmovable: It cannot be made.
        """
        return self.get(item[0]) if _is_ref(item) else item

    def get(self, number: int) -> Any:
        """Return the object of a record.

        Raises:
            Unmovable: It cannot be made.
        """
        if number in self.made:
            return self.made[number]
        if number in self.failures:
            raise Unmovable(self.failures[number])
        if number in self._open:
            raise Unmovable("it is a part of itself, which cannot be made anew")
        self._open.add(number)
        try:
            made = self._make(number)
        except Exception as error:
            self.failures[number] = told(error)
            raise Unmovable(self.failures[number]) from error
        finally:
            self._open.discard(number)
        self.made[number] = made
        return made

    def _make(self, number: int) -> Any:
        record = self.records[number]
        assert record is not None, "what is referred to has a record"
        kind: str = record["kind"]
        if not kind.startswith("keras."):
            return _MAKERS[kind](number, record, self)
        if self.keras is None:
            from asyncbridge.worker.models.remaking import (  # noqa: PLC0415 - imports Keras
                KerasUnpacking,
            )

            self.keras = KerasUnpacking(self)
        return self.keras.make(record)


def _is_ref(item: object) -> TypeGuard[Ref]:
    return type(item) is tuple


def _make_list(number: int, record: Record, unpacking: Unpacking) -> object:
    if "plain" in record:
        return record["plain"]
    # Known before it is filled: it may hold itself.
    made = unpacking.made[number] = list[Any]()
    made += map(unpacking.value, record["items"])
    return made


def _make_tuple(number: int, record: Record, unpacking: Unpacking) -> object:
    if "plain" in record:
        return tuple(record["plain"])
    return tuple(map(unpacking.value, record["items"]))


def _make_dict(number: int, record: Record, unpacking: Unpacking) -> object:
    made = unpacking.made[number] = dict[Any, Any]()
    for key, item in zip(record["keys"], record["items"], strict=True):
        made[unpacking.value(key)] = unpacking.value(item)
    return made


def _make_named(number: int, record: Record, unpacking: Unpacking) -> object:
    found: Any = import_module(record["module"])
    for part in record["name"].split("."):
        found = getattr(found, part)
    return found


_MAKERS: Final[dict[str, Callable[[int, Record, Unpacking], object]]] = {
    "list": _make_list,
    "tuple": _make_tuple,
    "dict": _make_dict,
    "name": _make_named,
    "module": lambda number, record, unpacking: import_module(record["name"]),
    "data": lambda number, record, unpacking: record["value"],
    "tensor": lambda number, record, unpacking: tensor_forms.put_together(record),
}


# --- what belongs together ---------------------------------------------------------------


def _whole(
    names: Mapping[str, object], table: Packing | Unpacking, lost: dict[str, str]
) -> dict[str, object]:
    """Return the names of what is as it was, all that it refers to included; note the others."""
    whole: dict[str, object] = {}
    for key, item in names.items():
        reached = _reached(table.records, [item]) if table.failures else set[int]()
        reason = next((table.failures[n] for n in sorted(reached) if n in table.failures), None)
        if reason is None:
            whole[key] = item
        else:
            lost[key] = reason
    return whole


def _kept(records: list[Record | None], items: Iterable[object]) -> list[Record | None]:
    reached = _reached(records, items)
    return [record if place in reached else None for place, record in enumerate(records)]


def _reached(records: list[Record | None], items: Iterable[object]) -> set[int]:
    found: set[int] = set()
    pending = [item[0] for item in items if _is_ref(item)]
    while pending:
        number = pending.pop()
        if number not in found:
            found.add(number)
            pending += _refs(records[number])
    return found


def _refs(record: Record | None) -> Iterator[int]:
    """Yield the numbers that a record refers to, its own and those of its state."""
    for name, part in (record or {}).items():
        if name in ("plain", "value", "config", "arrays"):
            continue
        if _is_ref(part):
            yield part[0]
        elif type(part) is list:
            yield from (item[0] for item in part if _is_ref(item))
        elif type(part) is dict:
            yield from _refs(part)


# --- the process -------------------------------------------------------------------------


def _keras_packing(packing: Packing, things: Mapping[str, object]) -> KerasPacking | None:
    if "keras" not in sys.modules:
        return None
    from asyncbridge.worker.models.moving import KerasPacking  # noqa: PLC0415 - imports Keras

    return KerasPacking(packing, things.values())


def _settings() -> dict[str, Any]:
    settings: dict[str, Any] = {"python": random.getstate(), "numpy": np.random.get_state()}  # noqa: NPY002 - the state that users' code draws from
    if "keras" in sys.modules:
        from asyncbridge.worker.models import settings as keras_settings  # noqa: PLC0415 - likewise

        settings["keras"] = keras_settings.read()
    return settings


def _set_early(settings: Mapping[str, Any]) -> None:
    """Set what objects are made by: dtypes and the like."""
    if "keras" in settings:
        from asyncbridge.worker.models import settings as keras_settings  # noqa: PLC0415 - likewise

        keras_settings.write(settings["keras"])


def _set_settings(settings: Mapping[str, Any]) -> None:
    random.setstate(settings["python"])
    np.random.set_state(settings["numpy"])  # noqa: NPY002 - likewise
    _set_early(settings)
