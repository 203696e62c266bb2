"""Who keeps an object alive that nobody should, in words.

The walk goes up from the object, level by level, along what refers to it, to whatever has a name:
a name of the commands' scope, a module, a class, a thread. It runs no code of the user's
but what looking up attributes may run, and asks the garbage collector, which does not know
everything: containers that hold arrays and numbers alone, and what was there before Keras had been
imported, are looked for apart (``referrers.py``).
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from enum import Enum
from functools import partial
from itertools import islice
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CellType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.worker.guards import attempt, cut, type_name
from asyncbridge.worker.referrers import Known, Link, is_ours, locals_of, running_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

__all__ = ["HOLDER_LIMIT", "holders_of", "is_kept"]

HOLDER_LIMIT: Final = 5
LEVEL_LIMIT: Final = 12
"""References from a holder with a name down to the object."""
MORE_LEVELS: Final = 3
"""Of these those that are gone up when one holder has been found."""
LINK_LIMIT: Final = 2_000
"""Objects that are looked at."""
ITEM_LIMIT: Final = 100_000
"""Items of a container among which the place of one is looked for."""
TEXT_LIMIT: Final = 160
"""Bytes of what is told of one holder."""
CYCLE: Final = "a cycle of references, until the garbage collector runs"

_SHARED: Final = frozenset(
    {
        *(bool, int, float, complex, str, bytes, type(None), type(...), type(NotImplemented)),
        *(FunctionType, BuiltinFunctionType, WrapperDescriptorType, MemberDescriptorType),
    }
)
"""Types whose objects stand in many places, and cost nothing there."""
_NO_ITEMS: Final[object] = ()
_IMMORTAL: Final = 2**30 - 1
"""The least count of references that Python gives to what it never frees."""


def is_kept(value: object, references: int) -> bool:
    """Tell whether anybody but the caller refers to a value.

    Args:
        value: The value; of what is shared by its nature (numbers, texts, classes, modules,
            functions, the members of enumerations) it is never told.
        references: How many references the caller has, that of its own variable included.
    """
    kind = type(value)
    if kind in _SHARED or issubclass(kind, (type, ModuleType, Enum)):
        return False
    if value is _NO_ITEMS:
        return False
    return references + _OWN < sys.getrefcount(value) < _IMMORTAL


def _counts(value: object, _references: int) -> int:
    # The same names as above, which count, too.
    return sys.getrefcount(value)


def _own() -> int:
    held = [0]
    return _counts(held, 1) - 1


_OWN: Final = _own()
"""Counted rather than known: the number differs between Pythons."""


def holders_of(
    value: object, scope: dict[str, Any], *, ignore: Collection[object] = ()
) -> list[str]:
    """Return what keeps a value alive, those nearest to it first; at most ``HOLDER_LIMIT``.

    Args:
        value: The value. That the calling thread's own functions have it is no news.
        scope: The names that commands share.
        ignore: Objects that refer to it and are the caller's own; found by identity.

    Returns:
        Texts such as ``"name 'cache': cache['x']"``. Nothing, if it is kept by what Python does
        not tell of.
    """
    walk = _Walk(value, Known(scope), {id(ignore), *map(id, ignore)})
    level = [Link(value)]
    more = LEVEL_LIMIT
    while level and more and len(walk.found) < HOLDER_LIMIT:
        level = walk.up(level)
        more = min(more - 1, MORE_LEVELS) if walk.found else more - 1
    if walk.found or not walk.cyclic:
        return [cut(text, TEXT_LIMIT) for text in islice(walk.found or walk.loose, HOLDER_LIMIT)]
    return [CYCLE]


class _Walk:
    """The way up from a value.

    Attributes:
        found: Texts of those that hold it, in order.
        loose: Those of functions and the like that nothing with a name was found to hold.
        cyclic: Whether the value leads to itself.
    """

    def __init__(self, value: object, known: Known, skipped: set[int]) -> None:
        self.found: dict[str, None] = {}
        self.loose: dict[str, None] = {}
        self.cyclic = False
        self._start = id(value)
        self._known = known
        self._skipped = skipped
        self._seen = {id(value)}
        self._frames = _threads()

    def up(self, level: list[Link]) -> list[Link]:
        """Return what holds the objects of a level, and has no name."""
        for link in level:
            for words in self._frames.get(id(link.held), ()):
                self._tell(f"{words}{_suffix(link.rest)}", link)
        above: list[Link] = []
        for holder, link in self._known.referrers(level):
            self.cyclic = self.cyclic or id(holder) == self._start
            if id(holder) in self._seen or id(holder) in self._skipped:
                continue
            told = attempt(partial(_told, holder, link, self._known), None)
            if isinstance(told, str):
                self._tell(told, link)
            elif told is not None and len(self._seen) < LINK_LIMIT:
                self._seen.add(id(holder))
                above.append(self._named(told, link))
        return above

    def _tell(self, text: str, link: Link) -> None:
        # The function nearest to the value says more than where that function stands.
        self.found[link.words or text] = None

    def _named(self, told: Link, link: Link) -> Link:
        if told.words:
            self.loose[told.words] = None
        told.words = link.words or told.words
        return told


# --- one step up -------------------------------------------------------------------------


def _told(holder: object, link: Link, known: Known) -> str | Link | None:
    """Return who has the name, or else what holds the link's object for the next step."""
    kind = type(holder)
    if issubclass(kind, dict):
        return _of_dict(holder, link, known)
    for base, tell in _NAMED.items():
        if issubclass(kind, base):
            return tell(holder, link)
    for base, tell in _CALLED.items():
        if issubclass(kind, base):
            # It may be held by the value itself, and then keeps nothing.
            words = tell(holder, link)
            return Link(holder, words=words) if words else None
    if kind is CellType:
        return Link(holder, link.rest, below=link)
    return _of_container(holder, link) or _of_instance(holder, link)


