from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from asyncbridge.models.mirrors.directions import direction_of

ASK_KERAS = """
import json
import keras

names = ("mse", "mae", "mape", "msle", "bce", "kl_divergence", "poisson", "hinge", "accuracy",
         "AUC", "Precision", "Recall", "F1Score", "R2Score", "CosineSimilarity", "LogCoshError",
         "PearsonCorrelation", "ConcordanceCorrelation", "RootMeanSquaredError",
         "SparseTopKCategoricalAccuracy", "SquaredHinge")
found = [keras.metrics.get(name) for name in names]
found += [keras.metrics.MeanIoU(2), keras.metrics.BinaryIoU(), keras.metrics.FBetaScore(),
          keras.metrics.PrecisionAtRecall(0.5), keras.metrics.SensitivityAtSpecificity(0.5)]
print(json.dumps({metric.name: metric._direction for metric in found}))
"""


@pytest.mark.parametrize(
    "name",
    [
        *("loss", "val_loss", "decoder_loss", "val_mean_squared_error", "mse", "my_error"),
        *("rmse", "sparse_categorical_crossentropy", "kl_divergence", "loss_2", "Huber"),
    ],
)
def test_less_of_a_loss_or_error_is_better(name: str) -> None:
    """Losses and errors are minimised, whichever output or data they are of."""
    assert direction_of(name) == "min"


@pytest.mark.parametrize(
    "name",
    [
        *("accuracy", "val_acc", "head_accuracy", "auc_1", "val_f1_score", "mean_io_u", "AUC"),
        *("top_5_accuracy", "val_cosine_similarity", "r2_score"),
    ],
)
def test_more_of_an_accuracy_is_better(name: str) -> None:
    """Scores are maximised, also when Keras has numbered them."""
    assert direction_of(name) == "max"


@pytest.mark.parametrize(
    "name",
    [
        "learning_rate",
        "val_",
        "",
        "lossy",
        "floss",
        "misacc",
        "loss_scale",
        "mean",
        "false_positives",
    ],
)
def test_other_names_tell_nothing(name: str) -> None:
    """A part of a word is no word, and a count may be good or bad."""
    assert direction_of(name) is None


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_names_go_where_keras_goes() -> None:
    """Keras's own metrics have the directions that their objects have there."""
    done = subprocess.run(
        [sys.executable, "-c", ASK_KERAS],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    told = json.loads(done.stdout)
    assert len(told) == 26
    assert {name: direction_of(name) for name in told} == {
        name: "max" if direction == "up" else "min" for name, direction in told.items()
    }
