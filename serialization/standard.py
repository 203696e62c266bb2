"""Values of the standard library as JSON and back: times, exact numbers, UUIDs and paths."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID, SafeUUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from asyncbridge.errors import DecodeError
from asyncbridge.serialization.values import decode_int, decode_str, encode_int, encode_str
from asyncbridge.serialization.walk import (
    TAG,
    Encoder,
    Form,
    Refused,
    Sink,
    Sources,
    malformed,
    shown,
    unhex,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_FRACTION_BITS: Final = 2**16
"""Bits of a fraction's parts: whether two integers are coprime takes quadratic time."""
_DECIMAL: Final = re.compile(
    r"-?(?:[0-9]+(?:\.[0-9]+)?(?:E[+-][0-9]+)?|Infinity|s?NaN[0-9]*)", re.ASCII
)
# No dots, so no way out of the time zones' folder; `ZoneInfo` looks for itself, too.
_ZONE_KEY: Final = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,3}", re.ASCII)
_ZONE_CHARS: Final = 80

# --- to the wire -------------------------------------------------------------------------


def _encode_date(value: date, buffers: Sink, depth: int) -> object:
    return {TAG: "date", "v": [value.year, value.month, value.day]}


def _encode_datetime(value: datetime, buffers: Sink, depth: int) -> object:
    parts = [value.year, value.month, value.day, *_clock(value)]
    zone = _zone(value, value.tzinfo, buffers, depth)
    return {TAG: "datetime", "v": parts, "f": value.fold, "z": zone}


def _encode_time(value: time, buffers: Sink, depth: int) -> object:
    zone = _zone(value, value.tzinfo, buffers, depth)
    return {TAG: "time", "v": _clock(value), "f": value.fold, "z": zone}


def _clock(value: datetime | time) -> list[int]:
    return [value.hour, value.minute, value.second, value.microsecond]


def _encode_timedelta(value: timedelta, buffers: Sink, depth: int) -> object:
    return {TAG: "timedelta", "v": [value.days, value.seconds, value.microseconds]}


def _zone(value: object, zone: tzinfo | None, buffers: Sink, depth: int) -> object:
    if zone is None:
        return None
    if type(zone) is timezone:
        return _encode_timezone(zone, buffers, depth)
    if type(zone) is ZoneInfo and _is_zone_key(zone.key):
        return {TAG: "zone", "v": zone.key}
    raise Refused(
        value,
        f"{type(value).__name__} with a tzinfo of type {type(zone).__name__} has no wire form; "
        "give it a datetime.timezone, or a zoneinfo.ZoneInfo made by its key",
        depth,
    )


def _is_zone_key(key: object) -> bool:
    return type(key) is str and len(key) <= _ZONE_CHARS and _ZONE_KEY.fullmatch(key) is not None


def _encode_timezone(value: timezone, buffers: Sink, depth: int) -> object:
    # What pickle would call it with: the offset, and the name when there is one.
    offset, *name = cast("Any", value).__getinitargs__()
    text = encode_str(name[0], buffers, depth) if name else None
    parts = [offset.days, offset.seconds, offset.microseconds]
    return {TAG: "timezone", "v": parts, "n": text}


def _encode_zone(value: ZoneInfo, buffers: Sink, depth: int) -> object:
    return _zone(value, value, buffers, depth)


def _encode_decimal(value: Decimal, buffers: Sink, depth: int) -> object:
    return {TAG: "decimal", "v": str(value)}


def _encode_fraction(value: Fraction, buffers: Sink, depth: int) -> object:
    parts = (value.numerator, value.denominator)
    if max(part.bit_length() for part in parts) > _FRACTION_BITS:
        reason = f"a fraction of more than {_FRACTION_BITS} bits has no wire form"
        raise Refused(value, f"{reason}; send its numerator and denominator", depth)
    return {TAG: "fraction", "v": [encode_int(part, buffers, depth) for part in parts]}


