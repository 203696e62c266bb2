from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING
from uuid import UUID, SafeUUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

BERLIN = ZoneInfo("Europe/Berlin")
EXACT: list[object] = [
    date.min,
    date.max,
    datetime.min,  # noqa: DTZ901 - no zone is a case of its own
    datetime.max,  # noqa: DTZ901 - as above
    datetime(2024, 10, 27, 2, 30, 0, 7, tzinfo=BERLIN),
    datetime(2024, 10, 27, 2, 30, 0, 7, tzinfo=BERLIN, fold=1),
    datetime(2024, 1, 1, tzinfo=UTC),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-3, microseconds=1), "\ud800 here")),
    time(1, 2, 3, 4),
    time(1, fold=1, tzinfo=timezone(timedelta(minutes=90))),
    time(1, tzinfo=BERLIN),
    timedelta.min,
    timedelta.max,
    timedelta(microseconds=-1),
    UTC,
    timezone(timedelta(0), "UTC"),
    timezone(timedelta(hours=1)),
    BERLIN,
    Decimal("-0.00"),
    Decimal("1E+5"),
    Decimal("1.50E-999999"),
    Decimal("Infinity"),
    Decimal("-sNaN123"),
    Decimal("NaN"),
    Decimal("1" * 5000),
    Fraction(-7, 3),
    Fraction(0),
    Fraction(1, 10**5000),
    UUID(int=2**127 + 5),
    UUID(int=1, is_safe=SafeUUID.safe),
    UUID(int=1, is_safe=SafeUUID.unsafe),
    PurePosixPath("/a/../b c"),
    PurePosixPath("//a"),
    PurePosixPath("."),
    PurePosixPath("a\ud800"),
    PureWindowsPath(r"c:\a\b"),
    PureWindowsPath(r"\\server\share\x"),
    Path("/tmp/x"),
]


@pytest.mark.parametrize("value", EXACT, ids=lambda value: type(value).__name__)
def test_every_listed_value_comes_back_exact(value: object, exact: Callable[..., None]) -> None:
    """A value of the standard library comes back with its type, and every detail of it."""
    exact(value)
    exact({"in": [value]})


@given(
    st.one_of(
        st.dates(),
        st.datetimes(timezones=st.none() | st.timezones() | st.just(UTC)),
        st.times(timezones=st.none() | st.just(UTC)),
        st.timedeltas(),
        st.decimals(),
        st.fractions(),
        st.uuids(),
    )
)
def test_any_value_comes_back_exact(exact: Callable[..., None], value: object) -> None:
    """Whatever the parts of a time or a number are, they are kept."""
    exact(value)


def test_they_may_be_keys(wire: Callable[[object], object]) -> None:
    """What is hashable is a key again."""
    value = {date(2024, 1, 1): 1, Decimal(2): 2, (UUID(int=1), PurePosixPath("a")): 3}
    assert wire(value) == value


def test_utc_is_utc_itself(wire: Callable[[object], object]) -> None:
    """The offset without a name comes back as the one object."""
    assert wire(UTC) is UTC


class Odd(tzinfo):
    """A time zone of its own kind."""

    def utcoffset(self, moment: datetime | None, /) -> timedelta:
        return timedelta(0)

    dst = utcoffset

    def tzname(self, moment: datetime | None, /) -> str:
        return "odd"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2024, 1, 1, tzinfo=Odd()), r"datetime with a tzinfo of type Odd .*timezone"),
        (time(1, tzinfo=Odd()), r"time with a tzinfo of type Odd"),
        (Fraction(1, 2**70_000), r"fraction of more than 65536 bits .*numerator"),
    ],
)
def test_what_cannot_be_said_exactly_is_refused(value: object, text: str) -> None:
    """The text says what to send instead, and where it stands."""
    with pytest.raises(SerializationError, match=text) as caught:
        encode({"x": [value]}, path="data")
    assert caught.value.path == 'data["x"][0]'


MALFORMED: list[dict[str, object]] = [
    {"$": "date", "v": [2024, 2, 30]},
    {"$": "date", "v": [2024, 1]},
    {"$": "date", "v": [2024, 1, True]},
    {"$": "date", "v": [2**70, 1, 1]},
    {"$": "date", "v": "2024-01-01"},
    {"$": "datetime", "v": [2024, 1, 1, 24, 0, 0, 0], "f": 0, "z": None},
    {"$": "datetime", "v": [2024, 1, 1, 0, 0, 0, 0], "f": 2, "z": None},
    {"$": "datetime", "v": [2024, 1, 1, 0, 0, 0, 0], "f": False, "z": None},
    {"$": "datetime", "v": [2024, 1, 1, 0, 0, 0, 0], "f": 0, "z": "UTC"},
    {"$": "datetime", "v": [2024, 1, 1, 0, 0, 0, 0], "f": 0, "z": {"$": "zone"}},
    {"$": "time", "v": [0, 60, 0, 0], "f": 0, "z": None},
    {"$": "timedelta", "v": [0, 86_400, 0]},
    {"$": "timedelta", "v": [10**9, 0, 0]},
    {"$": "timezone", "v": [1, 0, 0], "n": None},
    {"$": "timezone", "v": [0, 0, 0], "n": 1},
    {"$": "timezone", "v": [0, 0, 0], "n": {"$": "bytes", "b": 0}},
    {"$": "zone", "v": None},
    {"$": "zone", "v": "No/Such_Zone"},
    {"$": "zone", "v": "../../etc/passwd"},
    {"$": "zone", "v": "/etc/passwd"},
    {"$": "zone", "v": "Europe"},
    {"$": "zone", "v": "A" * 100},
    {"$": "decimal", "v": "1_0"},
    {"$": "decimal", "v": " 1"},
    {"$": "decimal", "v": "1e5"},
    {"$": "decimal", "v": "1E+99999999999999999999999"},
    {"$": "decimal", "v": "\u0661"},
    {"$": "decimal", "v": 1},
    {"$": "fraction", "v": [1, 0]},
    {"$": "fraction", "v": [2, 4]},
    {"$": "fraction", "v": [1, -2]},
    {"$": "fraction", "v": [1, 2.0]},
    {"$": "fraction", "v": [1, {"$": "int", "v": "1" + "0" * 20_000}]},
    {"$": "fraction", "v": 1},
    {"$": "uuid", "v": "00", "s": None},
    {"$": "uuid", "v": "0" * 32, "s": 1},
    {"$": "uuid", "v": "0" * 32, "s": False},
    {"$": "path", "k": "Path", "v": "a"},
    {"$": "path", "k": "PurePosixPath", "v": 1},
    {"$": "path", "k": [], "v": "a"},
    {"$": "path", "k": "WindowsPath", "v": "a"},
]


@pytest.mark.parametrize("tree", MALFORMED, ids=lambda tree: f"{tree!a:.60}")
def test_a_malformed_form_is_a_decode_error(tree: dict[str, object]) -> None:
    """Days that are none, parts of the wrong type and keys that lead elsewhere are refused."""
    with pytest.raises(DecodeError):
        decode(Payload(header=tree))
