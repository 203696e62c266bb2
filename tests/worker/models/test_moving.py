"""From one real process with Keras to another: the same bits afterwards, and the same objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

START = """
import base64, hashlib, pathlib, sys
import orjson
import keras, numpy as np, tensorflow as tf
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode
from asyncbridge.worker.moving import pack, unpack

def save(path, **things):
    data = pack(things)
    payload = encode(data)
    buffers = [base64.b64encode(part).decode() for part in payload.buffers]
    pathlib.Path(path).write_bytes(orjson.dumps([payload.header, buffers]))
    return data["lost"]

def load(path):
    header, buffers = orjson.loads(pathlib.Path(path).read_bytes())
    buffers = tuple(map(base64.b64decode, buffers))
    return unpack(decode(Payload(header=header, buffers=buffers)))

def bits(*parts):
    digest = hashlib.sha256()
    for part in parts:
        for leaf in keras.tree.flatten(part):
            array = np.asarray(keras.ops.convert_to_numpy(leaf))
            digest.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()

def trained(model, x, y, epochs=2):
    before = model.predict(x, verbose=0)
    history = model.fit(x, y, epochs=epochs, verbose=0).history
    return bits(before, [history[name] for name in sorted(history)], model.variables,
                model.optimizer.variables, model.predict(x, verbose=0))

x = np.arange(600, dtype="float32").reshape(150, 4) / 600
y = np.arange(150) % 3
"""

MODULE = """
import keras

class Net(keras.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.inner = [keras.layers.Dense(units), keras.layers.Dropout(0.4)]
        self.head = keras.layers.Dense(3, activation="softmax")

    def call(self, inputs, training=False):
        for layer in self.inner:
            inputs = layer(inputs, training=training) if "drop" in layer.name else layer(inputs)
        return self.head(inputs)

    def get_config(self):
        return {**super().get_config(), "units": self.units}

class Wrapped(keras.Model):
    def __init__(self, body, **kwargs):
        super().__init__(**kwargs)
        self.body, self.own = body, keras.layers.Dense(1)

    def call(self, inputs):
        return self.own(self.body(inputs))

    def get_config(self):
        return {**super().get_config(), "body": self.body}

    @classmethod
    def from_config(cls, config):
        body = keras.saving.deserialize_keras_object(config.pop("body"))
        return cls(body, **config)

class Twice(keras.Model):
    def train_step(self, data):
        super().train_step(data)
        return super().train_step(data)

class Stubborn(Net):
    def compile(self, rate, **kwargs):
        super().compile(optimizer="sgd", loss="sparse_categorical_crossentropy", **kwargs)

class Duel(Net):
    def compile(self, first, second):
        super().compile(optimizer=first, loss="sparse_categorical_crossentropy")
        self.second = second

    def train_step(self, data):
        logs = super().train_step(data)
        self.second.apply([v * 0 + 1.0 for v in self.trainable_variables], self.trainable_variables)
        return logs

    def get_compile_config(self):
        return {"first": self.optimizer, "second": self.second}

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))

class Rival(Net):
    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.second = keras.optimizers.Adam(0.5)

