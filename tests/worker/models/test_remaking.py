from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.worker.models.moves import FUNCTIONAL

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess
    from tests.worker.models.moves import Move

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


START = """
from asyncbridge.worker.moving import pack, unpack
"""


def test_data_may_be_used_twice(worker: KerasProcess) -> None:
    """To make objects leaves the data as it was; test_moving.py has all that can be made."""
    assert worker.run(
        START
        + """
model = classifier(metrics=["accuracy"])
model.fit(x, y, verbose=0)
data = pack({"model": model})
(one, none), (two, _) = unpack(data), unpack(data)
[none, one["model"] is two["model"],
 np.array_equal(one["model"].predict(x, verbose=0), two["model"].predict(x, verbose=0))]
"""
    ) == [{}, False, True]


def test_a_class_that_has_changed(worker: KerasProcess) -> None:
    """Where a class makes other weights by now, its object is lost, and says what is wrong."""
    made, lost = worker.run(
        START
        + """
layer, fine = keras.layers.Dense(3), keras.layers.Dense(2)
layer.build((None, 4)); fine.build((None, 4))
data = pack({"layer": layer, "fine": fine})
data["records"][0]["config"]["own"]["use_bias"] = False
made, lost = unpack(data)
[sorted(made), lost]
"""
    )
    assert made == ["fine"]
    assert set(lost) == {"layer"}


def test_a_part_that_is_not_there(worker: KerasProcess) -> None:
    """A part is refused where its owner has another in its place."""
    made, lost = worker.run(
        START
        + """
inner = keras.layers.Dense(2)
outer = keras.layers.TimeDistributed(inner)
data = pack({"inner": inner, "outer": outer})
for record in data["records"]:
    if record["kind"] == "keras.part":
        record["type"] = "other.Layer"
made, lost = unpack(data)
[sorted(made), lost]
"""
    )
    assert made == []
    assert "the config has to say all that it is made of" in lost["inner"]


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
