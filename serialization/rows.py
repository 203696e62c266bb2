"""Messages as rows of JSON and back: ``[tag, field, field, ...]`` in dataclass order.

What writes and what reads each class is built once, at import, from its fields' types; a
message then costs one look-up and a loop over its fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from operator import attrgetter
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import orjson

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol import messages as m
from asyncbridge.serialization.walk import shown

Row = list[object]
Slots = list[memoryview | None]
"""A frame's inline buffers; None stands for one that a payload has taken."""

TAGS: Final = MappingProxyType[type, int](
    {
        m.Hello: 1,
        m.Command: 2,
        m.Cancel: 3,
        m.Acknowledge: 4,
        m.Release: 5,
        m.InfoRequest: 6,
        m.Ping: 7,
        m.Join: 8,
        m.QueueRequest: 12,
        m.Prioritize: 13,
        m.Claim: 9,
        m.Detach: 10,
        m.Halting: 16,
        m.Decide: 17,
        m.Keep: 18,
        m.Tie: 19,
        m.Welcome: 32,
        m.Refused: 33,
        m.StateChanged: 34,
        m.Accepted: 35,
        m.Started: 36,
        m.Output: 37,
        m.Completed: 38,
        m.Failed: 39,
        m.Cancelled: 40,
        m.Info: 41,
        m.Pong: 42,
        m.Progress: 43,
        m.Joined: 44,
        m.QueueReport: 48,
        m.Withheld: 45,
        m.Holding: 46,
        m.Halted: 51,
        m.Resumed: 52,
        m.Decided: 53,
        m.Dropped: 54,
        m.Kept: 55,
        m.Advice: 56,
        m.Goodbye: 64,
        m.Placed: 65,
        m.Returned: 66,
        m.Recall: 70,
        m.Digest: 71,
        m.Reuse: 72,
        m.StreamTaken: 73,
        m.StreamItem: 74,
        m.StreamEnd: 75,
    }
)
MAX_CAUSES: Final = 32
"""Faults in one chain of causes; a writer leaves deeper ones out, the text has them all."""

_Writer = Callable[[Any, list[m.Buffer]], object]
_Reader = Callable[[object, Slots], Any]


# --- writing -----------------------------------------------------------------------------


def write_row(message: m.Message, inline: list[m.Buffer]) -> Row:
    """Return a message's row; buffers that ride in its frame are put last in ``inline``.

    Raises:
        SerializationError: The object is no message.
    """
    write = _WRITERS.get(type(message))
    if write is None:
        raise SerializationError(f"{type(message).__name__} is no message of the protocol")
    return write(message, inline)


def _row_writer(cls: type, tag: int) -> Callable[[object, list[m.Buffer]], Row]:
    """Build what writes a message class, with trailing fields at their defaults left off."""
    hints = get_type_hints(cls)
    names = [field.name for field in fields(cls)]
    # The class itself comes first: it holds the tag's place, and makes the result a tuple.
    get = attrgetter("__class__", *names)
    defaults = [None, *(field.default for field in fields(cls))]
    required = 1 + defaults.count(MISSING)
    optional = defaults[required:]
    converters = [
        (place, _WRITES[kind])
        for place, name in enumerate(names, 1)
        for kind in _arms(hints[name])
        if kind in _WRITES
    ]

    def write(message: object, inline: list[m.Buffer]) -> Row:
        row = list(get(message))
        row[0] = tag
        if row[required:] == optional:  # as most are
            del row[required:]
        while len(row) > required and row[-1] == defaults[len(row) - 1]:
            row.pop()
        for place, convert in converters:
            if place < len(row) and row[place] is not None:
                row[place] = convert(row[place], inline)
        return row

    return write


def _write_payload(payload: m.Payload, inline: list[m.Buffer]) -> object:
    header = payload.header
    if type(header) is not orjson.Fragment:
        # Dumped on its own: a tree that came in may be deeper than a whole frame may go.
        header = orjson.Fragment(dump(header))
    if not payload.buffers:
        return (header,)
    return header, [_write_buffer(buffer, inline) for buffer in payload.buffers]


def _write_buffer(buffer: m.Buffer | m.BulkRef, inline: list[m.Buffer]) -> object:
    if isinstance(buffer, m.BulkRef):
        return buffer.id, buffer.size
    inline.append(buffer)
    return len(inline) - 1


