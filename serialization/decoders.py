"""The walk over a JSON tree to its value: tags are looked up, nothing is imported or run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeVar, cast

from asyncbridge.errors import DecodeError
from asyncbridge.serialization import (
    arrays,
    extras,
    files,
    handles,
    masked,
    numbers,
    paths,
    registry,
    standard,
    values,
)
from asyncbridge.serialization.packed import unpack
from asyncbridge.serialization.slices import documents
from asyncbridge.serialization.walk import (
    MAX_DEPTH,
    TAG,
    TOO_DEEP,
    Form,
    Sources,
    TakesLong,
    Unreadable,
    malformed,
    shown,
)

_Walk = Callable[[Any, Sources, int], object]
_Hashed = TypeVar("_Hashed", bound=Collection[object])
_LEAVES: Final = frozenset[type]((type(None), bool, int, float, str))


class _Walks(dict[type, _Walk]):
    """The table of JSON's types, with an error for every other one."""

    def __missing__(self, kind: type) -> _Walk:
        return _walk_nothing


def _walk_nothing(tree: object, sources: Sources, depth: int) -> object:
    kind = type(tree).__name__
    raise Unreadable(tree, f"a header is a parsed JSON tree; {kind} is no part of one")


def _walk_leaf(tree: object, sources: Sources, depth: int) -> object:
    return tree


def _walk_list(tree: list[object], sources: Sources, depth: int) -> list[object]:
    if depth >= MAX_DEPTH:
        raise Unreadable(tree, TOO_DEEP)
    if _LEAVES.issuperset(map(type, tree)):
        return tree.copy()
    depth += 1
    return [WALKS[type(item)](item, sources, depth) for item in tree]


def _walk_dict(tree: dict[str, object], sources: Sources, depth: int) -> object:
    if TAG in tree:
        return _walk_tagged(tree, sources, depth)
    if depth >= MAX_DEPTH:
        raise Unreadable(tree, TOO_DEEP)
    if _LEAVES.issuperset(map(type, tree.values())):
        return tree.copy()
    depth += 1
    return {key: WALKS[type(item)](item, sources, depth) for key, item in tree.items()}


def _walk_tagged(tree: dict[str, object], sources: Sources, depth: int) -> object:
    tag = tree[TAG]
    form = _FORMS.get(tag) if type(tag) is str else None
    try:
        keys, read = _composite_form(tag, sources) if form is None else form
        if tree.keys() != keys:
            malformed(cast("str", tag), f"the keys {', '.join(sorted(keys))}")
        return read(tree, sources, depth)
    except DecodeError as error:
        # What stands inside has raised `Unreadable` of its own: this is about the form itself.
        raise Unreadable(tree, str(error)) from error.__cause__


def _composite_form(tag: object, sources: Sources) -> Form:
    known = type(tag) is str and tag in registry.BY_TAG
    if not known and sources.quickly and extras.is_package_tag(tag):
        raise TakesLong  # it is imported, which takes some tenths of a second
    if not known and not extras.load_tag(tag):
        raise DecodeError(f"unknown tag: {shown(tag)}")
    return _ITEMS, _read_composite


def _read_composite(tree: dict[str, object], sources: Sources, depth: int) -> object:
    return _put_together(registry.BY_TAG[cast("str", tree[TAG])], tree, sources, depth)


def _read_registered(tree: dict[str, object], sources: Sources, depth: int) -> object:
    entry = registry.named(tree["n"], tree["e"], sources.side)
    return _put_together(entry, tree, sources, depth)


def _put_together(
    entry: registry.Entry, tree: dict[str, Any], sources: Sources, depth: int
) -> object:
    """Read the data of an entry, and let the entry make its value of it."""
    if depth >= MAX_DEPTH:
        raise Unreadable(tree, TOO_DEEP)
    data = WALKS[type(tree["v"])](tree["v"], sources, depth + 1)
    try:
        value = entry.put_together(data, tree.get("e", entry.version))
    except DecodeError:
        raise
    except Exception as error:
        raise Unreadable(tree, f"the decoder of {entry.raised(error)}") from error
    if type(value) is not entry.kind and not entry.is_own:
        made = type(value).__name__
        raise Unreadable(tree, f"the decoder of {entry.name!r} made a {made} of it")
    sources.remember(value)
    return value


