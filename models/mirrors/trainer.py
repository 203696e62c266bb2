"""Training, evaluation and prediction: what every model does with data.

https://keras.io/api/models/model_training_apis/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncbridge.models.mirrors.arguments import parameters_of, take
from asyncbridge.models.mirrors.attributes import RemoteAttribute
from asyncbridge.models.mirrors.checks import (
    BatchCheck,
    Site,
    warn_of_data,
    warn_of_end,
    warn_of_validation_end,
)
from asyncbridge.models.mirrors.data import Data, DataTuple
from asyncbridge.models.mirrors.history import TrainingHistory
from asyncbridge.models.mirrors.mirror import Identifier, Mirror
from asyncbridge.models.mirrors.optimizer import Optimizer
from asyncbridge.models.mirrors.origins import user_frame
from asyncbridge.models.mirrors.prediction import Prediction
from asyncbridge.models.mirrors.recipes import attribute_of
from asyncbridge.models.mirrors.sending import settle
from asyncbridge.models.mirrors.showing import show_training
from asyncbridge.models.mirrors.streaming import BATCH_SIZE, streamed
from asyncbridge.models.mirrors.training import Training
from asyncbridge.promise import Promise
from asyncbridge.streams import Stream

if TYPE_CHECKING:
    from asyncbridge.models.mirrors.described import Described

__all__ = ["Trainer"]

Metrics = Sequence[object] | Mapping[str, object] | None
Verbosity = str | int
Callbacks = Sequence[Mirror] | Mirror | None
ClassWeight = Mapping[int, float] | Mapping[str, float] | None
_TRAINING_DATA = ("x", "y", "sample_weight", "validation_data")


class Trainer(Mirror):
    """What a model does with data.

    Every method returns at once, with a promise. Calls run in the order in which they were
    made. When one that changes the model fails (``compile``, ``fit``), those that were made
    before its error was seen fail with it; one that only reads (``predict``, ``evaluate``) fails
    alone.
    """

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer that the model was compiled with: ``model.optimizer.learning_rate``."""
        return Optimizer._later(attribute_of(self, "optimizer"))

    jit_compile = RemoteAttribute("Whether the steps are compiled with XLA.")
    metrics_names = RemoteAttribute("The names of the metrics.")
    run_eagerly = RemoteAttribute("Whether the steps run without a graph.")

    def compile(
        self,
        optimizer: Identifier = "rmsprop",
        loss: object = None,
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
        metrics: Metrics = None,
        weighted_metrics: Metrics = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> Promise[None]:
        """Choose the optimizer, the loss and the metrics to train with.

        https://keras.io/api/models/model_training_apis/#compile-method
        """
        return self._call(Trainer.compile, locals())

    def fit(
        self,
        x: Data = None,
        y: Data = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Verbosity = "auto",
        callbacks: Callbacks = None,
        validation_split: float = 0.0,
        validation_data: DataTuple = None,
        shuffle: bool = True,
        class_weight: ClassWeight = None,
        sample_weight: Data = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> Training:
        """Train for a number of epochs.

        Args:
            x: Samples, ``(samples, ...)``: an array, a list of rows, a DataFrame, or a dict or
                list of such for a model with several inputs. A generator, also an asynchronous
                one, or an ``asyncbridge.stream`` gives batches ``(x, y)`` while the model trains;
                an ``np.memmap`` is read so by rows. A ``bridge.binding`` names a ``tf.data``
                pipeline or a ``PyDataset`` that was made in the worker.
            y: Targets, ``(samples, ...)``; a dict or list for several outputs.
            batch_size: Samples per step, 32 by default.
            epochs: The epoch to stop after, counted from 1.
            verbose: 0 shows nothing; "auto" and 1 a progress bar in this process's terminal,
                or a line for each epoch where ``sys.stdout`` is none; 2 the lines in any case.
            callbacks: Callbacks of Keras, which run in the worker.
            validation_split: The share of the samples, from the end, to validate with.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` to validate with.
            shuffle: Whether the samples are shuffled before each epoch.
            class_weight: Weight of each class, by its index, in the loss.
            sample_weight: Weight of each sample in the loss, ``(samples,)``.
            initial_epoch: The epoch to start from, counted from 0.
            steps_per_epoch: Steps that make an epoch.
            validation_steps: Steps that make a validation.
            validation_batch_size: Samples per step of a validation.
            validation_freq: Epochs from one validation to the next, or those to validate
                after, counted from 1.

        Returns:
            A promise of the metrics' history, which can be watched meanwhile: ``async for event
            in training.progress()``, and ``training.history``.

        https://keras.io/api/models/model_training_apis/#fit-method
        """
        values = streamed("fit", {**locals(), "verbose": 0})
        params = {"epochs": epochs}
        history = TrainingHistory({}, model=self, params=params, state="running")
        transform = partial(_complete, history, validation_freq, _site_of(self))
        factory = partial(Training, history=history)
        training = self._train(Trainer.fit, values, transform, factory)
        assert isinstance(training, Training)
        show_training(training, verbose)
        return training

    def evaluate(
        self,
        x: Data = None,
        y: Data = None,
        batch_size: int | None = None,
        verbose: Verbosity = "auto",
        sample_weight: Data = None,
        steps: int | None = None,
        callbacks: Callbacks = None,
        return_dict: bool = False,
    ) -> Promise[Any]:
        """Compute the loss and the metrics on data, ``(samples, ...)`` as in ``fit``.

        Returns:
            A promise of the loss, a float; of a list of the loss and the metrics, if there are
            any; or of a dict of them by name, with ``return_dict``.

        https://keras.io/api/models/model_training_apis/#evaluate-method
        """
        values = streamed("evaluate", {**locals(), "verbose": _quiet(verbose)})
        return self._run(Trainer.evaluate, values, reads=True)

    def predict(
        self,
        x: Data,
        batch_size: int | None = None,
        verbose: Verbosity = "auto",
        steps: int | None = None,
        callbacks: Callbacks = None,
    ) -> Prediction:
        """Compute the outputs for samples, ``(samples, ...)``.

        No more samples than a batch takes (32, if none is named), and no ``callbacks``, ``steps``
        or ``verbose``, go the short way on TensorFlow: the same compiled function on the same
        tensors, so the same bits, without the pipeline that Keras's ``predict`` takes 40 to 80 ms
        to set up.

        Returns:
            A promise of an array, ``(samples, ...)``, of the model's dtype, float32 by default;
            of a list, tuple or dict of arrays, if the model has several outputs. ``async for
            part in model.predict(x)`` gives them batch by batch, as they come.

        https://keras.io/api/models/model_training_apis/#predict-method
        """
        values = streamed("predict", {**locals(), "verbose": _quiet(verbose)})
        factory = partial(Prediction, batch_size=batch_size or BATCH_SIZE)
        prediction = self._run(Trainer.predict, values, None, factory, reads=True)
        assert isinstance(prediction, Prediction)
        return prediction

    def train_on_batch(
        self,
        x: Data,
        y: Data = None,
        sample_weight: Data = None,
        class_weight: ClassWeight = None,
        return_dict: bool = False,
    ) -> Promise[Any]:
        """Take one step of training on one batch, ``(samples, ...)`` as in ``fit``.

        Returns:
            A promise of the loss, or of a list or dict of the loss and the metrics so far.

        https://keras.io/api/models/model_training_apis/#trainonbatch-method
        """
        return self._train(Trainer.train_on_batch, locals())

    def test_on_batch(
        self, x: Data, y: Data = None, sample_weight: Data = None, return_dict: bool = False
    ) -> Promise[Any]:
        """Compute the loss and the metrics on one batch, ``(samples, ...)`` as in ``fit``.

        Returns:
            A promise of the loss, or of a list or dict of the loss and the metrics so far.

        https://keras.io/api/models/model_training_apis/#testonbatch-method
        """
        return self._run(Trainer.test_on_batch, locals(), reads=True)

    def predict_on_batch(self, x: Data) -> Promise[Any]:
        """Compute the outputs for one batch, ``(samples, ...)``.

        https://keras.io/api/models/model_training_apis/#predictonbatch-method
        """
        return self._run(Trainer.predict_on_batch, locals(), reads=True)

    def compute_loss(
        self,
        x: Data = None,
        y: Data = None,
        y_pred: Data = None,
        sample_weight: Data = None,
        training: bool = True,
    ) -> Promise[Any]:
        """Return a promise of the loss between targets and outputs, ``(samples, ...)`` both."""
        return self._call(Trainer.compute_loss, locals())

    def compute_metrics(
        self, x: Data, y: Data, y_pred: Data, sample_weight: Data = None
    ) -> Promise[dict[str, Any]]:
        """Update the metrics by targets and outputs; return a promise of them by name."""
        return self._call(Trainer.compute_metrics, locals())

    def get_metrics_result(self) -> Promise[dict[str, Any]]:
        """Return a promise of the metrics' present values, by name."""
        return self._call(Trainer.get_metrics_result, locals())

    def reset_metrics(self) -> Promise[None]:
        """Set the metrics back to their beginnings."""
        return self._call(Trainer.reset_metrics, locals())

    def get_compile_config(self) -> Promise[dict[str, Any] | None]:
        """Return a promise of what the model was compiled with, as plain data."""
        return self._call(Trainer.get_compile_config, locals())

    def compile_from_config(self, config: Mapping[str, object]) -> Promise[None]:
        """Compile as ``get_compile_config`` tells."""
        return self._call(Trainer.compile_from_config, locals())

    def _run(
        self,
        method: Callable[..., object],
        values: Mapping[str, object],
        transform: Callable[[Any], Any] | None = None,
        promise_factory: Callable[..., Promise[Any]] = Promise,
        *,
        reads: bool = False,
    ) -> Promise[Any]:
        return self._ask(
            method,
            values,
            transform=transform,
            watched=self._watched_while_unbuilt(),
            reads=reads,
            promise_factory=promise_factory,
        )

    def _train(
        self,
        method: Callable[..., object],
        values: Mapping[str, object],
        transform: Callable[[Any], Any] | None = None,
        promise_factory: Callable[..., Promise[Any]] = Promise,
    ) -> Promise[Any]:
        """Do as ``_run``, and warn of data that will not train a model."""
        label = f"{type(self).__name__}.{method.__name__}"
        taken = take(label, parameters_of(method), values)
        data = {name: taken[name] for name in _TRAINING_DATA if taken.get(name) is not None}
        _, bridge = settle([self], f"{label}()")
        assert bridge._loop is not None
        site = _site_of(self)
        for name, value in data.items():
            if isinstance(value, Stream):
                value.check = BatchCheck(name, site)
        warn_of_data(data, values, site=site, loop=bridge._loop)
        # What was made of the data stays so: an array is taken as it is.
        return self._run(method, {**values, **data}, transform, promise_factory)

    def _watched_while_unbuilt(self) -> Sequence[Described]:
        """Return those that data build, unless they are known to be built."""
        return ()


def _quiet(verbose: Verbosity) -> Verbosity:
    return 0 if verbose == "auto" else verbose


def _site_of(model: Trainer) -> Site:
    frame = user_frame(model)
    return Site(filename=frame.f_code.co_filename, lineno=frame.f_lineno)


def _complete(
    history: TrainingHistory, validation_freq: int | Sequence[int], site: Site, raw: Any
) -> TrainingHistory:
    """Put the worker's plain data into the history (the paper's transform block)."""
    epochs: list[int] = raw["epoch"]
    if isinstance(validation_freq, int):
        validated = [epoch for epoch in epochs if (epoch + 1) % validation_freq == 0]
    else:
        validated = [epoch for epoch in epochs if epoch + 1 in validation_freq]
    # The validation of an epoch that was stopped in the middle may be missing.
    count = max(
        (len(v) for name, v in raw["history"].items() if name.startswith("val_")), default=0
    )
    stopped = raw.get("stopped", False)
    history._complete(
        TrainingHistory(
            raw["history"],
            epochs=epochs,
            params=raw["params"],
            validation_epochs=validated[:count] if stopped else validated,
            state="stopped" if stopped else "complete",
        )
    )
    if raw.get("ran_out"):
        warn_of_end(*raw["ran_out"], site=site)
    if raw.get("validation_ran_out"):
        warn_of_validation_end(*raw["validation_ran_out"], site=site)
    return history
