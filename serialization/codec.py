"""``encode`` and ``decode``: a whole value as a JSON tree with raw buffers, and back.

Both walk by exact type through a table: a subclass never passes for its base, and decoding
looks things up, it never imports, opens, builds a name or runs anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from math import isfinite
from typing import Any, Final, TypeVar, cast

import orjson

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol.messages import Buffer, Payload
from asyncbridge.serialization import arrays, extras, masked, paths, registry, standard, values
from asyncbridge.serialization.values import (
    TAG,
    Encoder,
    Form,
    Refused,
    Sink,
    Sources,
    Unreadable,
    is_plain_text,
    malformed,
    shown,
)

MAX_DEPTH: Final = 100
"""Containers inside one another. A level is at most two of JSON's, and orjson writes 254."""

_TOO_DEEP: Final = f"more than {MAX_DEPTH} containers stand inside one another"
_BULK_CHECK: Final = 8
"""Items from which looking at all their types at once is quicker than one by one."""


def encode(value: object, *, path: str = "value", one_hot: bool = True) -> Payload:
    """Return a value in wire form; arrays and read-only views in it are not copied.

    Args:
        value: Plain data, arrays and tables, and objects of registered types, in containers of
            any nesting.
        path: What errors call the value.
        one_hot: Send large one-hot matrices as the columns of their ones; all come back dense.

    Raises:
        SerializationError: A part of it has no wire form; the text says where it stands.
    """
    if value is None:
        return _NONE
    if type(value) is dict and not value:
        return _EMPTY
    buffers = Sink()
    if not one_hot:
        buffers.dense = True
    try:
        tree = _ENCODERS[type(value)](value, buffers, 0)
    except Refused as refused:
        raise _explain(refused, value, path) from refused.__cause__
    header = orjson.dumps(tree)
    size = len(header)
    if not buffers:
        return Payload(header=orjson.Fragment(header), size=size)
    size += sum(map(_size, buffers))
    return Payload(header=orjson.Fragment(header), buffers=tuple(buffers), size=size)


def decode(payload: Payload) -> object:
    """Return the value that a payload stands for; the payload is left as it was.

    An array is a view over its buffer where that is writable, or large; see ``arrays``.

    Raises:
        DecodeError: The tree or a buffer stands for no value.
    """
    tree = payload.header
    sources = Sources(payload.buffers)
    try:
        value = _WALKS[type(tree)](tree, sources, 0)
    except Unreadable as broken:
        path = paths.find_tree(tree, broken.tree)
        raise DecodeError(f"value{path}: {broken.reason}") from broken.__cause__
    if sources:
        _check_all_taken(sources)
    return value


def _size(buffer: Buffer) -> int:
    return buffer.nbytes if type(buffer) is memoryview else len(buffer)


def _check_all_taken(sources: Sources) -> None:
    unused = sum(source is not None for source in sources)
    if unused:
        raise DecodeError(f"no value refers to {unused} of {len(sources)} buffers")


# --- to the wire -------------------------------------------------------------------------


class _Encoders(dict[type, Encoder]):
    """The table by exact type, with a refusal for what no other table has either."""

    def __missing__(self, kind: type) -> Encoder:
        if kind in registry.BY_TYPE or extras.load_for(kind):
            return _encode_composite
        if extras.is_scalar(kind):
            return arrays.encode_scalar
        return _refuse if registry.converter(kind) is None else _encode_converted


def has_own_form(kind: type) -> bool:
    """Tell whether a type has a wire form that nobody registered."""
    return kind in _ENCODERS or kind.__module__.partition(".")[0] in extras.PACKAGES


def _refuse(value: object, buffers: Sink, depth: int) -> object:
    raise Refused(value, _refusal(type(value)), depth)


def _refusal(kind: type) -> str:
    text = f"object of type {kind.__name__} has no wire form"
    advice = extras.advice(kind)
    if advice is not None:
        return f"{text}; {advice}"
    base = next((base for base in kind.__mro__[1:] if base in _ENCODERS), None)
    if base is not None:
        make = _CONVERSIONS.get(base.__name__, base.__name__)
        return f"{text}, and does not pass for its base; send {make}(value) to send it as one{_REGISTER}"
    return f"{text}; send its parts as dicts, lists and arrays, or make it in the worker{_REGISTER}"


_REGISTER: Final = ", or register the type with asyncbridge.serializes"
# As the caller spells them; a base that is not here is spelled by its own name.
_CONVERSIONS: Final = {"ndarray": "numpy.array"}


def _explain(refused: Refused, root: object, path: str) -> SerializationError:
    """Add to a refusal where in the value it happened."""
    steps = [*(paths.find(root, refused.value, refused.depth) or []), *refused.trail]
    if refused.reason is _TOO_DEEP:
        loop = paths.loop(root, steps)
        if loop is not None:
            inner, outer = loop
            reason = f"cyclic value: this is {path}{outer} again; send a tree without cycles"
            return SerializationError(reason, path=path + inner)
    return SerializationError(refused.reason, path=path + paths.render(steps))


