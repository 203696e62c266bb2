"""From one real process with Keras to another: the same bits afterwards, and the same objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.worker.models.moves import FUNCTIONAL

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess
    from tests.worker.models.moves import Move

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def test_a_functional_model(move: Move) -> None:
    """Its predictions are the same bits, and so is a further training: dropout, order and all."""
    here, there = move(FUNCTIONAL, "net", "trained(net, x, y)")
    assert here == there


def test_names_and_counts(move: Move) -> None:
    """Layers, variables and what is made later have the names that they would have had."""
    ask = """
[[layer.name for layer in net.layers], [v.path for v in net.variables + net.optimizer.variables],
 keras.layers.Dense(1).name, [tensor.name for tensor in net.outputs], int(net.optimizer.iterations)]
"""
    here, there = move(FUNCTIONAL, "net", ask)
    assert here == there
    assert here[0][:2] == ["given", "one"]
    assert here[4] == 10


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)", ""),
        ("keras.optimizers.RMSprop(keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5))", ""),
        ("keras.optimizers.Adam(use_ema=True, ema_overwrite_frequency=3)", ""),
        ("keras.optimizers.AdamW(gradient_accumulation_steps=2)", ""),
        ("keras.optimizers.Muon()", ""),
        ("keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.02))", ""),
        ("'sgd'", "steps_per_execution=3, jit_compile=False"),
        (
            "'adam'",
            "run_eagerly=True, weighted_metrics=[keras.metrics.SparseTopKCategoricalAccuracy(2)]",
        ),
    ],
)
def test_optimizers_and_options(move: Move, optimizer: str, options: str) -> None:
    """An optimizer moves with all that it keeps, and what a model was compiled with."""
    make = f"""
keras.utils.set_random_seed(5)
net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.BatchNormalization(),
                        keras.layers.Dense(3, activation="softmax")])
net.compile({optimizer}, keras.losses.SparseCategoricalCrossentropy(), {options})
net.fit(x, y, epochs=2, verbose=0)
"""
    ask = "[trained(net, x, y), net.steps_per_execution, net.run_eagerly, net.jit_compile]"
    here, there = move(make, "net", ask)
    assert here == there


@pytest.mark.parametrize(
    "layers",
    [
        "keras.layers.Reshape((4, 1)), keras.layers.LSTM(5, dropout=0.2), ",
        "keras.layers.Reshape((4, 1)), keras.layers.Bidirectional(keras.layers.GRU(3)), ",
        "keras.layers.Reshape((2, 2)), keras.layers.TimeDistributed(keras.layers.Dense(2)), keras.layers.Flatten(), ",
        "keras.layers.Reshape((2, 2, 1)), keras.layers.Conv2D(3, 1), keras.layers.Flatten(), ",
        "keras.layers.GaussianNoise(0.3), keras.layers.LayerNormalization(), ",
        "keras.layers.Lambda(lambda values: values * 2), ",
        "keras.layers.Dense(3, kernel_regularizer='l2', kernel_constraint='max_norm'), ",
        "keras.layers.Dense(4, dtype='mixed_bfloat16'), ",
        "keras.Sequential([keras.layers.Dense(4), keras.layers.Dropout(0.5)]), ",
    ],
)
def test_layers_of_many_kinds(move: Move, layers: str) -> None:
    """So do layers with parts, states, generators and functions of their own."""
    make = f"""
keras.utils.set_random_seed(5)
net = keras.Sequential([keras.Input((4,)), {layers} keras.layers.Dense(3, activation="softmax")])
net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
net.fit(x, y, verbose=0)
"""
    here, there = move(make, "net", "trained(net, x, y)")
    assert here == there


def test_attention_and_many_ends(move: Move) -> None:
    """A model of several inputs and outputs, by name, with a layer that is called on two tensors."""
    make = """
keras.utils.set_random_seed(5)
one, two = keras.Input((4, 2), name="one"), keras.Input((3, 2), name="two")
mixed = keras.layers.MultiHeadAttention(2, 3, dropout=0.1)(one, two)[..., 0] * 2.0 + 1
net = keras.Model({"one": one, "two": two}, {"a": keras.layers.Dense(1, name="a")(mixed),
                                             "b": keras.layers.Dense(2, name="b")(mixed)})
