"""Optimizers: what every one of them has and does.

https://keras.io/api/optimizers/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from asyncbridge.models.mirrors.attributes import RemoteAttribute
from asyncbridge.models.mirrors.mirror import Attribute, Mirror
from asyncbridge.models.mirrors.weights import as_arrays

if TYPE_CHECKING:
    from asyncbridge.promise import Promise

__all__ = ["Optimizer"]


class Optimizer(Mirror):
    """The base of all optimizers.

    https://keras.io/api/optimizers/
    """

    keras_name = "keras.optimizers.Optimizer"

    def __init__(
        self,
        learning_rate: object,
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
        **kwargs: object,
    ) -> None:
        self._describe(Optimizer, locals())

    iterations = RemoteAttribute("How many steps it has taken.")
    variables = RemoteAttribute("Its state, as arrays.")

    @property
    def learning_rate(self) -> Attribute:
        """The learning rate at present, to be awaited.

        To set it sends a command, in order with all others: it holds from the next ``fit`` on.
        """
        return self._attribute("learning_rate")

    @learning_rate.setter
    def learning_rate(self, value: object) -> None:
        if self._name is None and "learning_rate" in self.arguments:
            self._change("learning_rate", value)
        else:
            self._set("learning_rate", value)

    def get_config(self) -> Promise[dict[str, Any]]:
        """Return a promise of the constructor's arguments, as plain data."""
        return self._call(Optimizer.get_config, locals())

    def set_weights(self, weights: Sequence[object]) -> Promise[None]:
        """Set the state: arrays of the variables' own shapes, in order."""
        return self._call(Optimizer.set_weights, {"weights": as_arrays(weights)})

    def exclude_from_weight_decay(
        self, var_list: object = None, var_names: Sequence[str] | None = None
    ) -> Promise[None]:
        """Name the variables, by parts of their names, that do not decay."""
        return self._call(Optimizer.exclude_from_weight_decay, locals())
