"""Utilities, as ``keras.utils`` names them.

https://keras.io/api/utils/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncbridge.models.mirrors.data import Data  # noqa: TC001 - annotations are read at run time
from asyncbridge.models.mirrors.mirror import call_function, keras_function

if TYPE_CHECKING:
    import numpy as np

    from asyncbridge.promise import Promise

__all__ = ["set_random_seed", "to_categorical"]


@keras_function("keras.utils.set_random_seed")
def set_random_seed(seed: int) -> Promise[None]:
    """Seed Python's, numpy's and the backend's generators, in the worker.

    https://keras.io/api/utils/python_utils/#setrandomseed-function
    """
    return call_function(set_random_seed, locals())


@keras_function("keras.utils.to_categorical")
def to_categorical(
    x: Data, num_classes: int | None = None
) -> Promise[np.ndarray[Any, np.dtype[np.float64]]]:
    """Return a promise of integer labels ``(...)`` as one-hot rows ``(..., num_classes)``, float64.

    https://keras.io/api/utils/python_utils/#tocategorical-function
    """
    return call_function(to_categorical, locals())
