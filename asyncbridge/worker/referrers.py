"""What refers to an object: what the garbage collector tells, and what it does not.

It does not look at what was frozen, as all is that was there when Keras had been imported; nor at
dicts and tuples of what can be in no cycle, arrays and numbers, which it does not track; nor at the
variables of functions that run.
"""

from __future__ import annotations

import gc
import inspect
import sys
import threading
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.worker.folding import room_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

__all__ = ["Known", "Link", "is_ours", "locals_of", "running_frames"]

CHUNK: Final = 4096
HOLDERS_LIMIT: Final = 10_000
"""Referrers of one level that are looked at."""
FRAME_LIMIT: Final = 200
"""Frames of one thread that are looked at, the innermost first."""

_FIXED: Final = (ModuleType, type, FunctionType, BuiltinFunctionType)


class Link:
    """An object on the way from what has a name down to the value.

    Attributes:
        held: The object.
        rest: The way from it to the value, as code has it: ``"['x'][0]"``.
        key: Of a dict the key of the first step of that way.
        below: The next object on the way.
        words: What is told of it, if something that has a name holds it.
    """

    __slots__ = ("below", "held", "key", "rest", "words")

    def __init__(
        self,
        held: object,
        rest: str = "",
        *,
        key: object = None,
        below: Link | None = None,
        words: str = "",
    ) -> None:
        self.held = held
        self.rest = rest
        self.key = key
        self.below = below
        self.words = words


class Known:
    """The places that are known without the garbage collector, and what it tells of the others.

    Attributes:
        scope: The names that commands share.
        modules: Names of modules by the ``id`` of their dicts.
    """

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope
        loaded = [item for item in list(sys.modules.items()) if isinstance(item[1], ModuleType)]
        self.modules = {id(vars(module)): name for name, module in loaded}
        self.modules.pop(id(scope), None)
        self._old: list[object] = []

    def referrers(self, level: Sequence[Link]) -> Iterator[tuple[object, Link]]:
        """Yield each object that refers to one of the links' objects, with that link."""
        links = {id(link.held): link for link in level}
        for holder in islice(self._holders(links, level), HOLDERS_LIMIT):
            for part in _parts_in(holder, links):
                yield holder, links[part]

    def _holders(self, links: dict[int, Link], level: Sequence[Link]) -> Iterator[object]:
        seen = {id(links), id(level)}
        for holders in (
            [self.scope],
            _referrers(level),
            self._frozen(links),
            _untracked(links, level),
        ):
            for holder in holders:
                if id(holder) not in seen and type(holder) is not Link:
                    seen.add(id(holder))
                    yield holder

    def _frozen(self, links: dict[int, Link]) -> list[object]:
        """Return modules' dicts, and what stands in them, as far as they refer to the level."""
        if not gc.get_freeze_count():
            return []
        if not self._old:
            loaded = [each for each in list(sys.modules.values()) if isinstance(each, ModuleType)]
            self._old = _filled([vars(module) for module in loaded])
        return [
            holder
            for chunk in _chunks(self._old, 256)
            if not links.keys().isdisjoint(map(id, gc.get_referents(*chunk)))
            for holder in chunk
            if _parts_in(holder, links)
        ]


def _filled(dicts: list[dict[str, Any]]) -> list[object]:
    """Return modules' dicts, and of what stands in them all that may have been filled since."""
    # An empty dict is not tracked, either.
    inside = {
        id(part): part
        for part in gc.get_referents(*dicts)
        if type(part) in (dict, tuple) or gc.is_tracked(part)
    }
    return [*dicts, *(part for part in inside.values() if not issubclass(type(part), _FIXED))]


def _chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _referrers(level: Sequence[Link]) -> list[object]:
    return gc.get_referrers(*[link.held for link in level])


def _untracked(links: dict[int, Link], level: Sequence[Link]) -> list[object]:
    """Return the dicts and tuples that the collector does not track."""
    # They hold nothing that it tracks, so only those of such parts.
    if all(gc.is_tracked(link.held) for link in level):
        return []
    found: dict[int, object] = {}
    for part in _all_untracked():
        # A tuple may stand in another one.
        for each in (part, *(inner for inner in gc.get_referents(part) if type(inner) is tuple)):
            if _parts_in(each, links):
                found[id(each)] = each
    return list(found.values())


def _all_untracked() -> Iterator[object]:
    for chunk in _chunks(gc.get_objects(), CHUNK):
        for part in gc.get_referents(*chunk):
            if type(part) in (dict, tuple) and not gc.is_tracked(part):
                yield part


def _parts_in(holder: object, links: dict[int, Link]) -> list[int]:
    """Return the ``id`` of each of the level's objects that an object refers to."""
    return list(dict.fromkeys(id(part) for part in gc.get_referents(holder) if id(part) in links))


# --- functions that run ------------------------------------------------------------------


def running_frames() -> Iterator[tuple[str, FrameType]]:
    """Yield the frames of the other threads' functions, with the thread's name; not our own."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, innermost in sys._current_frames().items():
        frame: FrameType | None = None if ident == threading.get_ident() else innermost
        for _ in range(FRAME_LIMIT):
            if frame is None:
                break
            if room_of(frame.f_code.co_filename) != "asyncbridge":
                yield names.get(ident, str(ident)), frame
            frame = frame.f_back


def is_ours(frame: FrameType) -> bool:
    """Tell whether a frame is of a function that runs in the calling thread."""
    mine: FrameType | None = sys._getframe()
    while mine is not None and mine is not frame:
        mine = mine.f_back
    return mine is frame


def locals_of(frame: FrameType) -> list[tuple[str, object]]:
    """Return the variables of a function's frame; nothing of a module's or a class's."""
    code = frame.f_code
    # A debugger's copy of the variables is written back.
    if not code.co_flags & inspect.CO_OPTIMIZED or frame.f_trace is not None:
        return []
    names = (*code.co_varnames, *code.co_cellvars, *code.co_freevars)
    copied: Any = frame.f_locals
    found = [(name, copied[name]) for name in names if name in copied]
    if type(copied) is dict and sys.getrefcount(copied) == _SOLE_COPY:
        # Before Python 3.13 it stays with the frame, and would keep what was read from it.
        for name, _ in found:
            copied.pop(name, None)
    return found


def _counts_of_copy() -> int:
    copied: Any = sys._getframe().f_locals
    return sys.getrefcount(copied)


_SOLE_COPY: Final = _counts_of_copy()