def _encode_uuid(value: UUID, buffers: Sink, depth: int) -> object:
    return {TAG: "uuid", "v": value.hex, "s": value.is_safe.value}


def _encode_path(value: PurePath, buffers: Sink, depth: int) -> object:
    text = str(value)
    kind = type(value)
    if kind(text) != value:
        raise Refused(value, f"{kind.__name__} {text!r} reads as another path", depth)
    return {TAG: "path", "k": kind.__name__, "v": encode_str(text, buffers, depth)}


_PATHS: Final[Mapping[str, type[PurePath]]] = {
    kind.__name__: kind for kind in (PurePosixPath, PureWindowsPath, PosixPath, WindowsPath)
}

ENCODERS: Final[Mapping[type, Encoder]] = {
    date: _encode_date,
    datetime: _encode_datetime,
    time: _encode_time,
    timedelta: _encode_timedelta,
    timezone: _encode_timezone,
    ZoneInfo: _encode_zone,
    Decimal: _encode_decimal,
    Fraction: _encode_fraction,
    UUID: _encode_uuid,
    **dict.fromkeys(_PATHS.values(), _encode_path),
}

# --- from the wire -----------------------------------------------------------------------


def _integers(body: dict[str, object], count: int) -> list[Any]:
    parts = body["v"]
    if type(parts) is not list or len(parts) != count or {*map(type, parts)} != {int}:
        malformed(cast("str", body[TAG]), f"{count} integers")
    return parts


def _decode_date(body: dict[str, object], sources: Sources, depth: int) -> date:
    try:
        return date(*_integers(body, 3))
    except (ValueError, OverflowError):
        malformed("date", "a day of the calendar")


def _decode_datetime(body: dict[str, object], sources: Sources, depth: int) -> datetime:
    year, month, day, hour, minute, second, micro = _integers(body, 7)
    zone = _read_zone(body, sources, depth)
    try:
        return datetime(year, month, day, hour, minute, second, micro, zone, fold=_fold(body))
    except (ValueError, OverflowError):
        malformed("datetime", "a moment of the calendar")


def _decode_time(body: dict[str, object], sources: Sources, depth: int) -> time:
    hour, minute, second, micro = _integers(body, 4)
    zone = _read_zone(body, sources, depth)
    try:
        return time(hour, minute, second, micro, zone, fold=_fold(body))
    except (ValueError, OverflowError):
        malformed("time", "a time of day")


def _fold(body: dict[str, object]) -> int:
    fold = body["f"]
    if type(fold) is not int or fold not in (0, 1):
        malformed(cast("str", body[TAG]), "0 or 1 for its fold")
    return fold


def _decode_timedelta(body: dict[str, object], sources: Sources, depth: int) -> timedelta:
    days, seconds, microseconds = _integers(body, 3)
    if not (0 <= seconds < 86_400 and 0 <= microseconds < 10**6):
        malformed("timedelta", "seconds of a day, and microseconds of a second")
    try:
        return timedelta(days, seconds, microseconds)
    except OverflowError:
        malformed("timedelta", "days that Python can count")


def _read_zone(body: dict[str, object], sources: Sources, depth: int) -> tzinfo | None:
    zone = body["z"]
    if zone is None:
        return None
    if type(zone) is dict and zone.keys() == _ZONE and zone[TAG] == "timezone":
        return _decode_timezone(zone, sources, depth)
    if type(zone) is dict and zone.keys() == _V and zone[TAG] == "zone":
        return _decode_zone(zone, sources, depth)
    return malformed(cast("str", body[TAG]), "a time zone, or null")


def _decode_timezone(body: dict[str, object], sources: Sources, depth: int) -> timezone:
    offset = _decode_timedelta(body, sources, depth)
    name = body["n"]
    if type(name) is dict and name.keys() == _B and name[TAG] == "str":
        name = decode_str(name, sources, depth)
    if name is not None and type(name) is not str:
        malformed("timezone", "text for its name, or null")
    try:
        return timezone(offset) if name is None else timezone(offset, name)
    except ValueError:
        malformed("timezone", "an offset of less than a day")


