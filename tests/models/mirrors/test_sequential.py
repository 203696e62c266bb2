from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge import models as keras
from asyncbridge.errors import DependencyError, RemoteError
from asyncbridge.models.mirrors.tensor import KerasTensor

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge

ROWS = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4]]
LABELS = [[1, 0, 0], [0, 1, 0]]


# --- the paper's example ---


@pytest.mark.asyncio
async def test_the_papers_example_as_code(bridge: RecordingBridge) -> None:
    """The network of sections 2 to 4, layer by layer, is the code that the paper prints."""
    model = keras.Sequential()
    model.add(keras.layers.InputLayer(shape=(4,)))
    model.add(keras.layers.Dense(16))
    model.add(keras.layers.Activation("sigmoid"))
    model.add(keras.layers.Dense(3))
    model.add(keras.layers.Activation("softmax"))
    model.compile(
        loss="categorical_crossentropy", optimizer=keras.optimizers.Adam(), metrics=["accuracy"]
    )
    bridge.tell(sequential_1={"name": "sequential", "built": True, "parameters": 131})
    await bridge.work()
    model.fit(ROWS, LABELS, batch_size=1, epochs=100)
    model.evaluate(ROWS, LABELS)
    said = [code.removeprefix("(").partition(", worker_models.state")[0] for code in bridge.said()]
    assert said == [
        "sequential_1 = keras.Sequential()",
        "inputlayer_1 = keras.layers.InputLayer(shape=(4,))",
        "sequential_1.add(inputlayer_1)",
        "dense_1 = keras.layers.Dense(16)",
        "sequential_1.add(dense_1)",
        "activation_1 = keras.layers.Activation('sigmoid')",
        "sequential_1.add(activation_1)",
        "dense_2 = keras.layers.Dense(3)",
        "sequential_1.add(dense_2)",
        "activation_2 = keras.layers.Activation('softmax')",
        "sequential_1.add(activation_2)",
        "adam_1 = keras.optimizers.Adam()",
        (
            "sequential_1.compile(optimizer=adam_1, loss='categorical_crossentropy', "
            "metrics=['accuracy'])"
        ),
        "worker_models.fit(sequential_1, x=x_1, y=y_1, batch_size=1, epochs=100, verbose=0)",
        "worker_models.evaluate(sequential_1, x=x_1, y=y_1, verbose=0)",
    ]


@pytest.mark.asyncio
async def test_a_list_of_layers_as_code(bridge: RecordingBridge) -> None:
    """A model from a list names its layers, which were made before it."""
    keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(16), keras.layers.Dense(3)], name="iris"
    )
    assert bridge.said() == [
        "kerastensor_1 = keras.Input(shape=(4,))",
        "dense_1 = keras.layers.Dense(16)",
        "dense_2 = keras.layers.Dense(3)",
        "sequential_1 = keras.Sequential(layers=[kerastensor_1, dense_1, dense_2], name='iris')",
    ]


# --- layers ---


def test_a_model_keeps_its_layers() -> None:
    """They are Keras's list: what stands for the input is not among them."""
    dense = keras.layers.Dense(3)
    assert keras.Sequential().layers == []
    assert keras.Sequential([keras.Input((4,)), dense]).layers == [dense]
    assert keras.Sequential([keras.layers.InputLayer((4,)), dense]).layers == [dense]
    assert keras.Sequential([dense]).layers == [dense]


@pytest.mark.asyncio
async def test_layers_come_and_go(bridge: RecordingBridge) -> None:
    """By ``add`` and ``pop``, at once; a pop of nothing is Keras's to refuse."""
    model = keras.Sequential()
    dense, other = keras.layers.Dense(1), keras.layers.Dense(2)
    model.add(dense)
    model.add(other, rebuild=False)
    assert [id(layer) for layer in model.layers] == [id(dense), id(other)]
    promise = model.pop()
    assert model.layers == [dense]
    assert model.get_layer(index=0) is dense
    model.pop()
    model.pop()
    assert model.layers == []
    assert bridge.said(3)[:3] == [
        "(sequential_1.add(dense_1), worker_models.state(sequential_1, dense_1))",
        (
            "(sequential_1.add(dense_2, rebuild=False), "
            "worker_models.state(sequential_1, dense_1, dense_2))"
        ),
        "sequential_1.pop()",
    ]
    await bridge.work()
    assert await promise is None  # type: ignore[func-returns-value]  # what is tested


