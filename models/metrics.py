"""Metrics, as ``keras.metrics`` names them.

https://keras.io/api/metrics/
"""

from __future__ import annotations

from asyncbridge.models.mirrors.mirror import DType, Mirror

__all__ = ["Accuracy", "CategoricalAccuracy", "Metric", "SparseCategoricalAccuracy"]


class Metric(Mirror):
    """The base of all metrics.

    https://keras.io/api/metrics/base_metric/
    """

    keras_name = "keras.metrics.Metric"


class Accuracy(Metric):
    """How often a prediction equals its label exactly.

    https://keras.io/api/metrics/accuracy_metrics/#accuracy-class
    """

    keras_name = "keras.metrics.Accuracy"

    def __init__(self, name: str | None = "accuracy", dtype: DType = None) -> None:
        self._describe(locals())


class CategoricalAccuracy(Metric):
    """How often the largest prediction is the one-hot label's class.

    https://keras.io/api/metrics/accuracy_metrics/#categoricalaccuracy-class
    """

    keras_name = "keras.metrics.CategoricalAccuracy"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: DType = None) -> None:
        self._describe(locals())


class SparseCategoricalAccuracy(Metric):
    """How often the largest prediction is the integer label.

    https://keras.io/api/metrics/accuracy_metrics/#sparsecategoricalaccuracy-class
    """

    keras_name = "keras.metrics.SparseCategoricalAccuracy"

    def __init__(
        self, name: str | None = "sparse_categorical_accuracy", dtype: DType = None
    ) -> None:
        self._describe(locals())
