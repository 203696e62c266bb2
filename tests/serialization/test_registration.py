from __future__ import annotations

import dataclasses
import enum
from collections import namedtuple
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import orjson
import pytest

import asyncbridge
from asyncbridge.errors import DecodeError, SerializationError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode, registry


@pytest.fixture(autouse=True)
def clean_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a test registers."""
    monkeypatch.setattr(registry, "BY_TYPE", dict(registry.BY_TYPE))
    monkeypatch.setattr(registry, "_BY_NAME", dict(registry._BY_NAME))


class Money:
    def __init__(self, amount: Any, currency: str = "EUR") -> None:
        self.amount = amount
        self.currency = currency


class MoneyForm:
    @staticmethod
    def encode(value: Money) -> object:
        return [value.amount, value.currency]

    @staticmethod
    def decode(data: Any, version: int) -> object:
        return Money(data) if version == 1 else Money(*data)


def test_a_registered_type_comes_back_as_itself(wire: Callable[[object], Any]) -> None:
    """What the decoder makes of the encoder's data stands in the value's place."""
    asyncbridge.serializes(Money, name="shop.Money", version=2)(MoneyForm)
    back = wire({"price": [Money(np.arange(3))]})["price"][0]
    assert type(back) is Money
    assert back.currency == "EUR"
    assert back.amount.tolist() == [0, 1, 2]


def test_the_decorator_gives_the_class_back() -> None:
    """The form stays a class like any other."""
    assert asyncbridge.serializes(Money, name="shop.Money")(MoneyForm) is MoneyForm


def test_what_stands_on_the_wire() -> None:
    """A name, a version and the data: nothing that names Python's class."""
    asyncbridge.serializes(Money, name="m", version=2)(MoneyForm)
    header = orjson.loads(orjson.dumps(encode(Money(1)).header))
    assert header == {"$": "registered", "n": "m", "e": 2, "v": [1, "EUR"]}


def test_a_decoder_is_told_the_version() -> None:
    """It may read older data; newer data is refused, and by what name."""
    asyncbridge.serializes(Money, name="m", version=2)(MoneyForm)
    old: Any = decode(Payload(header={"$": "registered", "n": "m", "e": 1, "v": 5}))
    assert (old.amount, old.currency) == (5, "EUR")
    with pytest.raises(DecodeError, match=r"^value\[0\]: 'm' came in version 3.* up to 2"):
        decode(Payload(header=[{"$": "registered", "n": "m", "e": 3, "v": 5}]))


@pytest.mark.parametrize("version", [0, -1, True, 1.0, None, 2**40])
def test_a_version_is_a_whole_number(version: object) -> None:
    """Anything else is refused before the decoder sees it."""
    asyncbridge.serializes(Money, name="m")(MoneyForm)
    with pytest.raises(DecodeError, match="version"):
        decode(Payload(header={"$": "registered", "n": "m", "e": version, "v": 5}))


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "", None, [], "m\n"])
def test_an_unknown_name_is_a_clear_error(name: object) -> None:
    """The text names it, where it stands, and how to register it."""
    header = {"a": {"$": "tuple", "v": [1, {"$": "registered", "n": name, "e": 1, "v": 5}]}}
    with pytest.raises(
        DecodeError, match=r'^value\["a"\]\[1\]: no type is registered under .* here; both sides'
    ):
        decode(Payload(header=header))


def test_an_encoder_that_raises_is_a_clear_error() -> None:
    """The path, the name and the error stand in the text, and the error is the cause."""

    class Broken(MoneyForm):
        @staticmethod
        def encode(value: Money) -> object:
            raise KeyError("rate")

    asyncbridge.serializes(Money, name="m")(Broken)
    with pytest.raises(SerializationError, match=r"encoder of 'm' raised KeyError") as caught:
        encode({"a": [Money(1)]}, path="x")
    assert caught.value.path == 'x["a"][0]'
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_decoder_that_raises_is_a_clear_error() -> None:
    """Whatever it raises comes as a DecodeError with the path."""

    class Broken(MoneyForm):
        @staticmethod
        def decode(data: Any, version: int) -> object:
            raise ZeroDivisionError("rate")

    asyncbridge.serializes(Money, name="m")(Broken)
    text = r'^value\["k"\]\[1\]\[2\]: the decoder of .m. raised ZeroDivisionError: rate$'
    with pytest.raises(DecodeError, match=text) as caught:
        through({"k": {1: [0, 1, Money(1)]}})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def through(value: object) -> object:
    """Encode and decode a value."""
    payload = encode(value)
    return decode(
        Payload(header=orjson.loads(orjson.dumps(payload.header)), buffers=payload.buffers)
    )


