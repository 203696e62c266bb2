from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import asyncbridge
from asyncbridge import models as keras
from asyncbridge.models.mirrors.graph import layers_between as found_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.models.conftest import RecordingBridge

layers, ops = keras.layers, keras.ops


def layers_between(inputs: object, outputs: object) -> list[keras.Layer | None]:
    """Return the layers of a graph that is known here."""
    found = found_between(inputs, outputs)
    assert found is not None
    return found


def shared() -> keras.Model:
    """One layer that is called at two depths."""
    x, dense = keras.Input((4,)), layers.Dense(4)
    deep = dense(layers.Dense(4)(dense(x)))
    return keras.Model(x, layers.Concatenate()([deep, dense(x)]))


def many() -> keras.Model:
    """Three inputs, not in the order of their use, and two outputs."""
    a, b, c = keras.Input((4,)), keras.Input((4,)), keras.Input((4,))
    joined = layers.Concatenate()([layers.Dense(2)(c), layers.Dense(3)(a)])
    late = layers.Add()([joined, layers.Dense(5)(b)])
    return keras.Model([a, b, c], [layers.Dense(1)(late), layers.Dense(2)(joined)])


def named() -> keras.Model:
    """Inputs and outputs in dicts."""
    inputs = {"b": keras.Input((4,), name="b"), "a": keras.Input((3,), name="a")}
    joined = layers.Concatenate()([inputs["a"], inputs["b"]])
    outputs = {"z": layers.Dense(1)(joined), "y": layers.Dense(2)(joined)}
    return keras.Model(inputs, outputs)


def functions() -> keras.Model:
    """Functions that make layers of their own."""
    x = keras.Input((4,))
    left, right = layers.Dense(3)(x), layers.Dense(3)(x)
    total = layers.add([left, right])
    return keras.Model(x, layers.concatenate([total, layers.multiply([left, total])]))


def nested() -> keras.Model:
    """A model, a sequence and a layer around a layer, each called as a layer."""
    x = keras.Input((4,))
    inner = keras.Model(x, layers.Dense(4)(x))
    stack = keras.Sequential([layers.Dense(4), layers.Dropout(0.5)])
    y = keras.Input((4,))
    return keras.Model(y, layers.Add()([stack(inner(y)), inner(stack(y))]))


def operators() -> keras.Model:
    """Operators, functions and indices between the layers."""
    x = keras.Input((4,))
    left = layers.Dense(4)(x) * 2 + ops.relu(layers.Dense(4)(x))
    return keras.Model(x, layers.Dense(1)(left[:, 1:3] - layers.Dense(2)(x)))


def unused() -> keras.Model:
    """An input that leads nowhere, before and after one that does."""
    a, b, c = keras.Input((4,)), keras.Input((4,)), keras.Input((4,))
    return keras.Model([a, b, c], layers.Dense(1)(layers.Dense(2)(b)))


def middle() -> keras.Model:
    """It begins in the middle of a larger graph."""
    x = keras.Input((4,))
    hidden = layers.Dense(4)(layers.Dense(3)(x))
    return keras.Model(hidden, layers.Dense(2)(ops.relu(hidden)))


def several() -> keras.Model:
    """A layer that gives several results, of which one is used twice."""
    x = keras.Input((5, 2))
    output, h, c = layers.LSTM(3, return_state=True)(x)
    joined = layers.Concatenate()([output, layers.Dense(2)(h), h])
    return keras.Model(x, [joined, layers.Dense(1)(c)])


def residual() -> keras.Model:
    """Blocks that jump over themselves."""
    x = keras.Input((8,))
    y: Any = x
    for _ in range(3):
        y = layers.Add()([layers.Dense(8)(layers.LayerNormalization()(y)), y])
    return keras.Model(x, y)


def parts() -> keras.Model:
    """A result that is split, and put together in another order."""
    first, second = ops.split(layers.Dense(6)(keras.Input((4,))), 2, axis=1)
    start = first._node.inputs[0]._node.inputs[0]
    return keras.Model(
        start, layers.Concatenate()([layers.Dense(1)(second), layers.Dense(2)(first)])
    )


def by_name() -> keras.Model:
    """Tensors as named arguments, not in the order of their names."""
    x = keras.Input((5, 4))
    value, query = layers.Dense(4)(x), layers.Dense(4)(x)
    attention = layers.MultiHeadAttention(2, 4)
    return keras.Model(x, layers.Flatten()(attention(value=value, query=query, key=x)))


def between() -> keras.Model:
    """It begins with an input and with one of several results, which is used twice."""
    x, other = keras.Input((5, 2)), keras.Input((3,))
    _, h, _ = layers.LSTM(3, return_state=True)(x)
    joined = layers.Concatenate()([layers.Dense(2)(h), layers.Dense(3)(other), h])
    return keras.Model([other, h], [joined, layers.Dense(1)(h)])