class Forgetful(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.extra = None

    def call(self, inputs):
        return inputs
"""

Move = Callable[..., tuple[Any, Any]]


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[KerasProcess]]:
    """Return a process and its successor: not the one of all tests, whose names stay as they are."""
    processes = [KerasProcess(tmp_path_factory.mktemp("moving") / "stderr") for _ in range(2)]
    yield processes
    for process in processes:
        process.close()


@pytest.fixture
def move(workers: list[KerasProcess], tmp_path: Path) -> Move:
    """Return what makes objects, moves them by name, and gives what both then say.

    The code that asks runs in the first process after the objects were packed. ``lost`` is in the
    second what has not come.
    """
    worker, successor = workers
    file = tmp_path / "moved"
    (tmp_path / "homes.py").write_text(MODULE)
    setup = START + (
        f"sys.path.insert(0, {str(tmp_path)!r})\nsys.modules.pop('homes', None)\nimport homes\n"
    )

    def run(make: str, names: str, ask: str) -> tuple[Any, Any]:
        things = ", ".join(f"{name}={name}" for name in names.split())
        worker.run(setup + "keras.backend.clear_session()\n" + make + "\nNone")
        worker.run(f"lost = save({str(file)!r}, {things})")
        successor.run(
            setup
            + "keras.utils.set_random_seed(99)\n"
            + f"made, lost = load({str(file)!r})\n"
            + f"for name in {names.split()!r}: globals().pop(name, None)\n"
            + "globals().update(made)"
        )
        return worker.run(ask), successor.run(ask)

    return run


FUNCTIONAL = """
keras.utils.set_random_seed(5)
inputs = keras.Input((4,), name="given")
hidden = keras.layers.Dropout(0.3)(keras.layers.Dense(8, activation="relu", name="one")(inputs))
outputs = keras.layers.Dense(3, activation="softmax")(hidden)
net = keras.Model(inputs, outputs, name="net")
net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
net.fit(x, y, epochs=2, verbose=0)
"""


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


def test_an_optimizer_beside_the_compiled_one(move: Move) -> None:
    """An optimizer that is a model's attribute is so afterwards, with its state."""
    make = """
net = homes.Rival(4)
net(x)
net.second.build(net.trainable_variables)
net.second.apply([v * 0 + 1 for v in net.trainable_variables])
second = net.second
"""
    ask = "[second is net.second, bits(second.variables, net.variables), int(second.iterations)]"
    here, there = move(make, "second net", ask)
    assert here == there
    assert here[0] is True
    assert here[2] == 1


def test_a_compile_of_its_own(move: Move) -> None:
    """A class that says how it is compiled is compiled so, and has the same optimizers."""
    make = """
keras.utils.set_random_seed(5)
net = homes.Duel(4)
net.compile(keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.01))
net.fit(x, y, verbose=0)
first, second = net.optimizer, net.second
"""
    ask = (
        "[first is net.optimizer, second is net.second, trained(net, x, y), bits(second.variables)]"
    )
    here, there = move(make, "second first net", ask)
    assert here == there
    assert here[:2] == [True, True]


def test_objects_on_their_own(move: Move) -> None:
    """Layers, optimizers, metrics and the like move alone, built ones with their values."""
    make = """
keras.utils.set_random_seed(5)
layer = keras.layers.Dense(3); layer.build((None, 4))
plain = keras.layers.Conv2D(3, 2)
optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 10))
metric = keras.metrics.AUC(); metric.update_state([0, 1, 1], [0.2, 0.6, 0.1])
loss = keras.losses.Huber(delta=2.0)
initializer = keras.initializers.HeNormal(seed=3)
generator = keras.random.SeedGenerator(4); generator.next()
policy = keras.DTypePolicy("mixed_float16")
words = keras.layers.StringLookup(); words.adapt(["b", "a", "b"])
scaled = keras.layers.Normalization(); scaled.adapt(x)
history = keras.callbacks.History(); history.history = {"loss": [1.0]}; history.epoch = [0]
mse, dense = keras.losses.mean_squared_error, keras.layers.Dense
spec = keras.KerasTensor((None, 2), name="free")
"""
    names = (
        "layer plain optimizer metric loss initializer generator policy words scaled history mse "
        "dense spec"
    )
    ask = """
[bits(layer(x)), bits(metric.result()), bits(loss([1.0], [9.0])), bits(initializer((2, 2))),
 bits(generator.next()),
 plain.built, plain.get_config(), optimizer.get_config(), policy.name, bits(scaled(x)),
 words(["a", "b", "c"]).numpy().tolist(), words.get_vocabulary(), history.history,
 mse is keras.losses.mean_squared_error, dense is keras.layers.Dense, spec.shape, spec.name]
"""
    here, there = move(make, names, ask)
    assert here == there


def test_tensors(move: Move) -> None:
    """Tensors and variables come back as what they were, in lists and dicts, too."""
    make = """
tensor = tf.constant([[1, 2], [3, 4]], "int16")
small = tf.cast([1.5, 2.5], "bfloat16")
text = tf.constant([b"a", b"bc"])
variable = tf.Variable([1.0, 2.0], name="v", trainable=False)
sparse = tf.SparseTensor([[0, 1], [2, 0]], [3.0, 4.0], (3, 4))
ragged = tf.ragged.constant([[1, 2], [], [3]])
weight = keras.Variable([1.0, 2.0], name="w")
both = [tensor, {"weight": weight, "array": x}, (variable,)]
"""
    ask = """
shown = [type(t).__name__ for t in (tensor, small, text, variable, sparse, ragged, weight)]
[shown, bits(tensor, variable, tf.sparse.to_dense(sparse), weight), ragged.to_list(),
 small.numpy().astype(float).tolist(), small.dtype.name, [b.decode() for b in text.numpy().tolist()],
 variable.name, variable.trainable, weight.name,
 both[0] is tensor, both[1]["weight"] is weight, both[1]["array"] is x, both[2][0] is variable]
"""
    here, there = move(make, "tensor small text variable sparse ragged weight both x", ask)
    assert here == there
    assert all(here[-4:])


def test_settings(move: Move) -> None:
    """What was set for the process holds in the next one, and random numbers go on."""
    make = """
import random
keras.utils.set_random_seed(8)
keras.config.set_dtype_policy("mixed_bfloat16")
keras.config.set_epsilon(1e-5)
keras.config.set_image_data_format("channels_first")
keras.random.uniform((1,)); tf.random.uniform((1,)); random.random(); np.random.rand()
"""
    ask = """
import random
found = [keras.config.dtype_policy().name, keras.config.epsilon(), keras.config.image_data_format(),
         keras.utils.get_random_seed() if hasattr(keras.utils, "get_random_seed") else None,
         bits(keras.random.uniform((2,)), tf.random.uniform((2,))), random.random(), np.random.rand()]
keras.config.set_dtype_policy("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")
found
"""
    here, there = move(make, "x", ask)
    assert here == there
    assert here[:3] == ["mixed_bfloat16", 1e-5, "channels_first"]


def test_what_is_lost(move: Move) -> None:
    """Each thing that cannot move is lost for a reason of its own, and nothing else is."""
    make = (
        FUNCTIONAL
        + """
class Own(keras.layers.Layer):
    def call(self, inputs):
        return inputs
own = Own()
uses = keras.Sequential([keras.Input((4,)), Own()])
loss = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
loss.compile("sgd", lambda wanted, given: given)
stubborn = homes.Stubborn(3)
stubborn.compile(rate=1)
stubborn(x)
forgetful = homes.Forgetful()
forgetful.extra = keras.layers.Dense(1)
orphan = keras.optimizers.SGD(momentum=0.9)
orphan.build([keras.Variable([1.0])])
compiled = net.metrics[1]
holder = [1, {"deep": own}]
group = {keras.optimizers.SGD}
factor = object()
closed = keras.layers.Lambda((lambda factor: lambda values: values * (factor is None))(factor))
"""
    )
    names = "own uses loss stubborn forgetful orphan compiled holder group closed net"
    ask = "[sorted(lost), {name: text[:300] for name, text in lost.items()}]"
    here, there = move(make, names, ask)
    assert there[0] == sorted(set(names.split()) - {"net"})
    reasons = there[1]
    assert "was made by a command: define it in a module" in reasons["own"]
    assert "was made by a command" in reasons["uses"]
    assert "was made by a command" in reasons["loss"]
    assert "define get_compile_config() and compile_from_config()" in reasons["stubborn"]
    assert "made of its get_config()" in reasons["forgetful"]
    assert "trains a model that nothing here refers to any more" in reasons["orphan"]
    assert "take it from model.metrics again" in reasons["compiled"]
    assert reasons["holder"].startswith("item 1 of it: 'deep' of it: <class ")
    assert "has no wire form: register it with asyncbridge.serializable" in reasons["group"]
    # All but one are known before the first process is given up.
    assert set(here[0]) == set(there[0]) - {"forgetful"}


def test_what_is_shared_and_cannot_be(move: Move) -> None:
    """Where a class makes its layers itself, another's are not silently taken for them."""
    make = """
one, two = homes.Net(3), homes.Net(3)
one(x)
two.inner, two.units = one.inner, one.units
two(x)
"""
    _, there = move(make, "one two", "[sorted(lost), lost.get('two'), one.built]")
    assert there[0] == ["two"]
    assert "does not share them" in there[1]
    assert there[2] is True


def test_nothing_is_changed(move: Move, workers: list[KerasProcess]) -> None:
    """To pack a model is no more than to look at it: it trains on as if nobody had."""
    here, there = move(FUNCTIONAL, "net", "trained(net, x, y)")
    assert here == there
    assert (
        workers[0].run("keras.backend.clear_session()\n" + FUNCTIONAL + "trained(net, x, y)")
        == here
    )