def test_a_decoder_that_makes_something_else_is_an_error() -> None:
    """The exact type comes out, or none does."""

    class Wrong(MoneyForm):
        @staticmethod
        def decode(data: Any, version: int) -> object:
            return data

    asyncbridge.serializes(Money, name="m")(Wrong)
    with pytest.raises(DecodeError, match="the decoder of 'm' made a list of it"):
        through(Money(1))


def test_a_path_leads_through_registered_types() -> None:
    """What an encoder's data holds without a wire form is shown below it."""
    asyncbridge.serializes(Money, name="m")(MoneyForm)
    with pytest.raises(SerializationError, match="object of type object has no") as caught:
        encode([Money(Money({"k": object()}))], path="x")
    assert caught.value.path == 'x[0]<m>[0]<m>[0]["k"]'


def test_a_cycle_through_registered_types_is_named() -> None:
    """The text says where it closes, and on what."""
    asyncbridge.serializes(Money, name="m")(MoneyForm)
    inner = Money(0)
    inner.amount = [inner]
    with pytest.raises(SerializationError, match=r"cyclic value: this is x\[1\] again") as caught:
        encode([0, inner], path="x")
    assert caught.value.path == "x[1]<m>[0][0]"


def test_depth_is_counted_through_registered_types() -> None:
    """The peer's nesting is bounded there, too."""
    asyncbridge.serializes(Money, name="m")(MoneyForm)
    tree: object = 1
    for _ in range(120):
        tree = {"$": "registered", "n": "m", "e": 1, "v": tree}
    with pytest.raises(DecodeError, match="more than 100 containers"):
        decode(Payload(header=tree))


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: object
    y: int = dataclasses.field(default=0, init=False)


@dataclasses.dataclass
class Open:
    items: list[object] = dataclasses.field(default_factory=list)


class Color(enum.Enum):
    RED = object()
    BLUE = 2
    AZURE = 2  # noqa: PIE796 - an alias


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - both kinds are at stake


class Typed(NamedTuple):
    class_: object
    size: int = 1


@pytest.mark.parametrize(
    "value",
    [
        Point((1, np.float32(2))),
        Open([1, Point(2)]),
        Color.RED,
        Color.AZURE,
        Level.LOW,
        Access.READ,
        Access.READ | Access.WRITE,
        Access(0),
        Pair(1, {Level.LOW: 2}),
        Typed([1], 2),
    ],
)
def test_one_line_registers_the_usual_kinds(value: object, wire: Callable[[object], Any]) -> None:
    """Dataclasses, enumerations and named tuples come back equal, and of their type."""
    for kind in (Point, Open, Color, Level, Access, Pair, Typed):
        assert asyncbridge.serializable(name=f"t.{kind.__name__}")(kind) is kind
    back = wire([value])[0]
    assert type(back) is type(value)
    assert back == value
    if isinstance(value, enum.Enum):
        assert back is value


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Point, {"x": 1}),
        (Point, {"x": 1, "y": 2, "z": 3}),
        (Point, [1, 2]),
        (Color, "GREEN"),
        (Color, 2),
        (Color, [2]),
        (Access, [4.0]),
        (Access, [8]),
        (Pair, {"left": 1}),
        (Pair, [1, 2]),
    ],
)
def test_data_that_fits_no_field_or_member_is_refused(kind: type, data: object) -> None:
    """Fields are those of the class, members those of the enumeration."""
    asyncbridge.serializable(name="t")(kind)
    with pytest.raises(DecodeError, match="^value: "):
        decode(Payload(header={"$": "registered", "n": "t", "e": 1, "v": data}))


def test_a_plain_registration_reads_its_own_version_alone() -> None:
    """Other fields need a form that knows of them."""
    asyncbridge.serializable(name="t", version=2)(Point)
    with pytest.raises(DecodeError, match="expected version 2, got 1"):
        decode(Payload(header={"$": "registered", "n": "t", "e": 1, "v": {"x": 1, "y": 2}}))


