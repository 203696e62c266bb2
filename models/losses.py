"""Losses, as ``keras.losses`` names them.

https://keras.io/api/losses/
"""

from __future__ import annotations

from asyncbridge.models.mirrors.mirror import DType, Mirror

__all__ = [
    "CategoricalCrossentropy",
    "Loss",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
]


class Loss(Mirror):
    """The base of all losses.

    https://keras.io/api/losses/
    """

    keras_name = "keras.losses.Loss"


class CategoricalCrossentropy(Loss):
    """Cross-entropy between one-hot labels and predictions, both ``(batch, classes)``.

    https://keras.io/api/losses/probabilistic_losses/#categoricalcrossentropy-class
    """

    keras_name = "keras.losses.CategoricalCrossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: DType = None,
    ) -> None:
        self._describe(locals())


class SparseCategoricalCrossentropy(Loss):
    """Cross-entropy between integer labels ``(batch,)`` and predictions ``(batch, classes)``.

    https://keras.io/api/losses/probabilistic_losses/#sparsecategoricalcrossentropy-class
    """

    keras_name = "keras.losses.SparseCategoricalCrossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: DType = None,
    ) -> None:
        self._describe(locals())


class MeanSquaredError(Loss):
    """The mean of the squared differences.

    https://keras.io/api/losses/regression_losses/#meansquarederror-class
    """

    keras_name = "keras.losses.MeanSquaredError"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: DType = None,
    ) -> None:
        self._describe(locals())
