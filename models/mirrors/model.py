"""Models: what is trained, evaluated and asked for predictions in the worker.

https://keras.io/api/models/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncbridge.codegen import (
    Call,
    Clause,
    Comprehension,
    Expression,
    Import,
    Lambda,
    ListDisplay,
    Name,
    Parameter,
    Parameters,
    Statement,
    TupleDisplay,
    as_expression,
)
from asyncbridge.models.layers import Input, InputLayer, Layer
from asyncbridge.models.mirrors.data import Data, DataTuple  # noqa: TC001 - annotations are read at run time
from asyncbridge.models.mirrors.history import TrainingHistory
from asyncbridge.models.mirrors.mirror import Identifier, Mirror  # noqa: TC001 - annotations are read at run time

if TYPE_CHECKING:
    import numpy as np

    from asyncbridge.promise import Promise

    Array = np.ndarray[Any, Any]

__all__ = ["Model", "Sequential"]

Metrics = Sequence[object] | Mapping[str, object] | None
Verbosity = str | int


class Model(Layer):
    """The base of all models, with what every one of them does in the worker.

    Every method returns at once, with a promise. Calls run in the order in which they were
    made; when one fails, those that were made before its error was seen fail with it.

    https://keras.io/api/models/model/
    """

    keras_name = "keras.Model"

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
        return self._call(Model.compile, locals())

    def fit(
        self,
        x: Data = None,
        y: Data = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Verbosity = "auto",
        callbacks: Sequence[Mirror] | Mirror | None = None,
        validation_split: float = 0.0,
        validation_data: DataTuple = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | Mapping[str, float] | None = None,
        sample_weight: Data = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> Promise[TrainingHistory]:
        """Train for a number of epochs.

        Args:
            x: Samples, ``(samples, ...)``: an array, a list of rows, or a dict or list of
                arrays for a model with several inputs.
            y: Targets, ``(samples, ...)``.
            batch_size: Samples per step, 32 by default.
            epochs: The epoch to stop after, counted from 1.
            verbose: 0 by default, for nobody watches the worker's terminal; 1 and 2 print.
            callbacks: Callbacks of Keras.
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
            A promise of the metrics' history.

        https://keras.io/api/models/model_training_apis/#fit-method
        """
        values = {**locals(), "verbose": _quiet(verbose)}
        transform = partial(_history, self, validation_freq)
        return self._call(Model.fit, values, wrap=_with_history, transform=transform)

    def evaluate(
        self,
        x: Data = None,
        y: Data = None,
        batch_size: int | None = None,
        verbose: Verbosity = "auto",
        sample_weight: Data = None,
        steps: int | None = None,
        callbacks: Sequence[Mirror] | Mirror | None = None,
        return_dict: bool = False,
    ) -> Promise[Any]:
        """Compute the loss and the metrics on data, ``(samples, ...)`` as in ``fit``.

        Returns:
            A promise of the loss, a float; of a list of the loss and the metrics, if there are
            any; or of a dict of them by name, with ``return_dict``.

        https://keras.io/api/models/model_training_apis/#evaluate-method
        """
        return self._call(Model.evaluate, {**locals(), "verbose": _quiet(verbose)})

    def predict(
        self,
        x: Data,
        batch_size: int | None = None,
        verbose: Verbosity = "auto",
        steps: int | None = None,
        callbacks: Sequence[Mirror] | Mirror | None = None,
    ) -> Promise[Any]:
        """Compute the outputs for samples, ``(samples, ...)``.

        Returns:
            A promise of an array, ``(samples, ...)``, of the model's dtype, float32 by default;
            of a list or dict of arrays, if the model has several outputs.

        https://keras.io/api/models/model_training_apis/#predict-method
        """
        return self._call(Model.predict, {**locals(), "verbose": _quiet(verbose)})

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], object] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> Promise[str]:
        """Describe the layers, their output shapes and their numbers of weights.

        Args:
            line_length: Characters per line.
            positions: Where each column ends, as shares of the line.
            print_fn: Called here, with each line, before the promise is fulfilled.
            expand_nested: Whether the layers of models inside the model are shown.
            show_trainable: Whether it is shown which layers are trainable.
            layer_range: Names of the first and the last layer to show.

        Returns:
            A promise of the text; nothing is printed without ``print_fn``.

        https://keras.io/api/models/model/#summary-method
        """
        values = {**locals(), "print_fn": None}
        transform = partial(_print_lines, print_fn) if print_fn is not None else None
        return self._call(Model.summary, values, wrap=_with_text, transform=transform)

    def get_weights(self) -> Promise[list[Array]]:
        """Return a promise of all weights: arrays of the weights' own shapes and dtypes.

        https://keras.io/api/layers/base_layer/#getweights-method
        """
        return self._call(Model.get_weights, locals())

    def set_weights(self, weights: Sequence[object]) -> Promise[None]:
        """Set all weights: arrays, or nested lists, of the weights' own shapes, in order.

        https://keras.io/api/layers/base_layer/#setweights-method
        """
        arrays = [_as_array(weight) for weight in weights]
        return self._call(Model.set_weights, {"weights": arrays})


class Sequential(Model):
    """A stack of layers, each of which feeds the next one.

    https://keras.io/api/models/sequential/
    """

    keras_name = "keras.Sequential"

    def __init__(
        self,
        layers: Sequence[Mirror] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        self._added: list[tuple[Mirror, Promise[None]]] = []
        self._describe(locals())

    @property
    def layers(self) -> list[Mirror]:
        """The layers, without what stands for the input, as in Keras.

        Those whose ``add`` is known to have failed are not among them.
        """
        stack = self._stack()
        return stack[1:] if stack and isinstance(stack[0], (Input, InputLayer)) else stack

    def add(self, layer: Mirror, rebuild: bool = True) -> Promise[None]:
        """Put a layer on top.

        https://keras.io/api/models/sequential/#add-method
        """
        promise: Promise[None] = self._call(Sequential.add, locals())
        self._added.append((layer, promise))
        return promise

    def _stack(self) -> list[Mirror]:
        given: list[Mirror] = list(self._arguments["layers"] or [])  # type: ignore[call-overload]  # checked when it was described
        return given + [layer for layer, promise in self._added if not _has_failed(promise)]

    def _content(self) -> dict[str, object]:
        return {**self._arguments, "layers": self._stack()}

    def _parts(self) -> Iterable[object]:
        return self._stack()

    def __repr__(self) -> str:
        name = self._arguments["name"]
        named = "" if name is None else f" name={name!r}"
        return f"<Sequential layers={len(self.layers)}{named}>"


# --- inner steps -------------------------------------------------------------------------


def _quiet(verbose: Verbosity) -> Verbosity:
    return 0 if verbose == "auto" else verbose


def _has_failed(promise: Promise[None]) -> bool:
    return promise.state in {"rejected", "cancelled"}


def _as_array(weight: object) -> object:
    if hasattr(weight, "dtype"):
        return weight
    from numpy import asarray  # noqa: PLC0415 - a description needs no numpy

    return asarray(weight)


def _given(name: str, body: Expression, value: Expression) -> Expression:
    """Return ``(lambda name: body)(value)``: a name that does not stay in the namespace."""
    return Lambda(Parameters((Parameter(name),)), body).call(value)


def _with_history(fit: Expression) -> tuple[Statement | Expression, ...]:
    """Return ``fit``'s code with its ``History`` taken apart into plain data."""
    history = Name("history")
    floats = Name("numpy").attr("asarray").call(Name("values"), "float64").attr("tolist").call()
    metrics = Comprehension(
        "dict",
        Name("name"),
        (
            Clause(
                TupleDisplay((Name("name"), Name("values"))),
                history.attr("history").attr("items").call(),
            ),
        ),
        floats,
    )
    record = {"history": metrics, "epoch": history.attr("epoch"), "params": history.attr("params")}
    return Import("numpy"), _given("history", as_expression(record), fit)


