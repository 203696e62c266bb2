from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

NET = """
net = keras.Sequential([
    keras.Input((4,)), keras.layers.Dense(2, name="one"), keras.layers.Dense(3, name="two"),
], name="net")
"""


def test_names(worker: KerasProcess) -> None:
    """Weights have the names of Keras's paths, in its order."""
    assert worker.run(
        NET + "[[n, w.shape] for n, w in worker_models.named_weights(net).items()]"
    ) == [
        ["net/one/kernel", [4, 2]],
        ["net/one/bias", [2]],
        ["net/two/kernel", [2, 3]],
        ["net/two/bias", [3]],
    ]


def test_set_some(worker: KerasProcess) -> None:
    """The named weights are set, and the others stay; lists will do."""
    assert worker.run(
        NET
        + """
before = worker_models.named_weights(net)
worker_models.set_named_weights(net, {"net/two/bias": [1, 2, 3], "net/one/kernel": np.ones((4, 2))})
after = worker_models.named_weights(net)
[
    after["net/two/bias"].tolist(), after["net/one/kernel"].sum().item(),
    np.array_equal(after["net/two/kernel"], before["net/two/kernel"]),
]
"""
    ) == [[1.0, 2.0, 3.0], 8.0, True]


def test_a_path_that_comes_again(worker: KerasProcess) -> None:
    """Weights of one path are told apart by a number, and set by it."""
    assert worker.run("""
class Twins(keras.Model):
    def __init__(self):
        super().__init__()
        self.parts = [keras.layers.Dense(1, name="d"), keras.layers.Dense(1, name="d")]
        for part in self.parts:
            part.build((None, 1))
twins = Twins()
worker_models.set_named_weights(twins, {"d/bias#2": [5]})
[list(worker_models.named_weights(twins)), float(twins.parts[1].bias[0])]
""") == [["d/kernel", "d/bias", "d/kernel#2", "d/bias#2"], 5.0]


def test_an_optimizer(worker: KerasProcess) -> None:
    """The variables of an optimizer have names, too."""
    assert worker.run("list(worker_models.named_weights(keras.optimizers.SGD(name='sgd')))") == [
        "sgd/iteration",
        "sgd/learning_rate",
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            "{'net/one/bias': np.ones(2), 'net/one/kernle': 1}",
            (
                "there is no weight 'net/one/kernle' of Sequential 'net': "
                "do you mean 'net/one/kernel'"
            ),
        ),
        (
            "{'net/one/bias': np.ones(2), 'xyz': 1}",
            (
                "there is no weight 'xyz' of Sequential 'net': "
                "it has 'net/one/kernel', 'net/one/bias', 'net/two/kernel', and 1 more"
            ),
        ),
        (
            "{'net/one/bias': np.ones(2), 'net/two/bias': np.zeros((4, 1))}",
            "the weight 'net/two/bias' of Sequential 'net' has the shape (3,), not (4, 1)",
        ),
    ],
)
def test_wrong_names_and_shapes(worker: KerasProcess, values: str, message: str) -> None:
    """What does not fit is named, the model is the subject, and nothing is set."""
    worker.run(NET)
    fault = worker.fault(f"worker_models.set_named_weights(net, {values})")
    assert (fault["type"], fault["message"]) == ("ValueError", message)
    assert fault["subjects"] == ["net"]
    assert worker.run("net.layers[0].bias.numpy().tolist()") == [0.0, 0.0]


def test_nothing_to_set_yet(worker: KerasProcess) -> None:
    """A layer that is not built says so."""
    fault = worker.fault(
        "worker_models.set_named_weights(keras.layers.Dense(1, name='d'), {'k': 1})"
    )
    assert fault["message"] == (
        "there is no weight 'k' of Dense 'd': it has none yet; build it first"
    )
