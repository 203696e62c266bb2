"""The walk over a value to its JSON tree: by exact type, a subclass never passes for its base."""

from __future__ import annotations

from math import isfinite
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.errors import SerializationError
from asyncbridge.serialization import (
    advice,
    arrays,
    extras,
    files,
    numbers,
    paths,
    registry,
    standard,
    values,
)
from asyncbridge.serialization.slices import CHARACTERS, FEW, Writer, weight_of
from asyncbridge.serialization.values import is_plain_text
from asyncbridge.serialization.walk import (
    LONG,
    MAX_DEPTH,
    TAG,
    TOO_DEEP,
    Encoder,
    Refused,
    Sink,
    Steps,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_BULK_CHECK: Final = 8
"""Items from which looking at all their types at once is quicker than one by one."""
_FEW: Final = 256
_OUTER: Final = 1
"""Up to this depth, a container of few items is not counted: there are not many of those."""
_CONTAINER: Final = 4
"""What a container counts beside its items."""
_ODD: Final = 7
"""What an item counts beside, where not all are plain scalars."""
_SHORT: Final = 1024
"""Characters of text that are not counted."""
_COMPOSITE: Final = 16
"""What an object counts that is taken apart: so much longer than a scalar it takes."""


class _Encoders(dict[type, Encoder]):
    """The table by exact type, with a refusal for what no other table has either."""

    def __missing__(self, kind: type) -> Encoder:
        if kind in registry.BY_TYPE or extras.load_for(kind):
            return _encode_composite
        if extras.is_scalar(kind):
            return arrays.encode_scalar
        return _encode_handle if registry.converter(kind) is None else _encode_converted


def has_own_form(kind: type) -> bool:
    """Tell whether a type has a wire form that nobody registered."""
    return kind in ENCODERS or kind.__module__.partition(".")[0] in extras.PACKAGES


def _encode_handle(value: object, buffers: Sink, depth: int) -> object:
    """Write what stands for an object of a type that has no form."""
    if buffers.handles is None:
        raise no_form(value, depth)
    return buffers.handles.write(value, buffers, depth)


def no_form(value: object, depth: int) -> Refused:
    """Return the refusal of an object of a type that has no form."""
    return Refused(value, advice.refusal(type(value), ENCODERS), depth)


def explain(refused: Refused, root: object, path: str) -> SerializationError:
    """Add to a refusal where in the value it happened."""
    steps = [*(paths.find(root, refused.value, refused.depth) or []), *refused.trail]
    if refused.reason is TOO_DEEP:
        loop = paths.loop(root, steps)
        if loop is not None:
            inner, outer = loop
            reason = f"cyclic value: this is {path}{outer} again; send a tree without cycles"
            return SerializationError(reason, path=path + inner)
    return SerializationError(refused.reason, path=path + paths.render(steps))


def _encode_list(value: list[object], buffers: Sink, depth: int) -> object:
    if depth >= MAX_DEPTH:
        raise Refused(value, TOO_DEEP, depth)
    count = len(value)
    if not buffers.sliced and (depth > _OUTER or count > _FEW):
        buffers.charge(count + _CONTAINER)
    if count >= numbers.SHORTEST:
        packed = numbers.encode(value, buffers)
        if packed is not None:
            return packed
    if buffers.sliced:
        if 0 < count <= _FEW and _stay_whole(value, buffers):
            return value
        write = _SLICES.few if count <= FEW else _SLICES.items
        return write(value, buffers, depth + 1)
    if count < _BULK_CHECK:
        depth += 1
        return [ENCODERS[type(item)](item, buffers, depth) for item in value]
    kinds = set(map(type, value))
    if _all_plain(value, kinds, buffers):
        return value
    if count > _FEW:
        buffers.charge(_ODD * count)
    depth += 1
    # Looked up once for each type: it takes long where that has no form of its own.
    encoders = {kind: ENCODERS[kind] for kind in kinds}
    return [encoders[type(item)](item, buffers, depth) for item in value]


def _encode_dict(value: dict[object, object], buffers: Sink, depth: int) -> object:
    if depth >= MAX_DEPTH:
        raise Refused(value, TOO_DEEP, depth)
    count = len(value)
    if buffers.sliced:
        return _encode_sliced_dict(value, buffers, depth)
    if depth > _OUTER or count > _FEW:
        buffers.charge(count + _CONTAINER)
    if (
        count >= _BULK_CHECK
        and _all_texts(value, buffers)
        and _all_plain(value.values(), set(map(type, value.values())), buffers)
    ):
        return value
    if not _plain_keys(value):
        buffers.charge(_ODD * count)
        items = (part for item in value.items() for part in item)
        return {TAG: "dict", "v": _encode_items(items, buffers, depth)}
    if count > _FEW:
        buffers.charge(_ODD * count)
    depth += 1
    return {key: ENCODERS[type(item)](item, buffers, depth) for key, item in value.items()}


def _encode_sliced_dict(value: dict[Any, object], buffers: Sink, depth: int) -> object:
    count = len(value)
    if count > FEW or not _plain_keys(value):
        return _SLICES.dict(value, buffers, depth + 1)
    if count and _stay_whole(value.values(), buffers):
        return value
    return _SLICES.few_by_name(value, buffers, depth + 1)


def _stay_whole(items: Collection[Any], buffers: Sink) -> bool:
    """Whether a few items stand for themselves, and need not be looked at one by one."""
    kinds = set(map(type, items))
    weight = weight_of(items, kinds)
    if weight > LONG or not _all_plain(items, kinds, buffers):
        return False
    buffers.charge(weight + _CONTAINER)
    return True


def _encode_items(items: Iterable[object], buffers: Sink, depth: int) -> object:
    depth += 1
    if buffers.sliced:
        return _SLICES.items(items, buffers, depth)
    return [ENCODERS[type(item)](item, buffers, depth) for item in items]


def _tagged_container(tag: str) -> Encoder:
    def encode_container(value: Any, buffers: Sink, depth: int) -> object:
        if depth >= MAX_DEPTH:
            raise Refused(value, TOO_DEEP, depth)
        if not buffers.sliced:
            buffers.charge((1 + _ODD) * len(value) + _CONTAINER)
        return {TAG: tag, "v": _encode_items(value, buffers, depth)}

    return encode_container


def _encode_slice(value: slice, buffers: Sink, depth: int) -> object:
    if depth >= MAX_DEPTH:
        raise Refused(value, TOO_DEEP, depth)
    parts = (value.start, value.stop, value.step)
    return {TAG: "slice", "v": _encode_items(parts, buffers, depth)}


def _encode_composite(value: object, buffers: Sink, depth: int) -> object:
    """Write what a value's entry in the registry makes of it."""
    known = buffers.known(value)
    if known is not None:
        return known
    if depth >= MAX_DEPTH:
        raise Refused(value, TOO_DEEP, depth)
    entry = registry.BY_TYPE[type(value)]
    buffers.charge(_COMPOSITE + entry.weigh(value))
    try:
        data = entry.take_apart(value)
    except registry.Unfit as unfit:
        trail: Steps | None = [(unfit.step, value)] if unfit.step else None
        raise Refused(value, str(unfit), depth, trail) from None
    except Exception as error:
        raise Refused(value, f"the encoder of {entry.raised(error)}", depth) from error
    handles = buffers.handles
    if entry.is_own:  # what puts it together again wants data: no part of it may be a handle
        buffers.handles = None
    try:
        tree = {**entry.head, "v": _encode_part(f"<{entry.name}>", data, value, buffers, depth)}
    except Refused as refused:
        if entry.spell is not None and len(refused.trail) > 1:
            refused.trail = entry.spell(value, refused.trail[1:])
        raise
    finally:
        buffers.handles = handles
    buffers.remember(value)
    return tree


def _encode_part(step: str, data: object, value: object, buffers: Sink, depth: int) -> object:
    """Write what a value was turned into; errors show the way through it."""
    try:
        return ENCODERS[type(data)](data, buffers, depth + 1)
    except Refused as refused:
        inner = paths.find(data, refused.value, refused.depth - depth - 1) or []
        trail = [(step, data), *inner, *refused.trail]
        raise Refused(value, refused.reason, depth, trail) from refused.__cause__


def _encode_converted(value: object, buffers: Sink, depth: int) -> object:
    """Write what stands for a value on the other side, such as a tensor's array."""
    if depth >= MAX_DEPTH:
        raise Refused(value, TOO_DEEP, depth)
    known = buffers.known(value)
    if known is not None:
        return known
    convert = registry.converter(type(value))
    assert convert is not None
    handles, before = buffers.handles, len(buffers)
    try:
        data = _converted(value, convert, depth)
        buffers.handles = None  # it is the whole that stays, or none of it
        tree = _encode_part(f"<{type(value).__name__}>", data, value, buffers, depth)
    except Refused as refused:
        if len(buffers) > before:
            raise
        buffers.handles = handles
        return buffers.stay(refused)
    finally:
        buffers.handles = handles
    buffers.alias(value, data)
    return tree


def _converted(value: object, convert: registry.Converter, depth: int) -> object:
    try:
        return convert(value)
    except registry.Unfit as unfit:
        raise Refused(value, str(unfit), depth) from None
    except Exception as error:
        reason = f"object of type {type(value).__name__} cannot be turned into an array: {error}"
        raise Refused(value, reason, depth) from error


def _plain_keys(value: dict[object, object]) -> bool:
    """Whether a dict's keys can be a JSON object's."""
    for key in value:  # noqa: SIM110 - all() with a generator costs every small dict 0.3 µs
        if type(key) is not str or key == TAG or not is_plain_text(key):
            return False
    return True


def _all_texts(keys: dict[object, object], buffers: Sink) -> bool:
    """Whether a large dict's keys seem to be a JSON object's; orjson refuses all but texts."""
    return not buffers.careful and type(next(iter(keys))) is str and TAG not in keys


def _all_plain(items: Collection[Any], kinds: set[type], buffers: Sink) -> bool:
    """Whether the items, of these types, seem to stand for themselves: all in C loops.

    What shows afterwards is not looked for: orjson refuses integers of more than 64 bits and lone
    surrogates, and writes null for NaN. Then the value is walked again, with care.
    """
    if buffers.careful or not kinds <= _SCALARS:
        return False
    if kinds == _TEXT and not buffers.sliced:
        # Beside other scalars it would take longer than to write them; ``codec`` looks afterwards.
        characters = sum(map(len, items))
        if characters > _SHORT:
            buffers.charge(characters // CHARACTERS)
    if float not in kinds:
        return True
    if NoneType not in kinds:
        buffers.hasty = True
        return True
    return all(map(isfinite, [item for item in items if type(item) is float]))


_TEXT: Final = {str}
_SCALARS: Final = frozenset[type]((type(None), bool, int, float, str))
ENCODERS: Final = _Encoders(
    {
        **values.ENCODERS,
        **standard.ENCODERS,
        **arrays.ENCODERS,
        **files.ENCODERS,
        list: _encode_list,
        dict: _encode_dict,
        tuple: _tagged_container("tuple"),
        set: _tagged_container("set"),
        frozenset: _tagged_container("frozenset"),
        slice: _encode_slice,
    }
)
_SLICES: Final = Writer(ENCODERS, _all_plain)
