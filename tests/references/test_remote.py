"""What can be done with an object in the worker: attributes, items, calls."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge.errors import SerializationError
from asyncbridge.references import RemoteExpression

if TYPE_CHECKING:
    from tests.references.conftest import Home

pytestmark = pytest.mark.asyncio


async def test_nothing_is_sent_before_it_is_awaited(home: Home) -> None:
    """Attributes, items and calls are code, one in another; awaiting sends it whole."""
    data = home.reference({"rows": [1, 2, 3]})
    built = data["rows"].index(2).bit_length()
    assert isinstance(built, RemoteExpression)
    assert home.sent == []
    assert await built == 1
    assert home.codes == ["ref['rows'].index(2).bit_length()"]
    assert home.sent[0].name == "dict['rows'].index(2).bit_length()"


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (0, "ref[0]"),
        (-1, "ref[-1]"),
        (slice(1, None), "ref[1:]"),
        (slice(None, None, 2), "ref[::2]"),
        (slice(0, 2), "ref[0:2]"),
    ],
)
async def test_items_of_a_list(home: Home, key: Any, code: str) -> None:
    """They are as Python writes them."""
    values = [5, 6, 7]
    assert await home.reference(values)[key] == values[key]
    assert home.codes == [code]


async def test_items_by_several_keys(home: Home) -> None:
    """Slices, ellipses and objects in the worker may stand among them."""

    class Grid:
        def __getitem__(self, key: object) -> object:
            return key

    place = home.reference(4)
    assert await home.reference(Grid())[1:place, ..., None] == (slice(1, 4), ..., None)
    assert home.codes == ["ref[1:ref2, ..., None]"]


async def test_arguments(home: Home) -> None:
    """Short plain ones stand in the code; others are bindings, each once however often it is used."""

    def show(*args: object, **keywords: object) -> str:
        return repr((args, keywords))

    rows, text = [1, 2], "x" * 61
    built = home.reference(show)(1, "a", rows, rows, flag=True, long=text)
    assert await built == show(1, "a", rows, rows, flag=True, long=text)
    assert home.codes == ["ref(1, 'a', value, value, flag=True, long=value2)"]
    assert home.sent[0].bindings[1:] == [rows, text]
    assert home.sent[0].name == "function(1, 'a', <list>, <list>, flag=True, long=<str>)"


async def test_arguments_are_as_they_are_when_it_is_sent(home: Home) -> None:
    """An expression is code, which runs anew each time."""
    rows = [1]
    length = home.reference(len)(rows)
    assert await length == 1
    rows.append(2)
    assert await length == 2


async def test_setting_and_deleting(home: Home) -> None:
    """It is queued at once, as ``send`` does, and its errors are for whoever looks."""
    thing, items = SimpleNamespace(), list[object]([1, 2])
    remote, sequence = home.reference(thing), home.reference(items)
    remote.size = 3
    remote.of = sequence
    sequence[0] = "a"
    del sequence[1]
    delattr(remote, "size")
    assert vars(thing) == {"of": items}
    assert items == ["a"]
    assert home.codes == [
        "ref.size = 3\nNone",
        "ref.of = ref2\nNone",
        "ref[0] = 'a'\nNone",
        "del ref[1]\nNone",
        "del ref.size\nNone",
    ]
    assert [each.name for each in home.sent] == [
        "SimpleNamespace.size = 3",
        "SimpleNamespace.of = list",
        "list[0] = 'a'",
        "del list[1]",
        "del SimpleNamespace.size",
    ]


async def test_names_with_an_underscore(home: Home) -> None:
    """They are asked for by name: what looks for a protocol, as copy and numpy do, finds none."""
    thing = home.reference(SimpleNamespace(_own=5))
    with pytest.raises(AttributeError, match=r"\.attr\('_own'\) does so"):
        thing._own  # noqa: B018 - the look is what raises
    assert await thing.attr("_own") == 5
    assert await thing.attr("__class__").attr("__name__") == "SimpleNamespace"


async def test_names_of_its_own(home: Home) -> None:
    """They cannot be set by assignment, but reached by ``attr``."""
    thing = home.reference(SimpleNamespace(value=7, release=8))
    with pytest.raises(AttributeError, match="'value' is a name of Ref's own"):
        setattr(thing, "value", 1)  # noqa: B010 - type checkers know that it is a method
    with pytest.raises(AttributeError, match="'release' is a name of Ref's own"):
        del thing.release
    assert home.sent == []
    assert await thing.attr("value") == 7


async def test_its_value(home: Home) -> None:
    """It travels here; a reference that comes in its place is refused, by the name of its class."""
    assert await home.reference(3).value() == 3
    assert home.codes == ["ref"]
    stays = home.reference(home.reference(object()))
    with pytest.raises(
        SerializationError, match=r"Ref has no wire form: .* class app\.object stays"
    ):
        await stays.value()


async def test_an_error_of_the_code(home: Home) -> None:
    """It comes out of the await, not before."""
    missing = home.reference(1).missing
    with pytest.raises(AttributeError, match="missing"):
        await missing


async def test_a_copy_is_itself(home: Home) -> None:
    """The object is one, so another handle on it would be the same."""
    one = home.reference(1)
    assert copy.copy(one) is copy.deepcopy(one) is one
    assert copy.deepcopy([one])[0] is one
    assert home.sent == []


async def test_dir_offers_no_protocols(home: Home) -> None:
    """What completes names has the few of its own, without numpy's."""
    names = dir(home.reference(1))
    assert {"attr", "value", "release"} <= set(names)
    assert not [name for name in names if name.startswith("__array")]
