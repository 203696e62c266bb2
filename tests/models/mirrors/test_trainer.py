from __future__ import annotations

import asyncio
import gc
import sys
import warnings
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from asyncbridge import models as keras
from asyncbridge.errors import BridgeClosed, DependencyError, RemoteError
from asyncbridge.models.mirrors.checks import KerasDataWarning
from asyncbridge.references.binding import Binding

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge

pytestmark = pytest.mark.asyncio

ROWS = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4]]
LABELS = [[1, 0, 0], [0, 1, 0]]
RAW = {"history": {"loss": [4.0, 3.0, 2.0, 1.0]}, "epoch": [2, 3, 4, 5], "params": {"steps": 2}}


async def settled(bridge: RecordingBridge, **arguments: Any) -> keras.Sequential:
    """Return a model that is built in the worker, with nothing under way."""
    model = keras.Sequential([keras.layers.Dense(3)], **arguments)
    bridge.tell(sequential_1={"name": "sequential", "built": True, "parameters": 15, "layers": []})
    await bridge.work()
    return model


# --- compile ---


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
    assert bridge.said()[-1] == (
        "sequential_1.compile(optimizer=sgd_1, loss={'a': meansquarederror_1, 'b': 'mse'}, "
        "loss_weights={'a': 1.0, 'b': 0.5}, metrics=[['accuracy'], [accuracy_1]], "
        "jit_compile=False)"
    )


async def test_compile_returns_a_promise_of_nothing(bridge: RecordingBridge) -> None:
    """It is fulfilled when Keras has compiled."""
    promise = (await settled(bridge)).compile()
    assert bridge.said()[-1] == "sequential_1.compile()"
    await bridge.work()
    assert await promise is None  # type: ignore[func-returns-value]  # what is tested


async def test_functions_of_keras_are_losses(bridge: RecordingBridge) -> None:
    """They go by their full names; one of this process is refused, and told why."""
    model = await settled(bridge)
    model.compile(loss=keras.losses.categorical_crossentropy)
    assert bridge.said()[-1] == ("sequential_1.compile(loss=keras.losses.categorical_crossentropy)")

    def own_loss() -> None: ...

    with pytest.raises(TypeError, match=r"own_loss is a function of this process, and the worker"):
        model.compile(loss=own_loss)


# --- data ---


async def test_rows_travel_as_arrays(bridge: RecordingBridge) -> None:
    """Lists become arrays under names of their own; arrays go as they are."""
    labels = np.array(LABELS, "float32")
    (await settled(bridge)).fit(ROWS, labels, sample_weight=[1, 2])
    assert bridge.said()[-1] == (
        "worker_models.fit(sequential_1, x=x_1, y=y_1, verbose=0, sample_weight=sample_weight_1)"
    )
    x, y, weight = bridge.sent[-1].bindings.values()
    assert np.array_equal(np.asarray(x), ROWS)
    assert y is labels
    assert np.array_equal(np.asarray(weight), [1, 2])


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
    assert bridge.said()[-1] == (
        "worker_models.fit(sequential_1, x={'a': x_1, 'b': x_2}, y=labels, verbose=0, "
        "validation_data=(validation_data_1, validation_data_2), "
        "class_weight={0: 1.0, 1: 2.5}, validation_freq=[1, 3])"
    )


async def test_callbacks_are_mirrors(bridge: RecordingBridge) -> None:
    """One or several; they run in the worker."""
    model = await settled(bridge)
    stopping = keras.callbacks.EarlyStopping()
    model.fit(ROWS, LABELS, callbacks=[stopping])
    assert bridge.said()[-1] == (
        "worker_models.fit(sequential_1, x=x_1, y=y_1, verbose=0, callbacks=[earlystopping_1])"
    )
    model.evaluate(ROWS, LABELS, callbacks=stopping)
    assert bridge.said()[-1].endswith("verbose=0, callbacks=earlystopping_1)")


# --- results ---


@pytest.mark.parametrize(
    ("freq", "validated"), [(1, [2, 3, 4, 5]), (2, [3, 5]), ([3, 6], [2, 5]), (9, [])]
)
async def test_fit_promises_a_history(
    bridge: RecordingBridge, freq: int | list[int], validated: list[int]
) -> None:
    """The worker's plain data become a TrainingHistory that knows its model."""
    model = await settled(bridge)
    promise = model.fit(ROWS, LABELS, validation_freq=freq)
    await bridge.work(value=RAW)
    trained = await promise
    assert isinstance(trained, keras.TrainingHistory)
    assert trained.model is model
    assert (trained["loss"], trained.epochs) == ([4.0, 3.0, 2.0, 1.0], [2, 3, 4, 5])
    assert (trained.params, trained.validation_epochs) == ({"steps": 2}, validated)


