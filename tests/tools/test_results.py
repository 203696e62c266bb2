from __future__ import annotations

import pytest

from tools.results import result_of
from tools.surface import Object


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("keras.applications.resnet.ResNet50", "Model"),
        ("keras.applications.resnet.preprocess_input", None),
        ("keras.saving.load_model", "Model"),
        ("keras.utils.image_dataset_from_directory", "Dataset"),
        ("keras.losses.get", "RemoteObject"),
        ("keras.optimizers.get", "Optimizer"),
        ("keras.ops.relu", None),
    ],
)
def test_what_stays_in_the_worker(name: str, result: str | None) -> None:
    """Models, datasets and what has no wire form; all else comes back as data."""
    item = Object(
        key=name, names=(name,), name=name.rpartition(".")[2], module="keras.src",
        is_class=False, parameters=(),
    )  # fmt: skip
    assert result_of(item) == result
