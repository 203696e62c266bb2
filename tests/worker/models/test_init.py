from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.limits import HANG_S

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

NAMES = [
    "evaluate", "fit", "layer_rows", "named_weights", "plain", "plot", "predict", "predict_on_batch",
    "set_named_weights", "state", "summary", "test_on_batch", "train_on_batch",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.tensorflow
def test_names(worker: KerasProcess) -> None:
    """These names are what commands use."""
    assert worker.run("worker_models.__all__") == NAMES
    assert worker.run("[n for n in worker_models.__all__ if not hasattr(worker_models, n)]") == []


@pytest.mark.slow
def test_a_worker_starts_without_it() -> None:
    """The worker's own modules import neither this package nor Keras."""
    code = (
        "import sys, asyncbridge.worker.app, asyncbridge.worker.__main__, asyncbridge.worker.engine\n"
        "print([n for n in ('keras', 'asyncbridge.worker.models') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG_S
    )
    assert done.stdout.strip() == "[]"
