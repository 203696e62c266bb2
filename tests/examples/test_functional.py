from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from examples import functional

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def test_the_two_outputs_are_learnt_and_told_by_name(
    run_example: Callable[[str], list[str]],
) -> None:
    """One encoder serves both inputs; each output has its metrics, and is right."""
    lines = run_example("functional.py")
    text = "\n".join(lines)
    assert "encoder[0][0]" in text
    assert "encoder[1][0]" in text
    values = dict(line.split(": ") for line in lines if ": 0." in line and "after" not in line)
    assert values.keys() == {
        "loss", "same_loss", "same_accuracy", "distance_loss", "distance_mae",
    }  # fmt: skip
    assert float(values["same_accuracy"]) > 0.95
    assert float(values["distance_mae"]) < 0.3
    rows = lines[-5:]
    assert all(("100%, in truth yes" in row) or ("0%, in truth no" in row) for row in rows)


def test_the_data_are_made_of_the_seed() -> None:
    """The same seed gives the same pairs; half of them or more show one thing twice."""
    inputs, targets = functional.make_data(rows=1000, seed=1)
    again, _ = functional.make_data(rows=1000, seed=1)
    assert np.array_equal(inputs["left"], again["left"])
    assert inputs["left"].dtype == np.float32
    assert 0.5 < targets["same"].mean() < 0.7
    assert ((targets["distance"] == 0) == (targets["same"] == 1)).all()
