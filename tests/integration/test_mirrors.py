"""What mirrors do with the real Keras, kind by kind."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytest_asyncio

import asyncbridge
from asyncbridge import models as keras

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.asyncio(loop_scope="module"),
]

ONES = np.ones((4, 3), "float32")


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def bridge() -> AsyncIterator[asyncbridge.Bridge]:
    """One worker for the file."""
    async with asyncbridge.connect() as opened:
        yield opened


def small() -> keras.Sequential:
    """Return a model of 4 parameters."""
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="last")])


# --- commands ---


async def test_functions_give_arrays() -> None:
    """Tensors come back as arrays of their dtype, structures as they are."""
    assert (await keras.ops.sum([[1.0, 2.0]], keepdims=True)).tolist() == [[3.0]]
    product = await keras.ops.einsum("ij,jk->ik", np.ones((2, 2)), np.ones((2, 3)))
    assert product.shape == (2, 3)
    values, indices = await keras.ops.top_k(np.array([1, 9, 5]), 2)
    assert (values.tolist(), indices.tolist()) == ([9, 5], [1, 2])
    assert (await keras.activations.threshold(np.arange(3.0), 1.0, 9.0)).tolist() == [9.0, 9.0, 2.0]
    assert await keras.config.floatx() == "float32"
    assert await keras.version() == keras.KERAS_VERSION


async def test_objects_are_called() -> None:
    """Losses, initializers, schedules and layers compute with arrays."""
    assert await keras.losses.MeanSquaredError()([1.0, 2.0], [3.0, 4.0]) == 4.0
    assert (await keras.initializers.Ones()(shape=(2, 2))).tolist() == [[1, 1], [1, 1]]
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.5)
    assert await schedule(10) == 0.25
    assert (await keras.layers.Flatten()(np.ones((2, 3, 4)))).shape == (2, 12)


async def test_objects_have_state() -> None:
    """What one call leaves in an object the next one finds there."""
    layer = keras.layers.Normalization()
    layer.adapt(np.arange(10.0).reshape(5, 2))
    assert np.allclose(await layer(np.array([[4.0, 5.0]])), 0)
    metric = keras.metrics.MeanAbsoluteError()
    metric.update_state([1.0, 2.0], [3.0, 5.0])
    assert await metric.result() == 2.5
    variable = keras.Variable([1.0, 2.0])
    variable.assign([3.0, 4.0])
    assert (await variable.value).tolist() == [3.0, 4.0]
    words = keras.layers.TextVectorization()
    words.adapt(["a b", "b c"])
    assert (await words.get_vocabulary())[:3] == ["", "[UNK]", "b"]


async def test_config_goes_there_and_back() -> None:
    """A mirror made of a config is the same as the one that gave it."""
    config = await keras.layers.Dense(7, name="seven").get_config()
    again = keras.layers.Dense.from_config(config)
    assert await again.get_config() == config
    assert (await again).name == "seven"


# --- models ---


async def test_weights_by_name() -> None:
    """They are told by path, and some of them may be set."""
    model = small()
    model.set_named_weights({path: [5.0] for path in await model.named_weights() if "bias" in path})
    weights = await model.named_weights()
    assert sorted(path.rpartition("/")[2] for path in weights) == ["bias", "kernel"]
    assert [values.tolist() for path, values in weights.items() if "bias" in path] == [[5.0]]


async def test_trainable_reaches_the_worker() -> None:
    """It is set in order, for a layer and for a model with all its layers."""
    model = small()
    model.layers[0].trainable = False
    assert await model.trainable_weights == []
    # On TensorFlow it changes nothing in Keras, since the model itself was trainable before.
    model.trainable = True
    assert await model.trainable_weights == []
    assert model.layers[0].trainable is False
    model.trainable = False
    model.trainable = True
    assert len(await model.trainable_weights) == 2
    assert model.layers[0].trainable is True


async def test_learning_rate_reaches_the_worker() -> None:
    """It is set in order, and told by an await."""
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.learning_rate = 0.25
    assert await optimizer.learning_rate == 0.25


async def test_layers_come_and_go() -> None:
    """``add`` and ``pop`` change the model there and here."""
    model = small()
    model.add(keras.layers.Dense(2))
    assert await model.output_shape == (None, 2)
    model.pop()
    assert await model.output_shape == (None, 1)
    assert [layer.name for layer in model.layers] == ["last"]
    assert await model.count_params() == 4


async def test_a_saved_model_comes_back(tmp_path: Path) -> None:
    """``load_model`` gives a mirror at once; its layers are known once it was awaited."""
    model = small()
    path = str(tmp_path / "small.keras")
    model.save(path)
    loaded = keras.models.load_model(path)
    with pytest.raises(RuntimeError, match="await"):
        _ = loaded.layers
    assert np.array_equal(await loaded.predict(ONES), await model.predict(ONES))
    await loaded
    assert [layer.name for layer in loaded.layers] == ["last"]
    assert (await loaded.get_layer("last").get_weights())[0].shape == (3, 1)
    missing = keras.models.load_model(str(tmp_path / "none.keras"))
    with pytest.raises(asyncbridge.RemoteError, match="File not found"):
        await missing


async def test_a_model_of_keras_is_a_layer() -> None:
    """One of ``keras.applications`` stands in a model of one's own, frozen."""
    base = keras.applications.MobileNetV2(
        weights=None, input_shape=(32, 32, 3), include_top=False, pooling="avg"
    )
    base.trainable = False
    images = keras.Input((32, 32, 3))
    model = keras.Model(images, keras.layers.Dense(2)(base(images, training=False)))
    assert len(await model.trainable_weights) == 2
    assert (await model.predict(np.ones((2, 32, 32, 3)))).shape == (2, 2)