net.compile("adam", {"a": "mse", "b": "mae"}, metrics={"a": ["mae"]}, loss_weights={"a": 0.3, "b": 2})
given = {"one": np.ones((9, 4, 2), "float32"), "two": np.ones((9, 3, 2), "float32")}
wanted = {"a": np.ones((9, 1)), "b": np.zeros((9, 2))}
net.fit(given, wanted, verbose=0)
"""
    here, there = move(make, "net given wanted", "trained(net, given, wanted)")
    assert here == there


@pytest.mark.parametrize(
    ("make", "built"),
    [
        ("net = keras.Sequential([keras.layers.Dense(3)])", False),
        ("net = homes.Net(4)", False),
        ("net = homes.Net(4); net.compile('adam', 'mse')", False),
        ("net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])", True),
    ],
)
def test_models_not_yet_trained(move: Move, make: str, built: bool) -> None:
    """What was not built is not built, and is then built of the same random numbers."""
    ask = "[net.built, net.compiled, bits(net(x[:2])), bits(np.random.rand(2), keras.random.normal((2,)))]"
    here, there = move("keras.utils.set_random_seed(5); " + make, "net", ask)
    assert here == there
    assert here[0] is built


def test_a_model_of_an_own_class(move: Move) -> None:
    """It is made by its class of its config; layers in lists are its parts."""
    make = """
keras.utils.set_random_seed(5)
net = homes.Net(6)
net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
net.fit(x, y, verbose=0)
first, kernel, generator = net.inner[0], net.inner[0].kernel, net.inner[1].seed_generator
"""
    ask = """
[trained(net, x, y), first is net.inner[0], kernel is net.inner[0].kernel,
 generator is net.inner[1].seed_generator, type(net).__name__]
"""
    here, there = move(make, "first kernel net generator", ask)
    assert here == there
    assert here[1:] == [True, True, True, "Net"]


def test_functions_and_schedules_of_ones_own(move: Move) -> None:
    """What others can import is found by its module, though Keras would have it registered."""
    make = """
keras.utils.set_random_seed(5)
net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
net.compile(keras.optimizers.Adam(homes.Fading(0.1)), homes.distance, metrics=[homes.distance, "mae"])
net.fit(x, x[:, :3], verbose=0)
"""
    ask = "[trained(net, x, x[:, :3]), type(net.optimizer._learning_rate).__name__]"
    here, there = move(make, "net", ask)
    assert here == there
    assert here[1] == "Fading"


def test_a_functional_model_of_an_own_class(move: Move) -> None:
    """A class with a training step of its own trains by that."""
    make = (
        FUNCTIONAL
        + """
twice = homes.Twice(inputs, outputs)
twice.compile("adam", "sparse_categorical_crossentropy")
twice.fit(x, y, verbose=0)
"""
    )
    ask = "[trained(twice, x, y), type(twice).__name__, twice.layers[1] is net.layers[1]]"
    here, there = move(make, "twice net", ask)
    assert here == there
    assert here[1:] == ["Twice", True]


def test_shared_layers(move: Move) -> None:
    """Models that share layers share them afterwards, however deep they stand."""
    make = (
        FUNCTIONAL
        + """
encoder = keras.Model(inputs, hidden, name="encoder")
given = keras.Input((4,))
again = keras.Model(given, keras.layers.Dense(2)(encoder(given)))
row = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, name="row"), keras.layers.ReLU()])
middle = keras.Model(row.inputs, row.layers[0].output)
wrapped = homes.Wrapped(encoder)
wrapped(x)
tail = keras.Sequential([keras.Input((8,)), wrapped.own])
models = [again, {"net": net, "own": (row, middle)}]
models.append(models)
"""
    )
    ask = """