def test_layers_are_mirrors() -> None:
    """Anything else in the list is a TypeError at the call."""
    with pytest.raises(TypeError, match=r"Sequential\(\) argument 'layers' must be Sequence\["):
        keras.Sequential([16])  # type: ignore[list-item]  # what is tested


@pytest.mark.asyncio
async def test_models_are_equal_by_their_layers(bridge: RecordingBridge) -> None:
    """It counts which layers a model has, not how they came into it."""
    added = keras.Sequential()
    added.add(keras.layers.Dense(3))
    await bridge.work()
    assert added == keras.Sequential([keras.layers.Dense(3)])
    assert added != keras.Sequential([keras.layers.Dense(4)])
    assert hash(added) == hash(keras.Sequential())


@pytest.mark.asyncio
async def test_a_failed_add_leaves_the_model_usable(bridge: RecordingBridge) -> None:
    """Once its error was seen, the bad layer is gone, and the model goes on without it."""
    model = keras.Sequential([keras.layers.Dense(1)])
    await bridge.work()
    promise = model.add(keras.layers.Dropout(2.0))
    await bridge.work({"keras.layers.Dropout": RemoteError("ValueError", "no rate")})
    with pytest.raises(DependencyError) as caught:
        await promise
    assert caught.value.__notes__[0].startswith("keras.layers.Dropout(2.0) was made at ")
    assert model.layers == [keras.layers.Dense(1)]
    model.add(keras.layers.Dense(2))
    assert [p.command_id for p in bridge.sent[-1].after] == [bridge.sent[-2].id]


@pytest.mark.asyncio
async def test_one_that_the_worker_made_tells_its_layers(bridge: RecordingBridge) -> None:
    """They are known once it is there, and named in it when they are used."""
    model = keras.Sequential.from_config({"layers": []})
    with pytest.raises(RuntimeError, match=r"are known once the worker has made it: `await` it"):
        _ = model.layers
    bridge.tell(sequential_1={"name": "s", "built": False, "parameters": None, "layers": ["a"]})
    await bridge.work()
    assert [layer.arguments for layer in model.layers] == [{}]
    model.layers[0].get_weights()
    assert bridge.said(1)[0] == "layer_1 = sequential_1.get_layer(name='a')"


# --- as a layer ---


@pytest.mark.asyncio
async def test_it_is_called_like_a_layer(bridge: RecordingBridge) -> None:
    """It gives one tensor."""
    model = keras.Sequential([keras.layers.Dense(1)])
    made = model(keras.Input((4,)))
    assert type(made) is KerasTensor
    assert bridge.said(3) == ["kerastensor_2 = sequential_1(kerastensor_1)"]


@pytest.mark.asyncio
async def test_a_build_tells_of_its_layers(bridge: RecordingBridge) -> None:
    """Their weights come with the model's."""
    model = keras.Sequential([keras.layers.Dense(1)])
    model.build((None, 4))
    bridge.tell(dense_1={"name": "dense", "built": True, "parameters": 5})
    await bridge.work()
    assert model.layers[0].built


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_bridge")
async def test_a_description_is_made_with_its_layers(other_bridge: RecordingBridge) -> None:
    """Layers first, each in its place, and then the model."""
    last = keras.layers.Dense(2)
    model = keras.Sequential([keras.layers.Dense(1), last])
    with other_bridge.current():
        model.count_params()
    assert other_bridge.said() == [
        "dense_1 = keras.layers.Dense(2)",
        "dense_2 = keras.layers.Dense(1)",
        "sequential_1 = keras.Sequential(layers=[dense_2, dense_1])",
        "worker_models.plain(sequential_1.count_params())",
    ]
