from __future__ import annotations

import json

import numpy as np
import pytest

from asyncbridge.worker.packing import Packing
from asyncbridge.worker.records import Unmovable


def test_items() -> None:
    """A scalar stands for itself, another object is a number, and always the same."""
    packing, array = Packing(), np.zeros(2)
    assert packing.item("text") == "text"
    assert packing.item(array) == packing.item(array) == (0,)
    assert packing.number_of(id(array)) == 0
    assert packing.records == [{"kind": "data", "value": array}]


def test_long_lists_are_one_record() -> None:
    """A list of scalars has no items to look up."""
    packing = Packing()
    assert packing.ref([1.5] * 3) == (0,)
    assert packing.records == [{"kind": "list", "plain": [1.5] * 3}]


def test_a_refusal_is_remembered() -> None:
    """What was refused once is refused with the same words, and its place stays empty."""
    packing, thing = Packing(), object()
    texts = []
    for _ in range(2):
        with pytest.raises(Unmovable) as caught:
            packing.ref([thing])
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
    assert packing.records[0] is None
    assert packing.number_of(id(thing)) is None


def test_names() -> None:
    """A function that another process can import moves by its name."""
    packing = Packing()
    packing.ref(json.JSONDecoder.decode)
    name = {"kind": "name", "module": "json.decoder", "name": "JSONDecoder.decode"}
    assert packing.records == [name]


@pytest.mark.parametrize(
    "thing", [np.mean, np.add, np.sqrt, np.random.default_rng, np.float32, len]
)
def test_what_others_can_import(thing: object) -> None:
    """It moves by its name, of whatever type it is."""
    packing = Packing()
    packing.ref(thing)
    assert packing.records[0] is not None
    assert packing.records[0]["kind"] == "name"


def test_a_method_of_an_object() -> None:
    """It does not move without that, and was made by nobody."""
    with pytest.raises(Unmovable, match="is a method of an object"):
        Packing().ref([].append)
