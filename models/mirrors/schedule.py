"""Learning rates that change with the steps.

https://keras.io/api/optimizers/learning_rate_schedules/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncbridge.models.mirrors.mirror import Mirror

if TYPE_CHECKING:
    from asyncbridge.promise import Promise

__all__ = ["LearningRateSchedule"]


class LearningRateSchedule(Mirror):
    """The base of all schedules; it stands where an optimizer takes a ``learning_rate``.

    https://keras.io/api/optimizers/learning_rate_schedules/learning_rate_schedule/
    """

    keras_name = "keras.optimizers.schedules.LearningRateSchedule"

    def __init__(self) -> None:
        self._describe(LearningRateSchedule, locals())

    def __call__(self, step: object) -> Any:
        """Return a promise of the learning rate at a step."""
        return self._apply(LearningRateSchedule.__call__, locals())

    def get_config(self) -> Promise[dict[str, Any]]:
        """Return a promise of the constructor's arguments, as plain data."""
        return self._call(LearningRateSchedule.get_config, locals())
