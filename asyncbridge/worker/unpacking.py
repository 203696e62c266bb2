"""Objects made of the records that ``packing.py`` writes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from asyncbridge.worker import tensor_forms
from asyncbridge.worker.records import Record, Unmovable, is_ref, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.worker.models.remaking import KerasUnpacking

__all__ = ["Unpacking", "imported"]


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
        return self.get(item[0]) if is_ref(item) else item

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


def imported(module: str, name: str) -> Any:
    """Return what a module has under a name, which may lead through classes."""
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _own(value: Any) -> Any:
    """Return data that lies in this process's own memory.

    What has come lies in memory that the client shares, which it is to have back.
    """
    if isinstance(value, np.ndarray):
        return value.copy(order="K")
    framework = type(value).__module__.partition(".")[0]
    return value.copy() if framework in ("pandas", "scipy") else value


_MAKERS: Final[dict[str, Callable[[int, Record, Unpacking], object]]] = {
    "list": _make_list,
    "tuple": _make_tuple,
    "dict": _make_dict,
    "name": lambda number, record, unpacking: imported(record["module"], record["name"]),
    "module": lambda number, record, unpacking: import_module(record["name"]),
    "data": lambda number, record, unpacking: _own(record["value"]),
    "tensor": lambda number, record, unpacking: tensor_forms.put_together(record),
}
