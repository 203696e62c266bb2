from __future__ import annotations

import re
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.slow


def test_results_come_back_and_the_frame_stays(run_example: Callable[[str], list[str]]) -> None:
    """Masks, groups and rows of a frame that is nowhere but in the worker."""
    lines = run_example("pandas_frames.py")
    assert lines[0] == "mixed (200000, 3), 5 MB, in the worker"
    found = re.fullmatch(r"orders over 500: (\d+), the largest (.+)", lines[1])
    assert found is not None
    assert 0 < int(found[1]) < 200_000
    assert re.fullmatch(r"single items to ch: \d+\.\d\d on average", lines[2])
    table = {line.split()[0]: line.split()[1:] for line in lines[3:10]}
    assert table["sum"] == ["mean"]
    assert table.keys() >= {"at", "ch", "de", "fr", "it"}
    largest = lines[lines.index("the largest:") + 1 :]
    assert len(largest) == 3
    assert largest[0].endswith(f" items, {found[2]}")
