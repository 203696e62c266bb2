"""What commands call on Keras objects: models that train, predict and are looked at.

It imports Keras, so a command imports it, in the GPU thread; a worker without Keras never does.
All results are plain data, fit to be sent.
"""

from __future__ import annotations

from asyncbridge.worker.models.predicting import predict, predict_on_batch
from asyncbridge.worker.models.rows import layer_rows
from asyncbridge.worker.models.states import state
from asyncbridge.worker.models.training import evaluate, fit, test_on_batch, train_on_batch
from asyncbridge.worker.models.values import plain
from asyncbridge.worker.models.views import plot, summary
from asyncbridge.worker.models.weights import named_weights, set_named_weights

__all__ = [
    "evaluate",
    "fit",
    "layer_rows",
    "named_weights",
    "plain",
    "plot",
    "predict",
    "predict_on_batch",
    "set_named_weights",
    "state",
    "summary",
    "test_on_batch",
    "train_on_batch",
]
