"""Optimizers, as ``keras.optimizers`` names them.

https://keras.io/api/optimizers/
"""

from __future__ import annotations

from collections.abc import Callable

from asyncbridge.models.mirrors.mirror import Mirror

__all__ = ["SGD", "Adam", "Optimizer"]

LearningRate = float | Mirror | Callable[..., object]


class Optimizer(Mirror):
    """The base of all optimizers.

    https://keras.io/api/optimizers/
    """

    keras_name = "keras.optimizers.Optimizer"


class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square.

    https://keras.io/api/optimizers/adam/
    """

    keras_name = "keras.optimizers.Adam"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-07,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ) -> None:
        self._describe(locals())


class SGD(Optimizer):
    """Gradient descent, with momentum if asked.

    https://keras.io/api/optimizers/sgd/
    """

    keras_name = "keras.optimizers.SGD"

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ) -> None:
        self._describe(locals())