def _decode_zone(body: dict[str, object], sources: Sources, depth: int) -> ZoneInfo:
    """Look a zone up in this machine's own rules: the one decoder that may read a file."""
    key = body["v"]
    if not _is_zone_key(key):
        malformed("zone", "the key of a time zone, such as 'Europe/Berlin'")
    try:
        return ZoneInfo(cast("str", key))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DecodeError(
            f"the time zone {key!r} is unknown here; install tzdata, or send a fixed offset"
        ) from None


def _decode_decimal(body: dict[str, object], sources: Sources, depth: int) -> Decimal:
    text = body["v"]
    if type(text) is not str or _DECIMAL.fullmatch(text) is None:
        malformed("decimal", "a number as Decimal writes it")
    try:
        value = Decimal(text)
    except ArithmeticError:
        malformed("decimal", "an exponent that Decimal can hold")
    if str(value) != text:
        malformed("decimal", "a number as Decimal writes it")
    return value


def _decode_fraction(body: dict[str, object], sources: Sources, depth: int) -> Fraction:
    parts = body["v"]
    if type(parts) is not list or len(parts) != 2:
        malformed("fraction", "a numerator and a denominator")
    top, bottom = (_whole(part, sources, depth) for part in parts)
    if bottom < 1 or max(top.bit_length(), bottom.bit_length()) > _FRACTION_BITS:
        malformed("fraction", f"parts of at most {_FRACTION_BITS} bits, the lower one from 1 up")
    value = Fraction(top, bottom)
    if value.denominator != bottom:
        malformed("fraction", "parts without a common divisor")
    return value


def _whole(part: object, sources: Sources, depth: int) -> int:
    if type(part) is dict and part.keys() == _V and part[TAG] == "int":
        return decode_int(part, sources, depth)
    if type(part) is not int:
        malformed("fraction", "integers")
    return part


def _decode_uuid(body: dict[str, object], sources: Sources, depth: int) -> UUID:
    safe = body["s"]
    if safe is not None and (type(safe) is not int or safe not in (0, -1)):
        malformed("uuid", "0, -1 or null for its safety")
    return UUID(bytes=unhex(body["v"], 16, "uuid"), is_safe=SafeUUID(safe))


def _decode_path(body: dict[str, object], sources: Sources, depth: int) -> PurePath:
    name, text = body["k"], body["v"]
    if type(text) is dict and text.keys() == _B and text[TAG] == "str":
        text = decode_str(text, sources, depth)
    kind = _PATHS.get(name) if type(name) is str else None
    if kind is None or type(text) is not str:
        malformed("path", f"a kind of path and its text, got {shown(name)}")
    try:
        return kind(text)
    except NotImplementedError:  # in 3.13 UnsupportedOperation, a subclass
        raise DecodeError(
            f"a {name} names a file of another operating system; send Pure{name}(path)"
        ) from None


_V: Final = frozenset((TAG, "v"))
_B: Final = frozenset((TAG, "b"))
_ZONE: Final = frozenset((TAG, "v", "n"))
_CLOCK: Final = frozenset((TAG, "v", "f", "z"))

FORMS: Final[Mapping[str, Form]] = {
    "date": (_V, _decode_date),
    "datetime": (_CLOCK, _decode_datetime),
    "time": (_CLOCK, _decode_time),
    "timedelta": (_V, _decode_timedelta),
    "timezone": (_ZONE, _decode_timezone),
    "zone": (_V, _decode_zone),
    "decimal": (_V, _decode_decimal),
    "fraction": (_V, _decode_fraction),
    "uuid": (frozenset((TAG, "v", "s")), _decode_uuid),
    "path": (frozenset((TAG, "k", "v")), _decode_path),
}