def _history(model: Model, validation_freq: int | Sequence[int], raw: Any) -> TrainingHistory:
    """Make the domain object of what the code above gives (the paper's transform block)."""
    epochs: list[int] = raw["epoch"]
    if isinstance(validation_freq, int):
        validated = [epoch for epoch in epochs if (epoch + 1) % validation_freq == 0]
    else:
        validated = [epoch for epoch in epochs if epoch + 1 in validation_freq]
    return TrainingHistory(
        raw["history"],
        model=model,
        epochs=epochs,
        params=raw["params"],
        validation_epochs=validated,
    )


def _with_text(summary: Expression) -> tuple[Expression, ...]:
    """Return ``summary``'s code with what it would print as its value."""
    assert isinstance(summary, Call)
    lines = Name("lines")
    collect = Lambda(
        Parameters((Parameter("line"),), keywords="options"),
        lines.attr("append").call(Name("line")),
    )
    printed = replace(summary, keywords=(*summary.keywords, ("print_fn", collect)))
    text = as_expression("\n").attr("join").call(lines)
    return (_given("lines", TupleDisplay((printed, text))[1], ListDisplay(())),)


def _print_lines(print_fn: Callable[[str], object], text: str) -> str:
    for line in text.splitlines():
        print_fn(line)
    return text
