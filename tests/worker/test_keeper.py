"""References in the place of what has no wire form."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.serialization.handles import LONGEST_TEXT, ref_of
from asyncbridge.worker import keeper as keepers
from asyncbridge.worker.keeper import Keeper, TooMany
from asyncbridge.worker.objects import Claimant, Objects


class Thing:
    """What has no wire form."""

    def __init__(self, text: str = "a thing") -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def sent(payload: Payload) -> Payload:
    """Return a value as its reader gets it."""
    return Payload(header=orjson.loads(orjson.dumps(payload.header)), buffers=payload.buffers)


def test_what_is_told() -> None:
    """The object's class, a short text and its size; each place has its number."""
    objects, thing = Objects(), Thing()
    keeper = Keeper(objects)
    keeper.now = 5.0
    told = ref_of(orjson.loads(orjson.dumps(keeper.write(thing, None, 0))))
    assert (told.number, told.kind, told.text) == (1, f"{__name__}.Thing", "a thing")
    assert told.size > 0
    keeper.write(thing, None, 0)
    keeper.write(Thing(), None, 0)
    assert keeper.numbers == [1, 1, 2]
    assert objects.items()[0][1].since == 5.0


@pytest.mark.parametrize("text", ["x" * 5000, "\ud800", "\u00e9" * 5000, "a\nb"])
def test_any_text(text: str) -> None:
    """It is cut, and says what JSON can carry."""
    keeper = Keeper(Objects())
    told = ref_of(orjson.loads(orjson.dumps(keeper.write(Thing(text), None, 0))))
    assert len(told.text) <= LONGEST_TEXT


def test_a_whole_value() -> None:
    """One reference, however much of it was written before."""
    objects, things = Objects(), [Thing(), Thing()]
    keeper = Keeper(objects)
    keeper.write(things[0], None, 0)
    payload = keeper.whole(things)
    assert keeper.numbers == [2]
    number = decode(sent(payload), handles=lambda tree: ref_of(tree).number)
    assert objects.value_of(int(str(number))) is things


def test_what_is_told_nowhere_goes() -> None:
    """Of all that was kept while the value was walked, only what is claimed stays."""
    objects, claimant = Objects(), Claimant("c")
    keeper = Keeper(objects)
    keeper.write(Thing(), None, 0)
    keeper.begin()
    keeper.write(Thing(), None, 0)
    keeper.write(Thing(), None, 0)
    objects.claim(claimant, 2)
    keeper.tidy()
    assert [*objects.numbers()] == [2]


def test_there_may_be_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then whoever writes tells the value as a whole."""
    monkeypatch.setattr(keepers, "MOST", 2)
    keeper = Keeper(Objects())
    with pytest.raises(TooMany):
        encode([Thing(), Thing(), Thing()], handles=keeper)
    assert len(keeper.numbers) == 2


def test_in_a_value() -> None:
    """What has a form has it as ever; what has none is a reference, wherever it stands."""
    objects, thing = Objects(), Thing()
    keeper = Keeper(objects)
    written = encode({"a": [thing, 1], "b": np.arange(2), "c": thing}, handles=keeper)
    assert keeper.numbers == [1, 1]
    back: Any = decode(sent(written), handles=lambda tree: objects.value_of(ref_of(tree).number))
    assert (back["a"], back["c"]) == ([thing, 1], thing)