def _write_fault(fault: m.Fault, inline: list[m.Buffer]) -> object:
    chain = [fault]
    while (cause := chain[-1].cause) is not None and len(chain) < MAX_CAUSES:
        chain.append(cause)
    written: Row | None = None
    for link in reversed(chain):
        row = [*_FAULT_VALUES(link)]
        row[_CAUSE_PLACE] = written
        while row[-1] == _FAULT_DEFAULTS[len(row) - 1]:
            row.pop()
        written = row
    return written


def dump(tree: object) -> bytes:
    """Dump a tree of JSON.

    Raises:
        SerializationError: Something in it is no JSON.
    """
    try:
        return orjson.dumps(tree)
    except TypeError as error:
        raise SerializationError(f"a message holds what JSON does not carry: {error}") from None


def without_surrogates(tree: object) -> object:
    """Return rows with every lone surrogate in their text spelled as an escape.

    Output and error texts may hold them (undecodable bytes); that must not hold up a message.
    """
    if isinstance(tree, str):
        return tree.encode("utf-8", "backslashreplace").decode()
    if isinstance(tree, list | tuple):
        return [without_surrogates(item) for item in tree]
    if isinstance(tree, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in tree.items()}
    return tree


# --- reading -----------------------------------------------------------------------------


def read_row(row: object, inline: Slots) -> m.Message:
    """Return the message that a row stands for; its payloads take their inline buffers.

    Raises:
        DecodeError: It stands for none; the text names the class and the field.
    """
    if type(row) is not list or not row:
        raise DecodeError("a message is a list with its tag first")
    tag = row[0]
    read = _READERS.get(tag) if type(tag) is int else None
    if read is None:
        raise DecodeError(f"unknown message tag: {shown(tag)}")
    message: m.Message = read(row[1:], inline)
    return message


def _row_reader(cls: type) -> Callable[[Row, Slots], Any]:
    """Build what reads a class; fields past the last one it knows are a later version's.

    It fills the slots as the generated ``__init__`` does, at a third of the time: a frozen
    class's own goes through ``object.__setattr__``, which was half the cost of a frame.
    """
    hints = get_type_hints(cls)
    name = cls.__name__
    setters = _setters(cls)
    readers = [_reader(hints[field.name], f"{name}.{field.name}") for field in fields(cls)]
    # A value of just this type stands as it is; any other is for the reader.
    plain = [hints[field.name] for field in fields(cls)]
    parts = list(zip(setters, plain, readers, strict=True))
    defaults = [field.default for field in fields(cls)]
    required = defaults.count(MISSING)

    def read(row: Row, inline: Slots) -> object:
        given = len(row)
        if given < required:
            raise DecodeError(f"{name} has {given} fields of at least {required}")
        made: object = _new(cls)
        for (put, kind, read_part), value in zip(parts, row, strict=False):
            put(made, value if type(value) is kind else read_part(value, inline))
        for place in range(given, len(defaults)):
            setters[place](made, defaults[place])
        return made

    return read


def _setters(cls: type) -> list[Callable[[object, object], None]]:
    return [vars(cls)[field.name].__set__ for field in fields(cls)]


def _reader(hint: Any, where: str) -> _Reader:
    """Build what reads one field of the type ``hint``."""
    arms = _arms(hint)
    if NoneType in arms:
        (some,) = (arm for arm in arms if arm is not NoneType)
        return _optional(_reader(some, where))
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _one_of(args, where)
    if origin is tuple and args[-1] is ...:
        return _many(args[0], where)
    if origin is tuple:
        return _group([_reader(arg, where) for arg in args], where)
    if hint is m.Payload:
        return _payload(where)
    if hint is m.Fault and where != _CAUSE:
        return _fault(where)
    return _exact(origin or hint, where)