async def test_evaluate_and_predict(bridge: RecordingBridge) -> None:
    """Both keep quiet in the worker, and promise what Keras returns."""
    model = await settled(bridge)
    scores = model.evaluate(ROWS, LABELS, return_dict=True)
    await bridge.work(value={"loss": 0.5})
    outputs = model.predict(ROWS, batch_size=1, verbose=1)
    await bridge.work(value="array")
    assert bridge.said(2) == [
        "worker_models.evaluate(sequential_1, x=x_1, y=y_1, verbose=0, return_dict=True)",
        "worker_models.predict(sequential_1, x=x_1, batch_size=1, verbose=1)",
    ]
    assert await scores == {"loss": 0.5}
    assert await outputs == "array"


async def test_single_batches(bridge: RecordingBridge) -> None:
    """Each has a function of its own on the worker's side."""
    model = await settled(bridge)
    model.train_on_batch(ROWS, LABELS, class_weight={0: 1.0})
    model.test_on_batch(ROWS, LABELS, return_dict=True)
    model.predict_on_batch(ROWS)
    assert bridge.said(2) == [
        "worker_models.train_on_batch(sequential_1, x=x_1, y=y_1, class_weight={0: 1.0})",
        "worker_models.test_on_batch(sequential_1, x=x_1, y=y_1, return_dict=True)",
        "worker_models.predict_on_batch(sequential_1, x=x_1)",
    ]


async def test_metrics_and_configs(bridge: RecordingBridge) -> None:
    """What else is asked of a compiled model goes to Keras's own methods."""
    model = await settled(bridge)
    model.get_metrics_result()
    model.reset_metrics()
    model.get_compile_config()
    model.compile_from_config({"loss": "mse"})
    model.metrics_names.promise()
    model.compute_loss(y=LABELS, y_pred=ROWS)
    model.compute_metrics(ROWS, LABELS, ROWS)
    assert bridge.said(2) == [
        "worker_models.plain(sequential_1.get_metrics_result())",
        "sequential_1.reset_metrics()",
        "worker_models.plain(sequential_1.get_compile_config())",
        "sequential_1.compile_from_config({'loss': 'mse'})",
        "worker_models.plain(sequential_1.metrics_names)",
        "worker_models.plain(sequential_1.compute_loss(y=y_1, y_pred=y_pred_1))",
        "worker_models.plain(sequential_1.compute_metrics(x_1, y_2, y_pred_2))",
    ]


async def test_data_may_build_a_model(bridge: RecordingBridge) -> None:
    """Until it is known to be built, the worker tells of it and its layers with each result."""
    model = keras.Sequential([keras.layers.Dense(3)])
    bridge.tell(sequential_1={"name": "sequential", "built": False, "parameters": None})
    await bridge.work()
    promise = model.predict(ROWS)
    assert bridge.said(2) == [
        (
            "(worker_models.predict(sequential_1, x=x_1, verbose=0), "
            "worker_models.state(sequential_1, dense_1))"
        )
    ]
    bridge.tell(
        sequential_1={"name": "sequential", "built": True, "parameters": 15, "layers": ["dense"]},
        dense_1={"name": "dense", "built": True, "parameters": 15},
    )
    await bridge.work(value="array")
    assert await promise == "array"
    assert (model.built, model.layers[0].built) == (True, True)
    model.predict(ROWS)
    assert bridge.said(3) == ["worker_models.predict(sequential_1, x=x_1, verbose=0)"]


# --- failures ---


async def test_a_layers_failed_creation_fails_fit(bridge: RecordingBridge) -> None:
    """A fit that nobody should run is rejected with the layer's own error and line."""
    dense = keras.layers.Dense(-1)
    model = keras.Sequential([dense])
    model.compile(loss="mse")
    promise = model.fit(ROWS, LABELS)
    await bridge.work({"keras.layers.Dense": RemoteError("ValueError", "units")})
    with pytest.raises(DependencyError, match="units") as caught:
        await promise
    assert caught.value.__notes__[0] == dense._origin.note()


@pytest.mark.parametrize("fails", [False, True])
async def test_a_kept_result_keeps_no_model_but_a_historys(
    bridge: RecordingBridge, fails: bool
) -> None:
    """A history knows its model; the promise of a failed fit does not."""
    model = await settled(bridge)
    seen = weakref.ref(model)
    promise = model.fit(ROWS, LABELS)
    await bridge.work({"Sequential.fit": RemoteError("ValueError", "no")} if fails else None, RAW)
    bridge.forget()
    del model
    gc.collect()
    assert (seen() is None) is fails
    if fails:
        assert promise.exception() is not None
    else:
        assert (await promise).model is seen()


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