def _encode_list(value: list[object], buffers: Sink, depth: int) -> object:
    if depth >= MAX_DEPTH:
        raise Refused(value, _TOO_DEEP, depth)
    if len(value) >= _BULK_CHECK and _all_plain(value):
        return value
    depth += 1
    return [_ENCODERS[type(item)](item, buffers, depth) for item in value]


def _encode_dict(value: dict[object, object], buffers: Sink, depth: int) -> object:
    if depth >= MAX_DEPTH:
        raise Refused(value, _TOO_DEEP, depth)
    if not _plain_keys(value):
        items = (part for item in value.items() for part in item)
        return {TAG: "dict", "v": _encode_items(items, buffers, depth)}
    if len(value) >= _BULK_CHECK and _all_plain(value.values()):
        return value
    depth += 1
    return {key: _ENCODERS[type(item)](item, buffers, depth) for key, item in value.items()}


def _encode_items(items: Iterable[object], buffers: Sink, depth: int) -> list[object]:
    depth += 1
    return [_ENCODERS[type(item)](item, buffers, depth) for item in items]


def _tagged_container(tag: str) -> Encoder:
    def encode_container(value: Any, buffers: Sink, depth: int) -> object:
        if depth >= MAX_DEPTH:
            raise Refused(value, _TOO_DEEP, depth)
        return {TAG: tag, "v": _encode_items(value, buffers, depth)}

    return encode_container


def _encode_slice(value: slice, buffers: Sink, depth: int) -> object:
    if depth >= MAX_DEPTH:
        raise Refused(value, _TOO_DEEP, depth)
    parts = (value.start, value.stop, value.step)
    return {TAG: "slice", "v": _encode_items(parts, buffers, depth)}


def _encode_composite(value: object, buffers: Sink, depth: int) -> object:
    """Write what a value's entry in the registry makes of it."""
    known = buffers.known(value)
    if known is not None:
        return known
    if depth >= MAX_DEPTH:
        raise Refused(value, _TOO_DEEP, depth)
    entry = registry.BY_TYPE[type(value)]
    try:
        data = entry.take_apart(value)
    except registry.Unfit as unfit:
        raise Refused(value, str(unfit), depth) from None
    except Exception as error:
        raise Refused(value, f"the encoder of {entry.raised(error)}", depth) from error
    tree = {**entry.head, "v": _encode_part(f"<{entry.name}>", data, value, buffers, depth)}
    buffers.remember(value)
    return tree


def _encode_part(step: str, data: object, value: object, buffers: Sink, depth: int) -> object:
    """Write what a value was turned into; errors show the way through it."""
    try:
        return _ENCODERS[type(data)](data, buffers, depth + 1)
    except Refused as refused:
        inner = paths.find(data, refused.value, refused.depth - depth - 1) or []
        trail = [(step, data), *inner, *refused.trail]
        raise Refused(value, refused.reason, depth, trail) from refused.__cause__


def _encode_converted(value: object, buffers: Sink, depth: int) -> object:
    """Write what stands for a value on the other side, such as a tensor's array."""
    if depth >= MAX_DEPTH:
        raise Refused(value, _TOO_DEEP, depth)
    known = buffers.known(value)
    if known is not None:
        return known
    convert = registry.converter(type(value))
    assert convert is not None
    try:
        data = convert(value)
    except registry.Unfit as unfit:
        raise Refused(value, str(unfit), depth) from None
    tree = _encode_part(f"<{type(value).__name__}>", data, value, buffers, depth)
    buffers.alias(value, data)
    return tree


def _plain_keys(value: dict[object, object]) -> bool:
    """Whether a dict's keys can be a JSON object's."""
    for key in value:  # noqa: SIM110 - all() with a generator costs every small dict 0.3 µs
        if type(key) is not str or key == TAG or not is_plain_text(key):
            return False
    return True


def _all_plain(items: Collection[Any]) -> bool:
    """Whether the items are of one scalar type, and stand for themselves: all in C loops."""
    kinds = set(map(type, items))
    check = _PLAIN_CHECKS.get(kinds.pop()) if len(kinds) == 1 else None
    return check is not None and check(items)


def _all_64_bit(items: Collection[int]) -> bool:
    return min(items) >= -(2**63) and max(items) < 2**64


_PLAIN_CHECKS: Final[Mapping[type, Callable[[Collection[Any]], bool]]] = {
    bool: lambda items: True,
    int: _all_64_bit,
    float: lambda items: all(map(isfinite, items)),
    str: lambda items: all(map(str.isascii, items)),
}

