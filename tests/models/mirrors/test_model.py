from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge import models as keras
from asyncbridge.errors import DependencyError, RemoteError
from asyncbridge.lifetime.binding import Binding

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge

ROWS = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4]]
LABELS = [[1, 0, 0], [0, 1, 0]]
HISTORY = (
    "import numpy\n(lambda history: {'history': {name: numpy.asarray(values, 'float64').tolist() "
    "for name, values in history.history.items()}, 'epoch': history.epoch, "
    "'params': history.params})(%s)"
)


async def settled(bridge: RecordingBridge, **arguments: Any) -> keras.Sequential:
    """Return a model that is in the worker, with nothing under way."""
    model = keras.Sequential([keras.layers.Dense(3)], **arguments)
    await bridge.work()
    return model


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
    model.fit(ROWS, LABELS, batch_size=1, epochs=100)
    model.evaluate(ROWS, LABELS)
    assert bridge.code() == [
        "import keras\nsequential_1 = keras.Sequential()",
        "import keras\ninputlayer_1 = keras.layers.InputLayer(shape=(4,))",
        "sequential_1.add(inputlayer_1)",
        "import keras\ndense_1 = keras.layers.Dense(16)",
        "sequential_1.add(dense_1)",
        "import keras\nactivation_1 = keras.layers.Activation('sigmoid')",
        "sequential_1.add(activation_1)",
        "import keras\ndense_2 = keras.layers.Dense(3)",
        "sequential_1.add(dense_2)",
        "import keras\nactivation_2 = keras.layers.Activation('softmax')",
        "sequential_1.add(activation_2)",
        "import keras\nadam_1 = keras.optimizers.Adam()",
        (
            "sequential_1.compile(optimizer=adam_1, loss='categorical_crossentropy', "
            "metrics=['accuracy'])"
        ),
        HISTORY % "sequential_1.fit(x_1, y_1, batch_size=1, epochs=100, verbose=0)",
        "sequential_1.evaluate(x_2, y_2, verbose=0)",
    ]


@pytest.mark.asyncio
async def test_a_list_of_layers_as_code(bridge: RecordingBridge) -> None:
    """A model from a list names its layers, which were made before it."""
    keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(16), keras.layers.Dense(3)], name="iris"
    )
    assert bridge.code() == [
        "import keras\ninput_1 = keras.Input(shape=(4,))",
        "import keras\ndense_1 = keras.layers.Dense(16)",
        "import keras\ndense_2 = keras.layers.Dense(3)",
        (
            "import keras\nsequential_1 = keras.Sequential(layers=[input_1, dense_1, dense_2], "
            "name='iris')"
        ),
    ]


# --- Sequential ---


def test_a_model_keeps_its_layers() -> None:
    """They are Keras's list: what stands for the input is not among them."""
    dense = keras.layers.Dense(3)
    assert keras.Sequential().layers == []
    assert keras.Sequential([keras.Input((4,)), dense]).layers == [dense]
    assert keras.Sequential([keras.layers.InputLayer((4,)), dense]).layers == [dense]
    assert keras.Sequential([dense]).layers == [dense]


def test_a_model_shows_facts() -> None:
    """Its repr tells the number of layers, and its name if it was given one."""
    layers = [keras.Input((4,)), keras.layers.Dense(3)]
    assert repr(keras.Sequential(layers)) == "<Sequential layers=1>"
    assert repr(keras.Sequential(layers, name="iris")) == "<Sequential layers=1 name='iris'>"


@pytest.mark.asyncio
async def test_models_are_equal_by_their_layers(bridge: RecordingBridge) -> None:
    """It counts which layers a model has, not how they came into it."""
    added = keras.Sequential()
    added.add(keras.layers.Dense(3))
    await bridge.work()
    assert added == keras.Sequential([keras.layers.Dense(3)])
    assert added != keras.Sequential([keras.layers.Dense(4)])


