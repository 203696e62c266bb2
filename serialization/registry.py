"""Types whose objects travel as other data: the room's own, and those that users register.

A peer's text selects an entry of this table, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from asyncbridge.errors import DecodeError
from asyncbridge.serialization.walk import TAG, Side, Steps, shown

MAX_VERSION: Final = 2**31 - 1
_REMEDIES: Final[Mapping[Side, str]] = {
    "here": "import the module that does so",
    "in the client": "import the module that does so in this process, too",
    "in the worker": "import the module that does so there, too, by bridge.send('import ...')",
}


def as_any_other(value: object) -> int:
    """Return what an object weighs to be taken apart, beside what is counted for each."""
    return 0


class Unfit(Exception):
    """An object of a known type that has no wire form; the text says why, and what to do.

    Attributes:
        step: To the part of it that is the reason, as errors show it.
    """

    def __init__(self, text: str, *, step: str = "") -> None:
        super().__init__(text)
        self.step = step


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """How objects of one type travel.

    Attributes:
        kind: The exact type.
        name: What the wire and errors call it.
        version: Of the data that ``take_apart`` makes.
        take_apart: From an object to data that has a wire form.
        put_together: From such data and its version back to the object.
        head: What the tagged object on the wire has beside its data.
        spell: From an object and the steps into its data to those that its owner knows.
        weigh: From an object to what ``take_apart`` has to do with it, as ``walk.LONG`` counts.
    """

    kind: type
    name: str
    take_apart: Callable[[Any], object]
    put_together: Callable[[Any, int], object]
    head: Mapping[str, object]
    version: int = 1
    spell: Callable[[Any, Steps], Steps] | None = None
    weigh: Callable[[Any], int] = as_any_other

    @property
    def is_own(self) -> bool:
        """Whether it is the room's own; such a one looks itself at what it makes."""
        return self.head[TAG] != "registered"

    def raised(self, error: Exception) -> str:
        """Describe an error of one of the two functions; ``str()`` of it may raise, too."""
        try:
            text = str(error)
        except Exception:  # noqa: BLE001 - a user's class
            text = "(an error that cannot be shown)"
        return f"{self.name!r} raised {type(error).__name__}: {text:.500}"


BY_TYPE: Final[dict[type, Entry]] = {}
BY_TAG: Final[dict[str, Entry]] = {}
"""The room's own entries; several types may share a tag, and the last one stands for it."""
_BY_NAME: Final[dict[str, Entry]] = {}

Converter = Callable[[Any], object]
_converters: Final[list[Callable[[type], Converter | None]]] = []


def own(
    kind: type,
    tag: str,
    take: Callable[[Any], object],
    put: Callable[[Any], object],
    spell: Callable[[Any, Steps], Steps] | None = None,
    *,
    weigh: Callable[[Any], int] = as_any_other,
) -> Entry:
    """Return an entry of the room's own, which has a tag of its own."""
    return Entry(
        kind=kind,
        name=tag,
        take_apart=take,
        put_together=lambda data, version: put(data),
        head={TAG: tag},
        spell=spell,
        weigh=weigh,
    )


def add_own(entry: Entry) -> None:
    """Take in an entry with a tag of its own."""
    BY_TYPE[entry.kind] = entry
    BY_TAG[entry.name] = entry


def add(entry: Entry) -> None:
    """Take in an entry of a user's type.

    A class that is defined anew, as when a module is reloaded, takes its predecessor's place.

    Raises:
        ValueError: The name stands for another type, or the type has another name.
    """
    present = _BY_NAME.get(entry.name)
    if present is not None and not _is_same_class(present.kind, entry.kind):
        raise ValueError(
            f"the name {entry.name!r} is taken by {present.kind.__module__}."
            f"{present.kind.__qualname__}; give each type a name of its own"
        )
    other = BY_TYPE.get(entry.kind)
    if other is not None and other.name != entry.name:
        raise ValueError(f"{entry.kind.__qualname__} is registered as {other.name!r} already")
    if present is not None:
        BY_TYPE.pop(present.kind, None)
    BY_TYPE[entry.kind] = entry
    _BY_NAME[entry.name] = entry


def _is_same_class(one: type, other: type) -> bool:
    return one is other or (
        (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)
    )


def named(name: object, version: object, side: Side = "here") -> Entry:
    """Return the entry for a name and version that a peer wrote.

    Args:
        name: The name.
        version: The version of the data.
        side: Where it is read, as errors say it.

    Raises:
        DecodeError: There is none that reads it.
    """
    entry = _BY_NAME.get(name) if type(name) is str else None
    if entry is None:
        raise DecodeError(
            f"no type is registered under {_called(name)} {side}; both sides have to register it: "
            f"{_REMEDIES[side]}"
        )
    if type(version) is not int or not 1 <= version <= MAX_VERSION:
        raise DecodeError(f"the version of {entry.name!r} is no integer from 1 up")
    if version > entry.version:
        raise DecodeError(
            f"{entry.name!r} came in version {version}, and up to {entry.version} is read {side}; "
            f"update the module that registers it {side}"
        )
    return entry


def _called(name: object) -> str:
    return f"{name!r:.200}" if type(name) is str else shown(name)


def add_converter(find: Callable[[type], Converter | None]) -> None:
    """Let a finder say, by type, what objects without a wire form are turned into.

    The worker turns tensors into arrays so. What comes back is the array.
    """
    if find not in _converters:
        _converters.append(find)


def converter(kind: type) -> Converter | None:
    """Return what turns objects of a type into others that have a wire form."""
    for find in _converters:
        convert = find(kind)
        if convert is not None:
            return convert
    return None
