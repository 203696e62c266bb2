from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from asyncbridge.errors import SerializationError
from asyncbridge.serialization import encode, registry


class Tensor:
    def __init__(self, content: object) -> None:
        self.content = content


def convert(tensor: Tensor) -> object:
    """Return what stands for a tensor."""
    if tensor.content is None:
        raise registry.Unfit("an empty tensor")
    if tensor.content is ...:
        raise OSError("the device is gone")
    return tensor.content


@pytest.fixture(autouse=True)
def tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn tensors into their content, for a test."""
    monkeypatch.setattr(registry, "_converters", [])
    registry.add_converter(lambda kind: convert if kind is Tensor else None)


def test_a_converted_object_comes_back_as_what_it_became(wire: Callable[[object], Any]) -> None:
    """The array, not the tensor; and one array where the tensor stood twice."""
    tensor = Tensor(np.arange(3))
    one, other = wire([tensor, {"a": tensor}])[0], wire([Tensor(1)])[0]
    assert one.tolist() == [0, 1, 2]
    assert other == 1
    value = [tensor, tensor]
    assert len(encode(value).buffers) == 1
    first, second = wire(value)
    assert first is second


def test_a_finder_is_added_once() -> None:
    """A worker may be set up twice in one process, as in tests."""

    def find(kind: type) -> None:
        return None

    registry.add_converter(find)
    registry.add_converter(find)
    assert registry._converters.count(find) == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, r"^value\[0\]: an empty tensor"),
        (..., r"^value\[0\]: object of type Tensor cannot be turned into an array: the device"),
        ([object()], r"^value\[0\]<Tensor>\[0\]: object of type object"),
    ],
)
def test_what_cannot_be_converted_is_refused(content: object, text: str) -> None:
    """With the place, whatever went wrong."""
    with pytest.raises(SerializationError, match=text):
        encode([Tensor(content)])


def test_a_tensor_that_holds_itself_is_refused() -> None:
    """However it is converted, the depth is counted."""
    tensor = Tensor(0)
    tensor.content = [tensor]
    with pytest.raises(SerializationError, match="cyclic value"):
        encode(tensor)
