from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def test_both_kinds_of_clients_share_a_worker(run_example: Callable[[str], list[str]]) -> None:
    """Everyone's rounds come in order, turn by turn, and everyone's model learns its own slope."""
    lines = run_example("two_clients.py")
    assert lines[0].startswith("worker at unix://")
    diary = lines[1].partition(": ")[2].split(", ")
    assert diary[:6] == ["ada 1", "bob 1", "ada 2", "bob 2", "ada 3", "bob 3"]
    for name in ("cleo", "dan"):  # in what turns depends on who attaches first
        assert [entry for entry in diary[6:] if name in entry] == [f"{name} {n}" for n in (1, 2, 3)]
    assert lines[2:] == [
        "ada's model multiplies by 2.00",
        "bob's model multiplies by -3.00",
        "cleo's model multiplies by 4.00",
        "dan's model multiplies by -5.00",
    ]