def _arms(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _exact(kind: type, where: str) -> _Reader:
    def read(value: object, inline: Slots) -> object:
        if type(value) is not kind:
            raise _unfit(where, _KINDS.get(kind, kind.__name__), value)
        return value

    return read


def _optional(some: _Reader) -> _Reader:
    def read(value: object, inline: Slots) -> object:
        return None if value is None else some(value, inline)

    return read


def _one_of(choices: tuple[object, ...], where: str) -> _Reader:
    expected = "one of " + ", ".join(map(str, choices))

    def read(value: object, inline: Slots) -> object:
        if type(value) is not str or value not in choices:
            raise _unfit(where, expected, value)
        return value

    return read


def _many(kind: Any, where: str) -> _Reader:
    one = _reader(kind, where)
    all_plain = {kind}  # as of ``_row_reader``

    def read(value: object, inline: Slots) -> object:
        if type(value) is not list:
            raise _unfit(where, "a list", value)
        if all_plain.issuperset(map(type, value)):
            return tuple(value)
        return tuple([one(item, inline) for item in value])

    return read


def _group(parts: list[_Reader], where: str) -> _Reader:
    def read(value: object, inline: Slots) -> object:
        if type(value) is not list or len(value) != len(parts):
            raise _unfit(where, f"a list of {len(parts)}", value)
        return tuple([part(item, inline) for part, item in zip(parts, value, strict=True)])

    return read


def _payload(where: str) -> _Reader:
    def read(value: object, inline: Slots) -> object:
        if type(value) is not list or not value:
            raise _unfit(where, "a list of a tree and its buffers", value)
        if len(value) == 1:
            return _bare_payload(value[0])
        if type(value[1]) is not list:
            raise _unfit(where, "a list of buffers", value[1])
        buffers = tuple([_read_buffer(item, inline, where) for item in value[1]])
        return m.Payload(header=value[0], buffers=buffers, size=sum(map(_size, buffers)))

    return read


def _bare_payload(header: object) -> m.Payload:
    made = _new(m.Payload)
    _put_header(made, header)
    _put_buffers(made, ())
    _put_size(made, 0)
    return made


def _size(buffer: memoryview | m.BulkRef) -> int:
    return buffer.size if isinstance(buffer, m.BulkRef) else len(buffer)


def _read_buffer(item: object, inline: Slots, where: str) -> memoryview | m.BulkRef:
    if type(item) is int:
        return _take(item, inline, where)
    if type(item) is not list or len(item) != 2:
        raise _unfit(where, "a buffer's index, or its bulk id and size", item)
    id_, size = item
    if type(id_) is not str or type(size) is not int or size < 0:
        raise _unfit(where, "a bulk buffer's id and size", item)
    return m.BulkRef(id=id_, size=size)


def _take(index: int, inline: Slots, where: str) -> memoryview:
    if not 0 <= index < len(inline):
        raise DecodeError(f"{where}: buffer {index} of a frame with {len(inline)}")
    buffer = inline[index]
    if buffer is None:
        raise DecodeError(f"{where}: buffer {index} of the frame is used twice")
    inline[index] = None
    return buffer


def _fault(where: str) -> _Reader:
    """Build what reads a fault: its causes are walked in a loop, they may be many."""

    def read(value: object, inline: Slots) -> object:
        chain: list[Row] = []
        while value is not None:
            if type(value) is not list or len(chain) == MAX_CAUSES:
                raise _unfit(where, f"a fault of at most {MAX_CAUSES} causes", value)
            chain.append(value)
            value = value[_CAUSE_PLACE] if len(value) > _CAUSE_PLACE else None
        fault = None
        for row in reversed(chain):
            known = row if fault is None else [*row[:_CAUSE_PLACE], fault, *row[_CAUSE_PLACE + 1 :]]
            fault = _read_one_fault(known, inline)
        if fault is None:
            raise _unfit(where, "a fault", fault)
        return fault

    return read


def _unfit(where: str, expected: str, value: object) -> DecodeError:
    return DecodeError(f"{where}: expected {expected}, got {shown(value)}")


_KINDS: Final[dict[type, str]] = {int: "an integer", str: "text", dict: "an object"}
_WRITES: Final[dict[Any, _Writer]] = {m.Payload: _write_payload, m.Fault: _write_fault}

_new: Final = object.__new__
_put_header, _put_buffers, _put_size = _setters(m.Payload)

_CAUSE: Final = "Fault.cause"
_FAULT_NAMES: Final = [field.name for field in fields(m.Fault)]
_FAULT_DEFAULTS: Final = [field.default for field in fields(m.Fault)]
_FAULT_VALUES: Final[Callable[[m.Fault], tuple[Any, ...]]] = attrgetter(*_FAULT_NAMES)
_CAUSE_PLACE: Final = _FAULT_NAMES.index("cause")
_read_one_fault: Final = _row_reader(m.Fault)

_WRITERS: Final = {cls: _row_writer(cls, tag) for cls, tag in TAGS.items()}
_READERS: Final = {tag: _row_reader(cls) for cls, tag in TAGS.items()}