async def test_what_a_callback_holds_is_fetched() -> None:
    """It ran in the worker, and stays there."""
    stopping = keras.callbacks.EarlyStopping(monitor="loss", patience=0, min_delta=1e9)
    model = small()
    model.compile("sgd", "mse")
    history = await model.fit(ONES, ONES[:, :1], epochs=9, callbacks=[stopping])
    assert len(history.epochs) == 2
    assert await stopping.fetch("stopped_epoch") == 1


async def test_outputs_of_a_number_that_the_worker_knows() -> None:
    """A tensor that stands for several is unpacked once it was awaited; by index at any time."""
    cell = keras.layers.LSTMCell(4)
    both = keras.layers.RNN(cell, return_state=True)(keras.Input((3, 2)))
    with pytest.raises(TypeError, match="await"):
        _, _ = both
    output, *states = await both
    assert (await output.shape, len(states)) == ((None, 4), 2)
    assert await both[1].shape == (None, 4)


async def test_a_summary_is_text_and_rows() -> None:
    """Keras's text, and the layers as data; ``print_fn`` is called here."""
    lines: list[str] = []
    summary = await small().summary(print_fn=lines.append)
    assert lines == summary.splitlines()
    assert "Total params: 4" in summary
    (row,) = summary.layers
    assert (row.name, row.type, row.output_shape, row.parameters) == (
        "last",
        "Dense",
        "(None, 1)",
        4,
    )


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed here")
async def test_a_picture_is_written_here(tmp_path: Path) -> None:
    """``plot_model`` gives the path of a PNG, or its bytes."""
    path = await keras.utils.plot_model(small(), tmp_path / "small.png", show_shapes=True)
    assert path == tmp_path / "small.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert (await keras.utils.plot_model(small(), to_file=None)).startswith(b"\x89PNG")


async def test_clear_session_leaves_the_workers_settings(bridge: asyncbridge.Bridge) -> None:
    """Errors are as short afterwards as before, and name the layer's line; nothing is printed."""
    keras.utils.clear_session()
    enabled = "import keras\nkeras.config.is_{}_enabled()"
    assert not await bridge.send(enabled.format("traceback_filtering"))
    assert not await bridge.send(enabled.format("interactive_logging"))
    with pytest.raises(asyncbridge.RemoteError) as caught:
        await small().predict(np.ones((4, 2)))
    assert "Exception encountered" not in str(caught.value)
    assert any("Dense(1, name='last') was made at" in note for note in caught.value.__notes__)


# --- what users of Keras write ---