_ENCODERS: Final = _Encoders(
    {
        **values.ENCODERS,
        **standard.ENCODERS,
        **arrays.ENCODERS,
        list: _encode_list,
        dict: _encode_dict,
        tuple: _tagged_container("tuple"),
        set: _tagged_container("set"),
        frozenset: _tagged_container("frozenset"),
        slice: _encode_slice,
    }
)
_NONE: Final = Payload(header=orjson.Fragment(b"null"), size=4)
_EMPTY: Final = Payload(header=orjson.Fragment(b"{}"), size=2)

# --- from the wire -----------------------------------------------------------------------

_Walk = Callable[[Any, Sources, int], object]
_Hashed = TypeVar("_Hashed", bound=Collection[object])
_LEAVES: Final = frozenset[type]((type(None), bool, int, float, str))


class _Walks(dict[type, _Walk]):
    """The table of JSON's types, with an error for every other one."""

    def __missing__(self, kind: type) -> _Walk:
        raise DecodeError(f"a header is a parsed JSON tree; {kind.__name__} is no part of one")


def _walk_leaf(tree: object, sources: Sources, depth: int) -> object:
    return tree


def _walk_list(tree: list[object], sources: Sources, depth: int) -> list[object]:
    if depth >= MAX_DEPTH:
        raise DecodeError(_TOO_DEEP)
    if _LEAVES.issuperset(map(type, tree)):
        return tree.copy()
    depth += 1
    return [_WALKS[type(item)](item, sources, depth) for item in tree]


def _walk_dict(tree: dict[str, object], sources: Sources, depth: int) -> object:
    if TAG in tree:
        return _walk_tagged(tree, sources, depth)
    if depth >= MAX_DEPTH:
        raise DecodeError(_TOO_DEEP)
    if _LEAVES.issuperset(map(type, tree.values())):
        return tree.copy()
    depth += 1
    return {key: _WALKS[type(item)](item, sources, depth) for key, item in tree.items()}


def _walk_tagged(tree: dict[str, object], sources: Sources, depth: int) -> object:
    tag = tree[TAG]
    form = _FORMS.get(tag) if type(tag) is str else None
    if form is None:
        form = _composite_form(tag)
    keys, read = form
    if tree.keys() != keys:
        malformed(cast(str, tag), f"the keys {', '.join(sorted(keys))}")
    return read(tree, sources, depth)


def _composite_form(tag: object) -> Form:
    known = type(tag) is str and tag in registry.BY_TAG
    if not known and not extras.load_tag(tag):
        raise DecodeError(f"unknown tag: {shown(tag)}")
    return _ITEMS, _read_composite


def _read_composite(tree: dict[str, object], sources: Sources, depth: int) -> object:
    return _put_together(registry.BY_TAG[cast(str, tree[TAG])], tree, sources, depth)


def _read_registered(tree: dict[str, object], sources: Sources, depth: int) -> object:
    try:
        entry = registry.named(tree["n"], tree["e"])
    except DecodeError as error:
        raise Unreadable(tree, str(error)) from None
    return _put_together(entry, tree, sources, depth)


def _put_together(
    entry: registry.Entry, tree: dict[str, Any], sources: Sources, depth: int
) -> object:
    """Read the data of an entry, and let the entry make its value of it."""
    if depth >= MAX_DEPTH:
        raise DecodeError(_TOO_DEEP)
    data = _WALKS[type(tree["v"])](tree["v"], sources, depth + 1)
    try:
        value = entry.put_together(data, tree.get("e", entry.version))
    except DecodeError as error:
        raise Unreadable(tree, str(error)) from error.__cause__
    except Exception as error:
        raise Unreadable(tree, f"the decoder of {entry.raised(error)}") from error
    if type(value) is not entry.kind and not entry.is_own:
        made = type(value).__name__
        raise Unreadable(tree, f"the decoder of {entry.name!r} made a {made} of it")
    sources.remember(value)
    return value


def _read_items(tree: dict[str, object], sources: Sources, depth: int) -> list[object]:
    items = tree["v"]
    if type(items) is not list:
        malformed(cast(str, tree[TAG]), "a list of items")
    return _walk_list(items, sources, depth)


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


for _entry in masked.ENTRIES:
    registry.add_own(_entry)

_WALKS: Final = _Walks({list: _walk_list, dict: _walk_dict, **dict.fromkeys(_LEAVES, _walk_leaf)})
_ITEMS: Final = frozenset((TAG, "v"))
_FORMS: Final[Mapping[str, Form]] = {
    **values.FORMS,
    **standard.FORMS,
    **arrays.FORMS,
    "tuple": (_ITEMS, _read_tuple),
    "set": (_ITEMS, _read_set),
    "frozenset": (_ITEMS, _read_frozenset),
    "dict": (_ITEMS, _read_dict),
    "slice": (_ITEMS, _read_slice),
    "registered": (frozenset((TAG, "n", "e", "v")), _read_registered),
}
