from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def test_fit(worker: KerasProcess) -> None:
    """The history is that of Keras, in floats."""
    assert worker.run("""
results = []
for fit in (lambda m, **a: m.fit(**a).history, lambda m, **a: worker_models.fit(m, **a)):
    keras.utils.set_random_seed(7)
    model = classifier(metrics=["accuracy"])
    results.append(fit(model, x=x, y=y, epochs=3, initial_epoch=1, validation_split=0.2, verbose=0))
history, made = results
types = {type(value).__name__ for values in made["history"].values() for value in values}
[history == made["history"], made["epoch"], made["params"], sorted(types)]
""") == [True, [1, 2], {"verbose": 0, "epochs": 3, "steps": 4}, ["float"]]


def test_a_value_for_each_class(worker: KerasProcess) -> None:
    """A metric with one value for each class gives lists of floats."""
    history = worker.run("""
model = classifier()
model.compile(loss="categorical_crossentropy", metrics=[keras.metrics.F1Score(average=None)])
worker_models.fit(model, x=x, y=np.eye(3)[y], verbose=0)["history"]
""")
    (scores,) = history["f1_score"]
    assert len(scores) == 3
    assert all(isinstance(score, float) for score in scores)


def test_logs_of_a_callback(worker: KerasProcess) -> None:
    """What a callback adds to the logs is kept, and never costs the training."""
    assert worker.run("""
class Adds(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs.update(rate=np.float32(0.5), tensor=keras.ops.ones(2), note="text")
made = worker_models.fit(classifier(), x=x, y=y, verbose=0, callbacks=[Adds()])["history"]
[made["rate"], made["tensor"], made["note"]]
""") == [[0.5], [[1.0, 1.0]], ["text"]]


def test_evaluate_and_batches(worker: KerasProcess) -> None:
    """Evaluation and single batches give what Keras gives: a float, a list or a dict."""
    assert worker.run("""
model, single = classifier(metrics=["accuracy"]), classifier()
made = [
    worker_models.evaluate(model, x=x, y=y, verbose=0) == model.evaluate(x, y, verbose=0),
    type(worker_models.evaluate(single, x=x, y=y, verbose=0)).__name__,
    sorted(worker_models.evaluate(model, x=x, y=y, verbose=0, return_dict=True)),
    worker_models.test_on_batch(model, x=x, y=y) == model.test_on_batch(x, y),
    len(worker_models.train_on_batch(model, x=x, y=y)),
    sorted(worker_models.train_on_batch(model, x=x, y=y, return_dict=True)),
    np.array_equal(worker_models.predict_on_batch(model, x=x), model.predict_on_batch(x)),
]
made
""") == [True, "float", ["accuracy", "loss"], True, 2, ["accuracy", "loss"], True]