def _of_dict(holder: Any, link: Link, known: Known) -> str | Link | None:
    for key, item in _items(holder):
        if item is link.held:
            if holder is known.scope:
                return None if _is_dunder(key) else _path(f"name {key!r}", key, link.rest)
            if (module := known.modules.get(id(holder))) is not None:
                return _path(f"attribute {key!r} of module {module}", str(key), link.rest)
            return Link(holder, f"[{_short(key)}]{link.rest}", key=key, below=link)
        if key is link.held:
            return Link(holder, " (a key)", below=link)
    return None


def _of_container(holder: Any, link: Link) -> Link | None:
    kind = type(holder)
    if issubclass(kind, (list, tuple, deque)):
        base = next(each for each in (list, tuple, deque) if issubclass(kind, each))
        place = _place(base.__iter__(holder), link.held)
        return Link(holder, f"[{'…' if place is None else place}]{link.rest}", below=link)
    if issubclass(kind, (set, frozenset)):
        return Link(holder, f" (an element){link.rest}", below=link)
    return None


def _of_instance(holder: Any, link: Link) -> str | Link:
    name = _attribute(holder, link)
    rest = f" (inside){link.rest}" if name is None else f".{name}{_below(link)}"
    if issubclass(type(holder), threading.Thread):
        return _path(f"thread {_name_of_thread(holder)!r}", "", rest)
    return Link(holder, rest, below=link)


def _attribute(holder: object, link: Link) -> object:
    """Return the name of the attribute that the link's object is, or is the ``__dict__`` of."""
    attributes = attempt(lambda: object.__getattribute__(holder, "__dict__"), None)
    if type(attributes) is dict:
        if attributes is link.held:
            return link.key
        for name, item in _items(attributes):
            if item is link.held:
                return name
    for name, slot in _slots(type(holder)):
        if attempt(partial(slot.__get__, holder), None) is link.held:
            return name
    return None


def _slots(kind: type) -> Iterator[tuple[str, MemberDescriptorType]]:
    for base in kind.__mro__:
        for name, member in list(vars(base).items()):
            if type(member) is MemberDescriptorType:
                yield name, member


def _below(link: Link) -> str:
    """Return what is below an object's attribute, whose ``__dict__`` may be a step of its own."""
    if link.key is not None and link.below is not None and type(link.held) is dict:
        return link.below.rest
    return link.rest


# --- what has a name ---------------------------------------------------------------------


def _of_module(holder: Any, link: Link) -> str | None:
    name = attempt(lambda: ModuleType.__getattribute__(holder, "__name__"), "?")
    return _attribute_of(f"module {name}", link)


def _of_class(holder: Any, link: Link) -> str | None:
    if not isinstance(link.held, dict):
        return None
    return _attribute_of(f"class {type_name(holder)!r}", link)


def _attribute_of(owner: str, link: Link) -> str | None:
    if link.key is None or link.below is None:
        return None
    return _path(f"attribute {link.key!r} of {owner}", str(link.key), link.below.rest)


