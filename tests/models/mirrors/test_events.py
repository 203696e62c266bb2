from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from asyncbridge.models.mirrors.events import BatchEnd, EpochEnd, TrainingEvent, event_of

REPORT: dict[str, Any] = {
    "kind": "epoch_end",
    "epoch": 2,
    "epochs": 5,
    "step": 10,
    "steps": 10,
    "logs": {"loss": 0.5},
    "elapsed": 1.5,
}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("train_begin", "TrainBegin"),
        ("epoch_begin", "EpochBegin"),
        ("batch_end", "BatchEnd"),
        ("validation_end", "ValidationEnd"),
        ("epoch_end", "EpochEnd"),
        ("train_end", "TrainEnd"),
    ],
)
def test_each_report_is_an_event_of_its_kind(kind: str, name: str) -> None:
    """With the fields of all events."""
    event = event_of({**REPORT, "kind": kind, "steps": None})
    assert isinstance(event, TrainingEvent)
    assert type(event).__name__ == name
    assert (event.epoch, event.epochs, event.step, event.steps) == (2, 5, 10, None)
    assert (event.logs, event.elapsed) == ({"loss": 0.5}, 1.5)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "batch_begin"},
        {"kind": 3},
        {"kind": ["epoch_end"]},
        {"epoch": "2"},
        {"steps": 2.5},
        {"logs": [1]},
        {"elapsed": None},
        {"elapsed": float("nan")},
        {"logs": {7: 1.0}},
        {"logs": {"loss": "text"}},
    ],
)
def test_what_is_no_known_event_is_none(change: dict[str, object]) -> None:
    """A worker may be newer, or not to be trusted."""
    assert event_of({**REPORT, **change}) is None


@pytest.mark.parametrize("report", [None, 3, "epoch_end", [], {}])
def test_what_is_no_report_is_none(report: object) -> None:
    """The worker's code may report anything."""
    assert event_of(report) is None


def test_events_are_values() -> None:
    """They compare, show their class, match by field, and do not change."""
    event = event_of(REPORT)
    assert event == event_of(dict(REPORT))
    assert event != event_of({**REPORT, "kind": "batch_end"})
    assert repr(event).startswith("EpochEnd(epoch=2, epochs=5, step=10")
    match event:
        case BatchEnd():
            pytest.fail("an epoch's end is no batch's")
        case EpochEnd(epoch=epoch, logs=logs):
            assert (epoch, logs) == (2, {"loss": 0.5})
    with pytest.raises(FrozenInstanceError):
        event.epoch = 3  # type: ignore[union-attr,misc]  # what is tested