async def test_a_model_made_of_the_middle_of_another() -> None:
    """``input`` and ``output`` of models and layers are symbolic tensors, wherever they were made."""
    base = await keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=3)
    features = keras.Model(base.input, [base.layers[3].output, base.output])
    first, last = await features.predict(np.ones((1, 32, 32, 3)))
    assert (first.ndim, last.shape) == (4, (1, 3))
    assert len(features.layers) == len(base.layers)
    head = keras.Model(base.inputs, keras.layers.Dense(2)(base.layers[-2].output))
    assert (await head.predict(np.ones((1, 32, 32, 3)))).shape == (1, 2)
    inputs = keras.Input((3,))
    small = keras.Model(inputs, keras.layers.Dense(2, name="two")(inputs))
    longer = keras.Model(small.input, keras.layers.Dense(1, name="one")(small.output))
    assert [layer.name for layer in longer.layers][1:] == ["two", "one"]
    assert (await longer.predict(ONES)).shape == (4, 1)


async def test_a_bad_request_fails_alone() -> None:
    """What only reads a model fails by itself; what changes it fails what comes behind."""
    model = small()
    model.compile("sgd", "mse")
    await model.predict(ONES)
    results: Any = await asyncio.gather(
        model.predict(ONES),
        model.predict(ONES[:, :2]),
        model.predict(ONES),
        model.evaluate(ONES, ONES[:, :1]),
        return_exceptions=True,
    )
    good, bad, again, loss = results
    assert isinstance(bad, asyncbridge.RemoteError)
    assert not isinstance(bad, asyncbridge.DependencyError)
    assert isinstance(good, np.ndarray)
    assert np.array_equal(good, again)
    assert isinstance(loss, float)


async def test_a_failed_call_that_nobody_awaits_is_named_by_its_line() -> None:
    """``fit`` says which ``compile`` it depends on, and where that stands."""
    model = small()
    model.compile("adamm")
    with pytest.raises(asyncbridge.DependencyError) as caught:
        await model.fit(ONES, ONES[:, :1])
    assert any(
        note.startswith("Sequential.compile was sent from ") and __file__ in note
        for note in caught.value.__notes__
    )


IN_THE_WORKER = """
import keras

class Linear(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.inner = keras.layers.Dense(3)
    def call(self, inputs):
        return self.inner(inputs)

class Counting(keras.callbacks.Callback):
    seen = 0
    def on_epoch_end(self, epoch, logs=None):
        self.seen += 1

class Whole(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = keras.layers.Dense(1)
    def call(self, inputs):
        return self.inner(inputs)

linear, counting, whole = Linear(), Counting(), Whole()
"""


async def test_classes_of_the_users_are_used_by_name(bridge: asyncbridge.Bridge) -> None:
    """A layer, a callback and a model that the worker made are mirrors like any other."""
    bridge.send(IN_THE_WORKER)
    linear = keras.Layer.from_binding(bridge.binding("linear"))
    inputs = keras.Input((3,))
    assert (await keras.Model(inputs, linear(inputs)).predict(ONES)).shape == (4, 3)
    counting = keras.callbacks.Callback.from_binding(bridge.binding("counting"))
    whole = keras.Model.from_binding(bridge.binding("whole"))
    whole.compile("sgd", "mse")
    await whole.fit(ONES, ONES[:, :1], epochs=2, callbacks=[counting])
    assert await counting.fetch("seen") == 2
    assert await bridge.send(f"{whole.binding}.inner.units") == 1
    stack = keras.Sequential([inputs, bridge.binding("linear")])
    assert (await stack.predict(ONES)).shape == (4, 3)


async def test_the_optimizer_is_the_models(bridge: asyncbridge.Bridge) -> None:
    """It is reached through the model, and its learning rate is set there."""
    model = small()
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 0.125
    assert await model.optimizer.learning_rate == 0.125


async def test_an_evaluation_prints_when_asked_to(bridge: asyncbridge.Bridge) -> None:
    """``verbose`` makes a line, which arrives as output; by default there is none."""
    model = small()
    model.compile("sgd", "mse")
    reader = bridge.output()
    await model.evaluate(ONES, ONES[:, :1])
    await model.evaluate(ONES, ONES[:, :1], verbose=1)
    assert "loss: " in (await anext(reader)).text


async def test_questions_about_a_symbolic_tensor_are_answered() -> None:
    """They are no nodes of the graph."""
    tensor = keras.Input((3,))
    assert await keras.ops.shape(tensor) == (None, 3)
    assert await keras.backend.is_keras_tensor(tensor) is True


async def test_paths_are_paths(tmp_path: Path) -> None:
    """A path goes as its text."""
    model = small()
    await model.save(tmp_path / "model.keras")
    loaded = await keras.models.load_model(tmp_path / "model.keras")
    assert loaded.name == (await model).name