def _of_function(holder: Any, link: Link) -> str | None:
    code, name = holder.__code__, f"function {holder.__qualname__!r}"
    held: Any = link.held
    if held is holder.__closure__ and link.below is not None:
        place = _place(iter(holder.__closure__), link.below.held)
        variable = code.co_freevars[place or 0]
        return _path(f"the closure of {name} (variable {variable})", variable, link.below.rest)
    if held is holder.__defaults__ and link.below is not None:
        place = _place(iter(held), link.below.held)
        first = code.co_argcount - len(holder.__defaults__)
        argument = code.co_varnames[first + (place or 0)]
        return _path(f"the default of argument {argument} of {name}", argument, link.below.rest)
    if held is holder.__kwdefaults__ and link.below is not None:
        text = f"the default of argument {link.key} of {name}"
        return _path(text, str(link.key), link.below.rest)
    return _attribute_of(name, link) if held is holder.__dict__ else None


def _of_method(holder: Any, link: Link) -> str | None:
    # That of a built-in function is its module, or an object.
    if holder.__self__ is not link.held:
        return None
    name = f"{type(holder.__self__).__name__}.{holder.__name__}"
    return f"the bound method {name!r}{_suffix(link.rest)}"


def _of_generator(holder: Any, link: Link) -> str | None:
    word, attribute = _GENERATORS[type(holder)]
    frame = getattr(holder, attribute)
    if frame is not None and is_ours(frame):
        return None
    found = None if frame is None else _variable(frame, link)
    return f"the {word} {holder.__qualname__!r}{found or ''}"


def _of_frame(holder: Any, link: Link) -> str | None:
    found = _variable(holder, link)
    # Not the frame below, nor the function's globals.
    return found and f"the frame of function {holder.f_code.co_qualname!r}{found}"


def _variable(frame: FrameType, link: Link) -> str | None:
    wanted = {id(link.held), *([id(link.below.held)] if link.below is not None else ())}
    for name, value in locals_of(frame):
        if id(value) in wanted:
            return f" (variable {name}){_suffix(link.rest)}"
    return None


_GENERATORS: Final = {
    GeneratorType: ("generator", "gi_frame"),
    CoroutineType: ("coroutine", "cr_frame"),
    AsyncGeneratorType: ("asynchronous generator", "ag_frame"),
}
_NAMED: Final[dict[type, Callable[[Any, Link], str | None]]] = {
    ModuleType: _of_module,
    type: _of_class,
}
_CALLED: Final[dict[type, Callable[[Any, Link], str | None]]] = {
    FunctionType: _of_function,
    MethodType: _of_method,
    BuiltinFunctionType: _of_method,
    **dict.fromkeys(_GENERATORS, _of_generator),
    FrameType: _of_frame,
}


def _threads() -> dict[int, list[str]]:
    """Return, by the ``id`` of each object that other threads' functions have, where it is."""
    found: dict[int, list[str]] = {}
    for thread, frame in running_frames():
        function = frame.f_code.co_qualname
        for name, value in locals_of(frame):
            words = f"thread {thread!r}: function {function!r} (variable {name})"
            found.setdefault(id(value), []).append(words)
    return found


# --- words -------------------------------------------------------------------------------


def _path(owner: str, name: object, rest: str) -> str:
    """Return who has the name, and the way from there if there is any."""
    if not rest:
        return owner
    # An instance's attribute is told by its name, an item as it is written.
    way = f"attribute {rest[1:]}" if rest.startswith(".") else f"{name}{rest}"
    return f"{owner}: {way}"


def _suffix(rest: str) -> str:
    return f": {rest.lstrip('. ')}" if rest else ""


def _short(key: object) -> str:
    # Keys of other types may have a repr of the user's.
    if type(key) in (str, int, bool, float, type(None)):
        return cut(repr(key), 40)
    return f"<{type_name(type(key))}>"


def _name_of_thread(thread: Any) -> str:
    return attempt(lambda: str(thread._name), "?")


def _is_dunder(key: object) -> bool:
    return type(key) is str and key.startswith("__") and key.endswith("__")


def _items(mapping: Any) -> Iterable[tuple[object, object]]:
    # A copy in one step: other threads may change it.
    return list(dict.items(mapping))


def _place(items: Iterator[object], wanted: object) -> int | None:
    for place, item in enumerate(islice(items, ITEM_LIMIT)):
        if item is wanted:
            return place
    return None
