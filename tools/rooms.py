"""Where each object of Keras has its mirror, under which name, and what is made by hand.

A room is one file of ``models/``: a namespace of Keras. An object stands in one room, its home;
every other public name of it is an alias, or an import of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.surface import Object, Surface

__all__ = ["BY_HAND", "TOPLEVEL", "Name", "Room", "keras_name", "make_rooms"]

TOPLEVEL = "toplevel"
"""The room of what Keras has at its root alone."""

BY_HAND = {
    "keras.Input": "tensor",
    "keras.KerasTensor": "tensor",
    "keras.Layer": "layer",
    "keras.Model": "model",
    "keras.Operation": "layer",
    "keras.Optimizer": "optimizer",
    "keras.Sequential": "sequential",
    "keras.callbacks.Callback": "callback",
    "keras.callbacks.History": "callback",
    "keras.optimizers.schedules.LearningRateSchedule": "schedule",
    "keras.utils.plot_model": "plotting",
}
"""The file of ``models/mirrors/`` that has the mirror, by the object's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A place where a name stands: the room, and what it is called there."""

    room: str
    name: str

    @classmethod
    def of(cls, full: str) -> Name:
        """Split a public name of Keras."""
        namespace, _, name = full.rpartition(".")
        return cls(room=namespace.removeprefix("keras").lstrip(".") or TOPLEVEL, name=name)


@dataclass(slots=True, kw_only=True)
class Room:
    """One generated file.

    Attributes:
        path: The namespace without ``keras.``, or ``toplevel``.
        children: The namespaces in it; a room that has some is a package.
        objects: What is defined here, bases before what inherits from them.
        names: Every other public name here, and where its object stands.
    """

    path: str
    children: list[str] = field(default_factory=list)
    objects: list[Object] = field(default_factory=list)
    names: dict[str, Name] = field(default_factory=dict)

    @property
    def file(self) -> PurePosixPath:
        """The file's path below ``models/``."""
        base = PurePosixPath(*self.path.split("."))
        return base / "__init__.py" if self.children else base.with_suffix(".py")


def make_rooms(surface: Surface) -> dict[str, Room]:
    """Give every object its home, and every other name its origin."""
    rooms = {
        Name.of(f"{module}.x").room: Room(path=Name.of(f"{module}.x").room)
        for module in surface.modules
    }
    for path in rooms:
        parent, _, child = path.rpartition(".")
        if parent:
            rooms[parent].children.append(child)
    for item in surface.objects:
        _place(item, rooms)
    for room in rooms.values():
        room.objects = _in_order(room.objects)
    _refuse_cycles(rooms, homes(rooms))
    return rooms


def homes(rooms: dict[str, Room]) -> dict[str, Name]:
    """Return where each object is imported from, by key; those by hand are not among them."""
    return {
        item.key: home_of(item)
        for room in rooms.values()
        for item in room.objects
        if item.key not in BY_HAND
    }


def home_of(item: Object) -> Name:
    """Choose the room, and the name there, under which an object is defined."""
    if item.key in BY_HAND:
        return Name(room=f"mirrors.{BY_HAND[item.key]}", name=item.name)
    names = [name for name in item.names if name.count(".") > 1] or list(item.names)
    return Name.of(min(names, key=lambda name: (*_strangeness(item, name), -name.count("."), name)))


def keras_name(item: Object) -> str:
    """Choose the name by which the worker finds the object."""
    own = home_of(item).name

    def unfit(name: str) -> tuple[object, ...]:
        return *_strangeness(item, name), name.rpartition(".")[2] != own, len(name), name

    return min(item.names, key=unfit)


def _strangeness(item: Object, name: str) -> tuple[bool, bool]:
    """Say whether a name is another namespace's than the source's, and not the object's own."""
    source = item.module.removeprefix("keras.src.").partition(".")[0]
    namespace = name.split(".")[1]
    return namespace != source, name.rpartition(".")[2] != item.name


def _place(item: Object, rooms: dict[str, Room]) -> None:
    home = home_of(item)
    if home.room in rooms:
        rooms[home.room].objects.append(item)
    at_root = all(name.count(".") == 1 for name in item.names)
    for name in map(Name.of, item.names):
        # A root name of what stands elsewhere is models/__init__.py's, which is by hand.
        if name != home and (name.room != TOPLEVEL or at_root):
            rooms[name.room].names[name.name] = home


def _in_order(objects: Iterable[Object]) -> list[Object]:
    """Sort classes before functions, by name, bases before what inherits from them."""
    waiting = sorted(objects, key=lambda item: (not item.is_class, home_of(item).name))
    keys = {item.key for item in waiting}
    done: dict[str, Object] = {}
    while waiting:
        for item in waiting:
            if all(base in done or base not in keys for base in item.bases):
                done[item.key] = item
                waiting.remove(item)
                break
    return list(done.values())


# --- import direction --------------------------------------------------------------------


def imports_of(room: Room, places: dict[str, Name]) -> set[str]:
    """Return the rooms that a room imports while it is loaded, by hand ones left out."""
    wanted = {name.room for name in room.names.values()}
    wanted |= {places[base].room for item in room.objects for base in item.bases if base in places}
    wanted |= {f"{room.path}.{child}" for child in room.children}
    return {path for path in wanted if not path.startswith("mirrors.")} - {room.path}


def _refuse_cycles(rooms: dict[str, Room], places: dict[str, Name]) -> None:
    done: set[str] = set()

    def visit(path: str, above: tuple[str, ...]) -> None:
        if path in above:
            raise RuntimeError(f"rooms import each other: {' -> '.join((*above, path))}")
        if path not in done:
            for wanted in sorted(imports_of(rooms[path], places)):
                # A package is loaded before what is in it, and so by whoever imports that.
                outer = {wanted.partition(".")[0]} - {path.partition(".")[0]}
                for other in {wanted} | outer:
                    visit(other, (*above, path))
            done.add(path)

    for path in rooms:
        visit(path, ())
