from __future__ import annotations

import re
from collections.abc import Callable

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def test_values_and_errors_go_the_ways_that_were_said_in_advance(
    run_example: Callable[[str], list[str]],
) -> None:
    """Each handler runs once; what stands behind an error's ``then`` never does."""
    lines = run_example("callbacks.py")
    assert lines[0] == "everything is sent; now the values are waited for"
    assert lines.index("trained for 100 epochs") < lines.index(
        "one flower in fifty: setosa, versicolor, virginica"
    )
    assert lines.index("refused: ValueError") < lines.index("however it ended, this is printed")
    assert set(next(line for line in lines if "metrics" in line)[9:].split(", ")) == {
        "accuracy",
        "loss",
    }
    assert len(lines) == 7
    score = re.fullmatch(r"Score\(loss=(.+), accuracy=(.+)\)", lines[-1])
    assert score is not None
    assert float(score[2]) > 0.9