def twice() -> keras.Model:
    """A layer that gives an output of its own, and a part of another one."""
    a, b = keras.Input((4,)), keras.Input((4,))
    dense, other = layers.Dense(4), layers.Dense(3)
    return keras.Model([a, b], [dense(a), layers.Concatenate()([other(a), dense(b)])])


GRAPHS: list[Callable[[], keras.Model]] = [
    shared, many, named, functions, nested, operators, unused, middle, several, residual, parts,
    by_name, between, twice,
]  # fmt: skip


def kinds(model: keras.Model) -> list[str]:
    """Return the classes of a model's layers."""
    return [type(layer).__name__ for layer in model.layers]


def ids(objects: Iterable[object]) -> list[int]:
    """Return what tells objects apart that may be equal."""
    return list(map(id, objects))


@pytest.mark.usefixtures("no_bridge")
@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (shared, ["InputLayer", "Dense", "Dense", "Concatenate"]),
        (middle, ["Layer", "Dense"]),
        (unused, ["InputLayer", "Dense", "InputLayer", "InputLayer", "Dense"]),
        (functions, ["InputLayer", "Dense", "Dense", "Layer", "Layer", "Layer"]),
        (nested, ["InputLayer", "Model", "Sequential", "Add"]),
        (operators, ["InputLayer", "Dense", "Dense", "Dense", "Dense"]),
    ],
)
def test_layers_are_known_without_a_bridge(
    graph: Callable[[], keras.Model], expected: list[str]
) -> None:
    """They stand in Keras's order, inputs included, functions and operators not."""
    assert kinds(graph()) == expected


@pytest.mark.usefixtures("no_bridge")
def test_layers_are_those_that_were_made() -> None:
    """The very objects, each once, however often they are called."""
    x, dense = keras.Input((4,)), layers.Dense(4)
    found = layers_between(x, dense(dense(x)))
    assert len(found) == 2
    assert found[1] is dense


@pytest.mark.usefixtures("no_bridge")
def test_an_inputs_layer_is_one() -> None:
    """Two models of the same input share it."""
    x = keras.Input((4,))
    first, second = keras.Model(x, layers.Dense(1)(x)), keras.Model(x, layers.Dense(2)(x))
    assert first.layers[0] is second.layers[0]


@pytest.mark.asyncio
async def test_an_inputs_layer_is_named_when_it_is_used(bridge: RecordingBridge) -> None:
    """Until then nothing is sent for it."""
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dense(1)(x))
    count = len(bridge.sent)
    first = model.layers[0]
    assert len(bridge.sent) == count
    first.fetch("name")
    assert bridge.said(count) == [
        "inputlayer_1 = kerastensor_1._keras_history.operation",
        "worker_models.plain(inputlayer_1.name)",
    ]


@pytest.mark.usefixtures("no_bridge")
def test_a_shared_layer_stands_where_it_is_farthest() -> None:
    """From the outputs: one of its calls may be an output itself."""
    model = twice()
    dense = model.arguments["outputs"][0]._node.operation  # type: ignore[index]  # a list
    assert [layer is dense for layer in model.layers] == [False, False, True, False, False]


@pytest.mark.usefixtures("no_bridge")
def test_names_are_walked_in_their_order() -> None:
    """Keras sorts the keys of dicts, and the names of a call's arguments."""
    x = keras.Input((5, 4))
    value, query = layers.Dense(4)(x), layers.Dense(4)(x)
    attention = layers.MultiHeadAttention(2, 4)(value=value, query=query)
    by_name = [query._node.operation, value._node.operation]
    assert ids(layers_between(x, attention)[1:3]) == ids(by_name)
    assert ids(layers_between(x, {"b": value, "a": query})[1:]) == ids(by_name)
    assert ids(layers_between(x, [value, query])[1:]) == ids(reversed(by_name))


@pytest.mark.usefixtures("no_bridge")
def test_a_deep_graph_is_no_deep_recursion() -> None:
    """A thousand layers in a row are found, first to last."""
    x = keras.Input((4,))
    made = [layers.Dense(4) for _ in range(1_000)]
    y: Any = x
    for layer in made:
        y = layer(y)
    assert ids(layers_between(x, y)[1:]) == ids(made)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.asyncio
async def test_the_order_is_that_of_the_real_keras() -> None:
    """Of all these graphs, the layers are the worker's own, one by one."""
    async with asyncbridge.connect():
        for graph in GRAPHS:
            model = await graph()
            names = [await layer.fetch("name") for layer in model.layers]
            assert names == model._facts["layers"], graph.__name__


@pytest.mark.usefixtures("no_bridge")
def test_a_graph_of_the_workers_is_not_known() -> None:
    """What a model of the worker's gives leads to no layers here."""
    base = keras.applications.VGG16(weights=None)
    assert found_between(base.input, layers.Dense(2)(base.output)) is None