def _read_items(tree: dict[str, object], sources: Sources, depth: int) -> list[object]:
    items = tree["v"]
    if type(items) is dict and items.keys() == _SLICES and items[TAG] == "slices":
        return _read_slices(items, sources, depth)
    if type(items) is not list:
        malformed(cast("str", tree[TAG]), "a list of items")
    return _walk_list(items, sources, depth)


def _read_slices(tree: dict[str, object], sources: Sources, depth: int) -> list[object]:
    items: list[object] = []
    for trees in documents(tree, sources):
        try:
            items += _walk_list(trees, sources, depth)
        except Unreadable as broken:
            inner = paths.find_item(trees, broken.tree, len(items)) + broken.inner
            raise Unreadable(tree, broken.reason, inner) from broken.__cause__
    return items


def _read_packed(tree: dict[str, object], sources: Sources, depth: int) -> object:
    if depth:
        malformed("packed", "a place around all of the value")
    unpack(tree, sources)
    return WALKS[type(tree["v"])](tree["v"], sources, 0)


def _read_tuple(tree: dict[str, object], sources: Sources, depth: int) -> object:
    return tuple(_read_items(tree, sources, depth))


def _read_set(tree: dict[str, object], sources: Sources, depth: int) -> object:
    return _collect(set, "set", _read_items(tree, sources, depth))


def _read_frozenset(tree: dict[str, object], sources: Sources, depth: int) -> object:
    return _collect(frozenset, "frozenset", _read_items(tree, sources, depth))


def _read_dict(tree: dict[str, object], sources: Sources, depth: int) -> object:
    items = _read_items(tree, sources, depth)
    if len(items) % 2:
        malformed("dict", "a value for every key")
    keys = items[::2]
    return dict(zip(_collect(dict.fromkeys, "dict", keys), items[1::2], strict=True))


def _collect(build: Callable[[list[object]], _Hashed], tag: str, members: list[object]) -> _Hashed:
    try:
        collected = build(members)
    except (TypeError, ValueError):
        malformed(tag, "members that are hashable")
    if len(collected) != len(members):
        malformed(tag, "members that all differ")
    return collected


def _read_slice(tree: dict[str, object], sources: Sources, depth: int) -> object:
    items = _read_items(tree, sources, depth)
    if len(items) != 3:
        malformed("slice", "start, stop and step")
    return slice(*items)


def _read_handle(tree: dict[str, object], sources: Sources, depth: int) -> object:
    if sources.handles is None:
        raise DecodeError("a reference stands where none may come")
    return sources.handles(tree)


for _entry in masked.ENTRIES:
    registry.add_own(_entry)

WALKS: Final = _Walks({list: _walk_list, dict: _walk_dict, **dict.fromkeys(_LEAVES, _walk_leaf)})
_ITEMS: Final = frozenset((TAG, "v"))
_SLICES: Final = frozenset((TAG, "b", "n"))
_FORMS: Final[Mapping[str, Form]] = {
    **values.FORMS,
    **standard.FORMS,
    **arrays.FORMS,
    **files.FORMS,
    **numbers.FORMS,
    "tuple": (_ITEMS, _read_tuple),
    "set": (_ITEMS, _read_set),
    "frozenset": (_ITEMS, _read_frozenset),
    "dict": (_ITEMS, _read_dict),
    "slice": (_ITEMS, _read_slice),
    "slices": (_SLICES, _read_slices),
    "packed": (frozenset((TAG, "b", "v")), _read_packed),
    "registered": (frozenset((TAG, "n", "e", "v")), _read_registered),
    **dict.fromkeys(handles.TAGS, (handles.KEYS, _read_handle)),
}