[encoder.layers[1] is net.layers[1], again.layers[1] is encoder, middle.layers[1] is row.layers[0],
 wrapped.body is encoder, tail.layers[0] is wrapped.own, models[0] is again, models[2] is models,
 models[1]["net"] is net, models[1]["own"][1] is middle,
 bits(*[model(x) for model in (net, encoder, again, row, middle, wrapped)], tail(np.tile(x, 2)))]
"""
    # The part comes before what it is a part of.
    here, there = move(make, "models tail middle encoder net again row wrapped", ask)
    assert here == there
    assert all(here[:-1])


def test_parts_of_a_model(move: Move) -> None:
    """What stands for a part of a model is that part afterwards, whichever comes first."""
    make = (
        FUNCTIONAL
        + """
kernel, moment = net.layers[1].kernel, net.optimizer.variables[3]
rate, layer, optimizer, loss_of = net.optimizer.learning_rate, net.layers[1], net.optimizer, net.loss
tracker, accuracy = net.metrics[0], net._compile_metrics.metrics[0]
lonely = keras.layers.Dense(2)(hidden)
"""
    )
    ask = """
extended = keras.Model(inputs, lonely)
[kernel is net.layers[1].kernel, moment is net.optimizer.variables[3], layer is net.layers[1],
 rate is net.optimizer.learning_rate, optimizer is net.optimizer, loss_of == net.loss,
 tracker is net.metrics[0], accuracy is net._compile_metrics.metrics[0],
 inputs is net.inputs[0], outputs is net.outputs[0], hidden is net.layers[2].output,
 extended.layers[1] is layer, bits(extended(x), moment, net.get_metrics_result())]
"""
    names = "moment kernel rate layer lonely outputs inputs hidden optimizer loss_of tracker accuracy net"
    here, there = move(make, names, ask)
    assert here == there
    assert all(here[:-1])


def test_batches_go_on(move: Move) -> None:
    """Metrics go on where they were: what the next batch tells is over all so far."""
    make = FUNCTIONAL + "net.train_on_batch(x[:20], y[:20])\n"
    ask = "[float(value) for value in net.train_on_batch(x[20:60], y[20:60])]"
    here, there = move(make, "net", ask)
    assert here == there


def test_frozen_layers(move: Move) -> None:
    """Each layer is trainable or not as it was, and optimizers have what they trained."""
    make = (
        FUNCTIONAL
        + """
net.layers[1].trainable = False
net.compile("adam", "sparse_categorical_crossentropy")
net.fit(x, y, verbose=0)
"""
    )
    ask = """
[[layer.trainable for layer in net.layers], [v.path for v in net.trainable_variables],
 trained(net, x, y)]
"""
    here, there = move(make, "net", ask)
    assert here == there
    assert here[0] == [True, False, True, True]


def test_nothing_is_changed(move: Move, workers: list[KerasProcess]) -> None:
    """To pack a model is no more than to look at it: it trains on as if nobody had."""
    here, there = move(FUNCTIONAL, "net", "trained(net, x, y)")
    assert here == there
    assert (
        workers[0].run("keras.backend.clear_session()\n" + FUNCTIONAL + "trained(net, x, y)")
        == here
    )


def test_what_keras_does_not_save(move: Move) -> None:
    """LoRA's two matrices, which are saved as their product, and what a recurrent layer remembers."""
    make = """
keras.utils.set_random_seed(5)
net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(6), keras.layers.Dense(3)])
net.layers[0].enable_lora(2)
net.compile("adam", "mse")
net.fit(x, x[:, :3], verbose=0)
rnn = keras.Sequential([keras.Input((4, 1), batch_size=1), keras.layers.GRU(2, stateful=True)])
rnn.predict(x[:1, :, None], verbose=0)
pair = [net, rnn]
"""
    ask = """
[[each.numpy().tolist() for each in pair[0].variables], pair[0].fit(x, x[:, :3], epochs=3, verbose=0).history,
 [each.numpy().tolist() for each in pair[0].variables],
 pair[1].predict(x[:1, :, None], verbose=0).tolist()]
"""
    here, there = move(make, "pair", ask)
    assert here == there
    assert np.abs(here[0][2]).sum() > 0