def test_attributes_beside_the_fields_are_refused() -> None:
    """They would be lost in silence."""
    asyncbridge.serializable(name="t")(Open)
    value = Open()
    value.extra = 1  # type: ignore[attr-defined]  # that is what is wrong
    with pytest.raises(SerializationError, match="attributes beside its fields: extra"):
        encode(value)


def test_a_subclass_is_not_registered_with_its_base() -> None:
    """Registration is by exact type."""
    asyncbridge.serializes(Money, name="m")(MoneyForm)
    dear = type("Dear", (Money,), {})(1)
    with pytest.raises(SerializationError, match=r"type Dear has no wire form.*serializes"):
        encode(dear)


def test_a_class_that_is_defined_anew_takes_its_place() -> None:
    """A module may be reloaded."""

    def define() -> Any:
        @dataclasses.dataclass
        class Again:
            x: int

        return Again

    first, second = define(), define()
    asyncbridge.serializable(name="a")(first)
    asyncbridge.serializable(name="a")(second)
    assert type(through(second(1))) is second
    with pytest.raises(SerializationError):
        encode(first(1))


@pytest.mark.parametrize(
    ("kind", "name", "version", "error", "text"),
    [
        (dict, "d", 1, TypeError, "dict has a wire form already"),
        (np.ndarray, "d", 1, TypeError, "ndarray has a wire form already"),
        (3, "d", 1, TypeError, "a type is registered"),
        (Money, "", 1, ValueError, "a name of"),
        (Money, "\ud800", 1, ValueError, "a name of"),
        (Money, "n" * 201, 1, ValueError, "a name of"),
        (Money, 1, 1, ValueError, "a name of"),
        (Money, "m", 0, ValueError, "a version is"),
        (Money, "m", True, ValueError, "a version is"),
        (Money, "taken", 1, ValueError, "'taken' is taken by .*Point"),
        (Point, "other", 1, ValueError, "Point is registered as 'taken' already"),
    ],
)
def test_what_cannot_be_registered(
    kind: Any, name: Any, version: Any, error: type[Exception], text: str
) -> None:
    """Types with a form, names that are taken and odd versions are refused at once."""
    asyncbridge.serializable(name="taken")(Point)
    with pytest.raises(error, match=text):
        asyncbridge.serializes(kind, name=name, version=version)(MoneyForm)


def test_a_class_of_another_kind_has_no_plain_registration() -> None:
    """The error names what to do."""
    with pytest.raises(TypeError, match=r"Money is no dataclass.*serializes"):
        asyncbridge.serializable(name="m")(Money)
    with pytest.raises(TypeError, match=r"has no functions encode"):
        asyncbridge.serializes(Money, name="m")(Money)  # type: ignore[type-var]  # that is it


class Shade(str, enum.Enum):  # noqa: UP042 - a StrEnum's str() is its value, this one's is not
    """An enumeration whose members are texts."""

    DARK = "dark"


@dataclasses.dataclass
class Loose:
    """A dataclass that nobody registers."""

    x: int = 1


class Couple(NamedTuple):
    """A named tuple that nobody registers."""

    x: int


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (Shade.DARK, r"send value\.value, or .*@asyncbridge\.serializable\(name=\.\.\.\)"),
        (Loose(), r"; register .*@asyncbridge\.serializable\(name=.*\.serializes$"),
        (Couple(1), r"send tuple\(value\) .*@asyncbridge\.serializable\(name="),
    ],
)
def test_the_advice_for_what_takes_one_line_to_register(value: object, advice: str) -> None:
    """It names the decorator, and for a member of an enumeration its value."""
    with pytest.raises(SerializationError, match=advice):
        encode([value])


def test_post_init_is_not_called_in_decoding() -> None:
    """What it computed has come among the fields."""
    calls: list[str] = []

    @dataclasses.dataclass
    class Checked:
        x: int

        def __post_init__(self) -> None:
            calls.append("checked")

    asyncbridge.serializable(name="checked")(Checked)
    value = Checked(1)
    assert through(value) == value
    assert calls == ["checked"]
