"""What tests of moving share: two processes with Keras, and what goes from one to the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worker.models.conftest import KerasProcess

__all__ = ["FUNCTIONAL", "Move", "mover"]

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

def distance(true, predicted):
    return keras.ops.mean(keras.ops.abs(true - predicted))

class Fading(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, step):
        return self.rate / (1.0 + keras.ops.cast(step, "float32"))

    def get_config(self):
        return {"rate": self.rate}

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

FUNCTIONAL = """
keras.utils.set_random_seed(5)
inputs = keras.Input((4,), name="given")
hidden = keras.layers.Dropout(0.3)(keras.layers.Dense(8, activation="relu", name="one")(inputs))
outputs = keras.layers.Dense(3, activation="softmax")(hidden)
net = keras.Model(inputs, outputs, name="net")
net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
net.fit(x, y, epochs=2, verbose=0)
"""


def mover(workers: list[KerasProcess], tmp_path: Path) -> Move:
    """Return what makes objects, moves them by name, and gives what both processes then say.

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
