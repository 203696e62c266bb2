from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

WATCH = """
from asyncbridge.worker.progress import Reporting
told = []
def collect(event, *, transient):
    told.append([event, transient])
with Reporting(collect):
    worker_models.fit({model}, x=x, y=y, {arguments})
told
"""


def watch(worker: KerasProcess, arguments: str, model: str = "classifier()") -> list[list[Any]]:
    """Return what a training reports: each event, and whether it passes."""
    told: list[list[Any]] = worker.run(WATCH.format(model=model, arguments=arguments))
    return told


def test_epochs_are_always_told(worker: KerasProcess) -> None:
    """In Keras's order, with the metrics so far; validation's own names begin with val_."""
    told = watch(worker, "epochs=3, initial_epoch=1, validation_split=0.2, verbose=0")
    events = [event for event, transient in told if not transient]
    assert [(event["kind"], event["epoch"]) for event in events] == [
        ("train_begin", 1),
        ("epoch_begin", 1), ("validation_end", 1), ("epoch_end", 1),
        ("epoch_begin", 2), ("validation_end", 2), ("epoch_end", 2),
        ("train_end", 2),
    ]  # fmt: skip
    assert {event["epochs"] for event in events} == {3}
    assert [list(event["logs"]) for event in events[2:4]] == [["val_loss"], ["loss", "val_loss"]]
    assert events[2]["logs"]["val_loss"] == events[3]["logs"]["val_loss"]
    assert [event["step"] for event in events[:4]] == [0, 0, 4, 4]
    assert {event["steps"] for event in events} == {4}
    times = [event["elapsed"] for event in events]
    assert times == sorted(times)


def test_the_first_batch_is_told_at_once(worker: KerasProcess) -> None:
    """It passes; so that somebody who waits sees that something happens."""
    told = watch(worker, "verbose=0")
    (first, *_) = [event for event, transient in told if transient]
    assert (first["kind"], first["step"], list(first["logs"])) == ("batch_end", 1, ["loss"])


def test_batches_are_told_ten_times_a_second(worker: KerasProcess) -> None:
    """However many there are, by the clock of the worker."""
    assert worker.run("""
from asyncbridge.worker.models.reporting import ProgressCallback
now, told = [0.0], []
callback = ProgressCallback(epochs=1, initial_epoch=0, clock=lambda: now[0])
callback.set_params({"steps": 100})
with Reporting(lambda event, *, transient: told.append(event)):
    callback.on_train_begin()
    for batch in range(100):
        now[0] = batch / 64
        callback.on_train_batch_end(batch, {"loss": 1.0})
[[event["step"], event["elapsed"]] for event in told if event["kind"] == "batch_end"][:3], len(told)
""") == [[[1, 0.0], [8, 0.109375], [15, 0.21875]], 16]


def test_steps_of_a_pipeline_are_known_after_its_first_epoch(worker: KerasProcess) -> None:
    """Keras counts them then."""
    told = worker.run("""
told = []
def rows():
    for start in range(0, 150, 50):
        yield x[start:start + 50], y[start:start + 50]
import tensorflow as tf
data = tf.data.Dataset.from_generator(
    rows, output_types=("float32", "int32"), output_shapes=((None, 4), (None,))
)
with Reporting(collect):
    worker_models.fit(classifier(), x=data, epochs=2, verbose=0)
[[event["kind"], event["steps"]] for event, transient in told if not transient]
""")
    assert [steps for kind, steps in told if kind == "epoch_begin"] == [None, 3]
    assert [steps for kind, steps in told if kind == "epoch_end"] == [3, 3]


def test_what_callbacks_put_into_the_logs(worker: KerasProcess) -> None:
    """Numbers are told, also of callbacks before it; what is none is left out."""
    worker.run("""
class Adds(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs.update(rate=np.float32(0.5), rows=keras.ops.ones(2), note="text", thing=object())
    def on_train_end(self, logs=None):
        logs.clear()
""")
    told = watch(worker, "verbose=0, callbacks=[Adds()]")
    (logs,) = [event["logs"] for event, _ in told if event["kind"] == "epoch_end"]
    assert {name: logs[name] for name in ("rate", "rows")} == {"rate": 0.5, "rows": [1.0, 1.0]}
    assert set(logs) == {"loss", "rate", "rows"}


def test_callbacks_of_any_form(worker: KerasProcess) -> None:
    """None, one, a list; a CallbackList is somebody's own, and stays as it is."""
    for callbacks in ("None", "keras.callbacks.TerminateOnNaN()", "[]"):
        kinds = [event["kind"] for event, _ in watch(worker, f"verbose=0, callbacks={callbacks}")]
        assert kinds[-1] == "train_end"
    own = (
        "verbose=0, callbacks=keras.callbacks.CallbackList("
        "[keras.callbacks.History()], model=net, epochs=1, steps=5)"
    )
    assert watch(worker, own, "net := classifier()") == []


@pytest.mark.parametrize(
    ("callbacks", "heeded"),
    [
        ("None", True),
        ("keras.callbacks.CallbackList([keras.callbacks.History()], model=net, epochs=1)", False),
    ],
)
def test_who_looks_whether_to_stop(worker: KerasProcess, callbacks: str, heeded: bool) -> None:
    """Our callback does; where it is not in the list, nobody does, and an interrupt is needed."""
    assert (
        worker.run(f"""
from asyncbridge.worker import stopping
net, stop = classifier(), stopping.Stop()
with stopping._BeingRun(stop):
    worker_models.fit(net, x=x, y=y, verbose=0, callbacks={callbacks})
stop.heeded
""")
        is heeded
    )


def test_a_training_outside_a_command(worker: KerasProcess) -> None:
    """Nobody is told, and nothing fails."""
    assert worker.run("len(worker_models.fit(classifier(), x=x, y=y, verbose=0)['epoch'])") == 1


def test_the_weights_are_those_without_it(worker: KerasProcess) -> None:
    """To watch changes nothing, bit for bit."""
    assert worker.run("""
weights = []
for fit in (lambda m, **a: m.fit(**a), lambda m, **a: worker_models.fit(m, **a)):
    keras.utils.set_random_seed(5)
    model = classifier()
    with Reporting(collect):
        fit(model, x=x, y=y, epochs=3, validation_split=0.2, verbose=0)
    weights.append([w.tobytes() for w in model.get_weights()])
weights[0] == weights[1]
""")