def test_layers_are_mirrors() -> None:
    """Anything else in the list is a TypeError at the call."""
    with pytest.raises(TypeError, match=r"Sequential\(\) argument 'layers' must be Sequence\["):
        keras.Sequential([16])  # type: ignore[list-item]  # what is tested


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
async def test_a_layers_failed_creation_fails_fit(bridge: RecordingBridge) -> None:
    """A fit that nobody should run is rejected with the layer's own error and line."""
    model = keras.Sequential([keras.layers.Dense(-1)])
    model.compile(loss="mse")
    promise = model.fit(ROWS, LABELS)
    await bridge.work({"keras.layers.Dense": RemoteError("ValueError", "units")})
    with pytest.raises(DependencyError, match="units") as caught:
        await promise
    assert caught.value.__notes__[0].startswith("keras.layers.Dense(-1) was made at ")


# --- what a model does ---


@pytest.mark.asyncio
async def test_compile_takes_mirrors_and_names(bridge: RecordingBridge) -> None:
    """Objects go by name, names and structures as literals."""
    model = await settled(bridge)
    model.compile(
        keras.optimizers.SGD(0.1),
        loss={"a": keras.losses.MeanSquaredError(), "b": "mse"},
        loss_weights={"a": 1, "b": 0.5},
        metrics=[["accuracy"], [keras.metrics.Accuracy()]],
        jit_compile=False,
    )
    assert bridge.code()[-1] == (
        "sequential_1.compile(optimizer=sgd_1, loss={'a': meansquarederror_1, 'b': 'mse'}, "
        "loss_weights={'a': 1.0, 'b': 0.5}, metrics=[['accuracy'], [accuracy_1]], "
        "jit_compile=False)"
    )


@pytest.mark.asyncio
async def test_compile_returns_a_promise_of_nothing(bridge: RecordingBridge) -> None:
    """It is fulfilled when Keras has compiled."""
    promise = (await settled(bridge)).compile()
    assert bridge.code()[-1] == "sequential_1.compile()"
    await bridge.work()
    assert await promise is None  # type: ignore[func-returns-value]  # what is tested


@pytest.mark.asyncio
async def test_rows_travel_as_arrays(bridge: RecordingBridge) -> None:
    """Lists become arrays under names of their own; arrays go as they are."""
    labels = np.array(LABELS, "float32")
    (await settled(bridge)).fit(ROWS, labels, sample_weight=[1, 2])
    x, y, weight = bridge.sent[-1].bindings.values()
    assert np.array_equal(np.asarray(x), ROWS)
    assert y is labels
    assert np.array_equal(np.asarray(weight), [1, 2])
    assert "sequential_1.fit(x_1, y_1, verbose=0, sample_weight=sample_weight_1)" in str(
        bridge.code()[-1]
    )


@pytest.mark.asyncio
async def test_fit_says_what_was_asked(bridge: RecordingBridge) -> None:
    """Validation data stay a tuple, several inputs a dict; a binding goes by its name."""
    model = await settled(bridge)
    model.fit(
        {"a": ROWS, "b": np.zeros(2)},
        Binding("labels", "eternal"),
        verbose=2,
        validation_data=(ROWS, LABELS),
        class_weight={0: 1, 1: 2.5},
        validation_freq=[1, 3],
    )
    assert bridge.code()[-1] == HISTORY % (
        "sequential_1.fit({'a': x_1, 'b': x_2}, labels, verbose=2, "
        "validation_data=(validation_data_1, validation_data_2), "
        "class_weight={0: 1.0, 1: 2.5}, validation_freq=[1, 3])"
    )


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("freq", "validated"), [(1, [2, 3, 4, 5]), (2, [3, 5]), ([3, 6], [2, 5]), (9, [])]
)
async def test_fit_promises_a_history(
    bridge: RecordingBridge, freq: int | list[int], validated: list[int]
) -> None:
    """The worker's plain data become a TrainingHistory that knows its model."""
    model = await settled(bridge)
    promise = model.fit(ROWS, LABELS, validation_freq=freq)
    raw = {"history": {"loss": [4.0, 3.0, 2.0, 1.0]}, "epoch": [2, 3, 4, 5], "params": {"steps": 2}}
    await bridge.work(value=raw)
    trained = await promise
    assert isinstance(trained, keras.TrainingHistory)
    assert trained.model is model
    assert (trained["loss"], trained.epochs) == ([4.0, 3.0, 2.0, 1.0], [2, 3, 4, 5])
    assert (trained.params, trained.validation_epochs) == ({"steps": 2}, validated)


