from __future__ import annotations

import pytest

from tests.chaos import replay
from tests.chaos.plan import CONNECTION, FRAMES, draw


def test_a_seed_is_a_plan() -> None:
    """The same seed gives the same steps, and another one others; a longer plan begins the same."""
    plan = draw(1, 20, batch=100)
    assert plan == draw(1, 20, batch=100) == draw(1, 30, batch=100)[:20]
    assert plan != draw(2, 20, batch=100)


def test_all_kinds_are_drawn() -> None:
    """In a thousand steps each stands many times, kills less often."""
    kinds = [step.kind for step in draw(3, 1000, batch=100)]
    assert all(kinds.count(kind) > 30 for kind in (*FRAMES, *CONNECTION, "pause"))
    assert 20 < kinds.count("kill") < 90
    assert "kill" not in [step.kind for step in draw(3, 1000, batch=100, kills=False)]


def test_the_steps_can_be_told(capsys: pytest.CaptureFixture[str]) -> None:
    """By the command line, as a failure names them."""
    assert replay.main(["1", "--faults", "3", "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(step) for step in draw(1, 3, batch=100)]
