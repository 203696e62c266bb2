from __future__ import annotations

from typing import Any

import pytest

from asyncbridge import models as keras
from asyncbridge.models.mirrors.structures import (
    ONE,
    results_of_function,
    results_of_layer,
    several,
)
from asyncbridge.models.mirrors.tensor import KerasTensor


def counted(made: Any) -> Any:
    """Return the structure of what a symbolic call gave."""
    if isinstance(made, (list, tuple)):
        return type(made)(map(counted, made))
    return type(made).__name__ if not isinstance(made, KerasTensor) else ONE


def test_several_are_a_tuple_or_a_list() -> None:
    """As Keras's own."""
    assert several(2) == (ONE, ONE)
    assert several(1, list) == [ONE]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("keras.ops.top_k", {}, several(2)),
        ("keras.ops.nn.moments", {}, several(2)),
        ("keras.ops.split", {"indices_or_sections": 3}, several(3, list)),
        ("keras.ops.numpy.split", {"indices_or_sections": [1, 4]}, several(3, list)),
        ("keras.ops.split", {"indices_or_sections": None}, None),
        ("keras.ops.unstack", {"num": 2}, several(2, list)),
        ("keras.ops.unstack", {"num": None}, None),
        ("keras.ops.meshgrid", {"x": (1, 2, 3)}, several(3, list)),
        ("keras.ops.svd", {"compute_uv": True}, several(3)),
        ("keras.ops.svd", {"compute_uv": False}, None),
        ("keras.ops.unravel_index", {"shape": (2, 3)}, several(2, list)),
        (
            "keras.ops.unique",
            {"return_index": False, "return_inverse": True, "return_counts": True},
            several(3),
        ),
        (
            "keras.ops.unique",
            {"return_index": False, "return_inverse": False, "return_counts": False},
            None,
        ),
        ("keras.ops.relu", {}, None),
        ("keras.random.split", {"indices_or_sections": 3}, None),
    ],
)
def test_what_functions_give(name: str, values: dict[str, Any], expected: object) -> None:
    """By name alone or by the arguments; None where one tensor is all that is known."""
    assert results_of_function(name, values) == expected


LSTM, GRU, RNN = keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        (LSTM(3), 1),
        (LSTM(3, return_sequences=True), 1),
        (LSTM(3, return_state=True), 3),
        (GRU(3, return_state=True), 2),
        (RNN(3, return_state=True), 2),
        (keras.layers.Bidirectional(LSTM(3)), 1),
        (keras.layers.Bidirectional(LSTM(3, return_state=True)), 5),
        (keras.layers.Bidirectional(GRU(3, return_state=True)), 3),
        (keras.layers.Bidirectional(LSTM(3), merge_mode=None), 2),
        (keras.layers.Bidirectional(GRU(3, return_state=True), merge_mode=None), 4),
    ],
)
@pytest.mark.usefixtures("no_bridge")
def test_what_recurrent_layers_give(layer: keras.Layer, count: int) -> None:
    """Outputs, then states; of both directions, the forward one's first."""
    made = layer(keras.Input((5, 2)))
    assert counted(made) == (ONE if count == 1 else several(count))


def test_what_attention_gives() -> None:
    """The call's own argument counts, wherever the layer was made."""
    attention = keras.layers.MultiHeadAttention(2, 4)
    x = keras.Input((5, 2))
    assert counted(attention(x, x)) == ONE
    assert counted(attention(x, x, return_attention_scores=True)) == several(2)


def test_what_is_not_known_is_one() -> None:
    """A layer of another kind gives one tensor, which may stand for several."""
    assert results_of_layer("RNN", {"return_state": True}, {}) is None
    assert results_of_layer("Dense", {"units": 1}, {"training": True}) is None


def test_a_subclass_gives_what_its_base_does() -> None:
    """What counts is the class in Keras, not the user's name for it."""

    class Remembering(keras.layers.LSTM):
        def __init__(self) -> None:
            super().__init__(3, return_state=True)

    assert counted(Remembering()(keras.Input((5, 2)))) == several(3)
    both = keras.layers.Bidirectional(Remembering())
    assert counted(both(keras.Input((5, 2)))) == several(5)