@pytest.mark.asyncio
async def test_evaluate_and_predict(bridge: RecordingBridge) -> None:
    """Both keep quiet in the worker, and promise what Keras returns."""
    model = await settled(bridge)
    scores = model.evaluate(ROWS, LABELS, return_dict=True)
    await bridge.work(value={"loss": 0.5})
    outputs = model.predict(ROWS, batch_size=1, verbose=1)
    await bridge.work(value="array")
    assert bridge.code()[2:] == [
        "sequential_1.evaluate(x_1, y_1, verbose=0, return_dict=True)",
        "sequential_1.predict(x_2, batch_size=1, verbose=1)",
    ]
    assert await scores == {"loss": 0.5}
    assert await outputs == "array"


@pytest.mark.asyncio
async def test_summary_is_text(bridge: RecordingBridge) -> None:
    """The worker collects what Keras prints; ``print_fn`` is called here, line by line."""
    model = await settled(bridge)
    lines: list[str] = []
    promise = model.summary(line_length=60, print_fn=lines.append)
    silent = model.summary()
    assert bridge.code()[2] == (
        "(lambda lines: (sequential_1.summary(line_length=60, "
        "print_fn=lambda line, **options: lines.append(line)), '\\n'.join(lines))[1])([])"
    )
    await bridge.work(value="Model:\n dense\n")
    assert await promise == await silent == "Model:\n dense\n"
    assert lines == ["Model:", " dense"]


@pytest.mark.asyncio
async def test_weights_go_both_ways(bridge: RecordingBridge) -> None:
    """Lists become arrays, one binding each, in order."""
    model = await settled(bridge)
    kernel = np.ones((2, 3))
    model.get_weights()
    model.set_weights([kernel, [0.0, 1.0, 2.0]])
    assert bridge.code()[2:] == [
        "sequential_1.get_weights()",
        "sequential_1.set_weights([weights_1, weights_2])",
    ]
    first, second = bridge.sent[-1].bindings.values()
    assert first is kernel
    assert np.array_equal(np.asarray(second), [0.0, 1.0, 2.0])


@pytest.mark.asyncio
async def test_mistakes_are_told_at_the_call(bridge: RecordingBridge) -> None:
    """Unknown names and wrong types are TypeErrors, ragged rows a ValueError; nothing is sent."""
    model = await settled(bridge)
    before = len(bridge.sent)
    with pytest.raises(TypeError, match="unexpected keyword argument 'epoch'"):
        model.fit(ROWS, LABELS, epoch=3)  # type: ignore[call-arg]  # what is tested
    with pytest.raises(TypeError, match=r"Sequential\.fit\(\) argument 'epochs' must be int"):
        model.fit(ROWS, LABELS, epochs="3")  # type: ignore[arg-type]  # as above
    with pytest.raises(TypeError, match=r"argument 'x'.*no wire form"):
        model.predict(object())
    with pytest.raises(ValueError, match=r"Sequential\.predict\(\) argument 'x'.*equally long"):
        model.predict([[1], [1, 2]])
    assert len(bridge.sent) == before


def test_model_is_a_base() -> None:
    """It is for isinstance and annotations."""
    assert isinstance(keras.Sequential(), keras.Model)
    with pytest.raises(TypeError, match="Model is a base class"):
        keras.Model()
