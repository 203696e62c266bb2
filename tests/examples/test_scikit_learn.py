from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from examples import scikit_learn

pytestmark = pytest.mark.slow


def test_a_pipeline_is_searched_and_trained_in_the_worker(
    run_example: Callable[[str], list[str]],
) -> None:
    """It stays there, as scores, parameters and predictions come back."""
    lines = run_example("scikit_learn.py")
    assert lines[0] == "in the worker: sklearn.pipeline.Pipeline"
    assert all(float(score) >= 0.9 for score in lines[1].removeprefix("five folds: ").split())
    assert lines[2].startswith("the best: {'logisticregression__C': ")
    assert lines[3] == "three flowers: setosa, versicolor, virginica"
    assert float(lines[4].removeprefix("told rightly: ").rstrip("%")) > 95
    assert len(lines) == 5


def test_this_process_needs_no_scikit_learn() -> None:
    """The data are read by the standard library and numpy."""
    measures, species = scikit_learn.load()
    assert measures.shape == (150, 4)
    assert set(species) == {"setosa", "versicolor", "virginica"}
    assert "sklearn" not in sys.modules
