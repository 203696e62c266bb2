"""Which way a metric gets better, as far as its name tells."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["Direction", "direction_of"]

Direction = Literal["min", "max"]

_LESS = (
    *("loss", "error", "crossentropy", "cross_entropy", "hinge", "huber", "poisson", "tversky"),
    *("dice", "kl_divergence", "log_cosh", "logcosh", "perplexity"),
    *("mae", "mape", "mse", "msle", "rmse"),
)
_MORE = (
    *("acc", "accuracy", "auc", "precision", "recall", "iou", "io_u"),
    *("f1", "f1_score", "f_beta_score", "fbeta_score", "r2_score"),
    *("concordance_correlation", "cosine_similarity", "pearson_correlation"),
    *("precision_at_recall", "recall_at_precision"),
    *("sensitivity_at_specificity", "specificity_at_sensitivity"),
)
_COUNTED = re.compile(r"_\d+$")
"""What Keras adds to the second ``auc`` of a process, and to the third."""


def direction_of(metric: str) -> Direction | None:
    """Tell whether less or more of a metric is better; None if its name does not tell.

    Keras's ``EarlyStopping`` and ``ModelCheckpoint`` minimise ``loss``, ask the metric's object
    for anything else, and refuse what that does not know (``MonitorCallback._set_monitor_op`` in
    ``keras/src/callbacks/monitor_callback.py``). Here is no such object, so these are the names
    that Keras gives its own metrics, with the direction that each has there, and of its losses.
    A name may have others before it: ``val_``, an output's, ``sparse_categorical_``.
    """
    name = _COUNTED.sub("", metric.lower())
    if _ends(name, _LESS):
        return "min"
    return "max" if _ends(name, _MORE) else None


def _ends(name: str, words: tuple[str, ...]) -> bool:
    return f"_{name}".endswith(tuple(f"_{word}" for word in words))