@pytest.mark.usefixtures("no_bridge")
async def test_it_takes_a_bridge() -> None:
    """Every method says so; a description stays one."""
    model = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(BridgeClosed, match=r"^Sequential\.compile\(\) needs an open bridge"):
        model.compile()
    with pytest.raises(BridgeClosed, match=r"^Sequential\.fit\(\) needs an open bridge"):
        model.fit(ROWS, LABELS)
    assert model.bridge is None


# --- warnings ---


async def test_nan_is_warned_of_at_the_line_of_fit(bridge: RecordingBridge) -> None:
    """The warning names the column; the fit goes on, as Keras's own would."""
    model = await settled(bridge)
    frame = pd.DataFrame({"width": [1.0, 2.0], "length": [np.nan, 1.0]})
    line = sys._getframe().f_lineno + 2
    with pytest.warns(KerasDataWarning) as caught:
        model.fit(frame, LABELS)
    with pytest.warns(KerasDataWarning) as further:
        model.train_on_batch(ROWS, [[np.nan], [1.0]])
    (first,), (second,) = caught, further
    assert str(first.message).startswith("x has NaN in column 1 ('length'): 1 of 2 rows")
    assert (first.filename, first.lineno) == (__file__, line)
    assert str(second.message).startswith("y has NaN in column 0: 1 of 2 rows")
    assert (second.filename, second.lineno) == (__file__, line + 2)
    assert len(bridge.sent) == 4


async def test_only_training_is_warned_of(bridge: RecordingBridge) -> None:
    """Predictions for rows with NaN are NaN, and harm nothing."""
    model = await settled(bridge)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict([[np.nan]])
        model.evaluate([[np.nan]], [[1.0]])


async def test_a_warning_that_is_an_error_sends_nothing(bridge: RecordingBridge) -> None:
    """Who makes errors of warnings has no fit to clean up after."""
    model = await settled(bridge)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(KerasDataWarning, match=r"^validation_data\[0\] has NaN"):
            model.fit(ROWS, LABELS, validation_data=([[np.nan]], [[1.0]]))
    assert len(bridge.sent) == 2


async def test_data_is_converted_once(bridge: RecordingBridge) -> None:
    """What was checked is what is sent: no second pass over a frame or a list."""
    counted: list[int] = []

    class Rows:
        def __array__(self, *_: object, **__: object) -> np.ndarray[Any, Any]:
            counted.append(1)
            return np.zeros((2, 4))

    (await settled(bridge)).fit(Rows(), LABELS)
    assert counted == [1]


async def test_many_fits_are_sent_without_waiting(bridge: RecordingBridge) -> None:
    """Each call returns at once, in order; the loop is not needed in between."""
    model = await settled(bridge)
    promises = [model.fit(ROWS, LABELS) for _ in range(3)]
    assert [promise.done() for promise in promises] == [False] * 3
    await bridge.work(value=RAW)
    assert len(await asyncio.gather(*promises)) == 3


async def test_a_stopped_training_is_marked(bridge: RecordingBridge) -> None:
    """Its last epoch is of a part, and has no values of a validation that was cut off."""
    model = keras.Sequential([keras.layers.Dense(1)])
    rows = np.zeros((8, 4))
    training = model.fit(rows, rows, epochs=9, validation_split=0.5)
    history = {"loss": [2.0, 1.0], "val_loss": [3.0]}
    raw = {"history": history, "epoch": [0, 1], "params": {"epochs": 9}, "stopped": True}
    await bridge.work(value=raw)
    done = await training
    assert (done.state, done.best().epoch) == ("stopped", 0)
    assert "epochs=2 of 9 (stopped)" in repr(done)


async def test_a_source_that_ran_out_is_told(bridge: RecordingBridge) -> None:
    """With the numbers that the worker counted, at the line of the call."""
    model = keras.Sequential([keras.layers.Dense(1)])
    training = model.fit(ROWS, LABELS)
    with pytest.warns(KerasDataWarning, match="ended after 10 of 40 batches") as caught:
        await bridge.work(value=RAW | {"ran_out": [10, 40]})
    await training
    assert caught[0].filename == __file__


async def test_a_validation_that_ran_out_is_told(bridge: RecordingBridge) -> None:
    """Likewise."""
    training = keras.Sequential([keras.layers.Dense(1)]).fit(ROWS, LABELS)
    with pytest.warns(KerasDataWarning, match="validation_data ended after 3 of 8 batches"):
        await bridge.work(value=RAW | {"validation_ran_out": [3, 8]})
    await training
