from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from asyncbridge.models.mirrors.bars import Bar, _Screen
from asyncbridge.models.mirrors.events import BatchEnd, EpochEnd
from asyncbridge.models.mirrors.history import TrainingHistory

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def console() -> Iterator[Console]:
    """A terminal of 120 columns, in memory."""
    yield Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    left, _Screen._current = _Screen._current, None
    assert left is None, "the terminal was not given back"


def batch(epoch: int, step: int, steps: int | None = 10, **logs: float) -> BatchEnd:
    """Return a batch's end, a second later for each step."""
    return BatchEnd(epoch=epoch, epochs=4, step=step, steps=steps, logs=logs, elapsed=float(step))


def history(state: Any) -> TrainingHistory:
    """Return the history of a training that has ended like this."""
    return TrainingHistory({}, state=state)


def lines(console: Console) -> list[str]:
    """Return what was drawn, each state of each bar once, without control characters."""
    assert isinstance(console.file, io.StringIO)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
    drawn = [line.strip() for line in re.split(r"[\r\n]+", text)]
    return [line for line in drawn if line]


def test_a_bar_tells_epoch_step_time_and_metrics(console: Console) -> None:
    """The time is what the rest takes at the pace so far."""
    bar = Bar(console)
    bar.show(batch(0, 3, loss=0.5))
    assert "ETA" not in lines(console)[-1]  # the first step compiles: it tells no pace
    bar.show(batch(0, 5, loss=0.25))
    line = lines(console)[-1]
    assert line.startswith("Epoch 1/4")
    assert "5/10" in line
    assert "ETA 35.0 s" in line
    assert line.endswith("loss: 0.25")
    bar.close(history("complete"))
    assert "ETA" not in lines(console)[-1]
    assert "5.0 s" in lines(console)[-1]


def test_a_pipeline_of_unknown_length_has_no_end_in_sight(console: Console) -> None:
    """The steps are counted."""
    bar = Bar(console)
    bar.show(batch(0, 7, None))
    line = lines(console)[-1]
    assert "7/?" in line
    assert "ETA" not in line
    bar.close(history("complete"))


def test_epochs_before_the_first_are_not_counted(console: Console) -> None:
    """A training that goes on from an earlier one is estimated by itself."""
    bar = Bar(console)
    bar.show(batch(2, 1))
    bar.show(batch(2, 6))
    assert "ETA 14.0 s" in lines(console)[-1]
    bar.close(history("complete"))


def test_metrics_of_the_validation_stay(console: Console) -> None:
    """A batch tells of the training alone."""
    bar = Bar(console)
    bar.show(batch(0, 10, loss=0.25, val_loss=0.5))
    bar.show(batch(1, 1, loss=0.125))
    assert lines(console)[-1].endswith("loss: 0.125  val_loss: 0.5")
    bar.close(history("complete"))


@pytest.mark.parametrize(("state", "word"), [("failed", "failed"), ("running", "cut off")])
def test_an_end_that_is_none_is_told(console: Console, state: str, word: str) -> None:
    """The bar stays where it was."""
    bar = Bar(console)
    bar.show(batch(1, 5))
    bar.close(history(state))
    assert word in lines(console)[-1]
    assert lines(console)[-1].startswith("Epoch 2/4")


def test_two_trainings_share_the_terminal(console: Console) -> None:
    """Each has its line; the terminal is given back with the last."""
    first, second = Bar(console), Bar(console)
    first.show(batch(0, 1))
    second.show(batch(1, 1))
    assert [line[:9] for line in lines(console)[-2:]] == ["Epoch 1/4", "Epoch 2/4"]
    first.close(history("complete"))
    assert _Screen._current is not None
    second.close(history("complete"))


def test_names_of_metrics_are_shown_as_they_are(console: Console) -> None:
    """They are no markup."""
    bar = Bar(console)
    bar.show(EpochEnd(epoch=0, epochs=1, step=1, steps=1, logs={"[red]a{b}": 1.0}, elapsed=9000.0))
    assert "[red]a{b}: 1" in lines(console)[-1]
    bar.close(history("complete"))
    assert "2:30:00" in lines(console)[-1]


def test_a_narrow_terminal_shows_the_losses() -> None:
    """Other metrics give way."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    bar = Bar(console)
    bar.show(batch(0, 1))
    bar.show(batch(0, 10, accuracy=0.98765, loss=0.12345, val_accuracy=0.98765, val_loss=0.54321))
    assert "loss: 0.1235  val_loss: 0.5" in lines(console)[-1]
    bar.close(history("complete"))
    assert "loss: 0.1235  val_loss: 0.5432" in lines(console)[-1]
