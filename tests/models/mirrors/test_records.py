from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest

from asyncbridge.models.mirrors.records import Record, plain, without_null


def record(history: dict[str, list[Any]] | None = None, **changes: Any) -> Record:
    """Return the record of a training that runs."""
    fields: dict[str, Any] = {
        "epochs": [],
        "validation_epochs": [],
        "params": {},
        "state": "running",
    }
    return Record(history={} if history is None else history, **{**fields, **changes})


def test_an_epoch_is_appended() -> None:
    """The values are plain lists, as Keras has them, and the epochs those that were noted."""
    made = record()
    made.note(3, {"loss": 2.0})
    made.note(4, {"loss": 1.0, "val_loss": 1.5})
    assert made.history == {"loss": [2.0, 1.0], "val_loss": [1.5]}
    assert (made.epochs, made.validation_epochs) == ([3, 4], [4])


def test_a_metric_may_come_late_or_be_missing() -> None:
    """Each value keeps its epoch, though the lists have no gaps."""
    made = record()
    made.note(0, {"loss": 3.0})
    made.note(1, {"loss": 2.0, "rate": 0.1})
    made.note(2, {"rate": 0.2})
    made.note(3, {"loss": 1.0})
    assert made.points("loss") == [(0, 3.0), (1, 2.0), (3, 1.0)]
    assert made.points("rate") == [(1, 0.1), (2, 0.2)]
    assert made.unusual() == {"loss": [0, 1, 3], "rate": [1, 2]}


def test_an_earlier_record_is_continued() -> None:
    """Values that were there keep the epochs that they had."""
    made = record({"loss": [2.0, 1.0]}, epochs=[0, 1])
    made.note(2, {"loss": 0.5})
    assert made.points("loss") == [(0, 2.0), (1, 1.0), (2, 0.5)]
    assert made.unusual() == {}


def test_a_name_of_its_own_is_no_validation() -> None:
    """``val_`` before a name that is no metric means nothing."""
    made = record()
    made.note(0, {"val_ue": 1.0})
    assert (made.validation_epochs, made.metrics) == ([], ["val_ue"])
    made.note(1, {"ue": 1.0, "val_ue": 1.0})
    assert (made.validation_epochs, made.metrics) == ([1], ["ue"])


@pytest.mark.parametrize(
    ("history", "name", "epochs"),
    [
        ({"loss": [1.0] * 4, "val_loss": [1.0] * 2}, "val_loss", [1, 3]),
        ({"loss": [1.0] * 4, "val_loss": [1.0] * 4}, "val_loss", [0, 1, 2, 3]),
        ({"loss": [1.0] * 4, "val_loss": [1.0]}, "val_loss", [3]),
        ({"loss": [1.0] * 4, "rate": [1.0] * 3}, "rate", [1, 2, 3]),
        ({"loss": [1.0] * 4, "rate": []}, "rate", []),
        ({"loss": [1.0] * 9}, "loss", [0, 1, 2, 3]),
    ],
)
def test_what_was_not_noted_is_placed(
    history: dict[str, list[Any]], name: str, epochs: list[int]
) -> None:
    """As many values as validations belong to those; fewer values than epochs to the last ones."""
    made = record(history, epochs=[0, 1, 2, 3], validation_epochs=[1, 3])
    assert [epoch for epoch, _ in made.points(name)] == epochs


def test_a_copy_is_a_copy() -> None:
    """What is noted later is not in it, nor does it come from where it was copied to."""
    made = record({"earlier": [1.0], "none": []}, params={"epochs": 3})
    made.note(0, {"loss": 1.0, "val_loss": 2.0})
    copy = made.copy()
    made.note(1, {"loss": 0.5, "val_loss": 1.0, "rate": 1.0})
    made.params["epochs"] = 9
    assert copy.history == {"earlier": [1.0], "none": [], "loss": [1.0], "val_loss": [2.0]}
    assert (copy.epochs, copy.validation_epochs, copy.params) == ([0], [0], {"epochs": 3})


class ReadMeanwhile(dict[str, Any]):
    """Logs that look at the record, from another thread, between two of their metrics."""

    def __init__(self, logs: dict[str, Any], made: Record) -> None:
        super().__init__(logs)
        self.made = made
        self.copies: list[Record] = []

    def items(self) -> Any:
        for item in super().items():
            yield item
            thread = threading.Thread(target=lambda: self.copies.append(self.made.copy()))
            thread.start()
            thread.join()


def test_a_copy_has_whole_epochs_alone() -> None:
    """Another thread that reads while an epoch is noted sees all before it, and nothing of it."""
    made = record()
    made.note(0, {"loss": 2.0, "val_loss": 3.0})
    logs = ReadMeanwhile({"loss": 1.0, "val_loss": 2.0, "late": 0.0}, made)
    made.note(1, logs)
    assert len(logs.copies) == 3
    for copy in logs.copies:
        assert copy.history == {"loss": [2.0], "val_loss": [3.0]}
        assert (copy.epochs, copy.validation_epochs) == ([0], [0])
    assert made.copy().history == {"loss": [2.0, 1.0], "val_loss": [3.0, 2.0], "late": [0.0]}


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"epochs": [0, 1, 2], "params": {"epochs": 3}, "state": "complete"}, "3 epochs"),
        ({"epochs": [0], "params": {"epochs": 3}, "state": "complete"}, "1 of 3 epochs"),
        ({"epochs": [0], "params": {"epochs": 3}}, "1 of 3 epochs, running"),
        ({"params": {"epochs": 3}, "state": "failed"}, "0 of 3 epochs, failed"),
        ({"epochs": [8, 9], "params": {"epochs": 10}, "state": "complete"}, "2 epochs"),
        ({"epochs": [8], "params": {"epochs": 10}}, "1 of 2 epochs, running"),
        ({"epochs": [0], "state": "failed"}, "1 epoch, failed"),
    ],
)
def test_the_title_tells_epochs_and_state(changes: dict[str, Any], title: str) -> None:
    """It says of how many unless all are there, counted from the first that was asked for."""
    assert record(**changes).title == title
    assert record(**changes).whole == ("of" not in title and "," not in title)


def test_lines_are_training_then_validation() -> None:
    """What cannot be drawn is a gap; the points are in the order of the epochs."""
    made = record(
        {"loss": [1.0, "?", 2.0], "val_loss": [math.inf, 1.0, 3.0]},
        epochs=[2, 0, 1],
        validation_epochs=[0, 1, 2],
    )
    training, validation = made.lines("loss")
    assert (training.label, validation.label) == ("training", "validation")
    assert str(training.points) == "[(0, nan), (1, 2.0), (2, 1.0)]"
    assert str(validation.points) == "[(0, nan), (1, 1.0), (2, 3.0)]"
    assert [line.label for line in made.lines("val_loss")] == ["validation"]
    assert made.lines("unknown") == []


def test_each_class_is_a_line() -> None:
    """A value that is a list, or an array, has a line for each of its numbers."""
    made = record({"f1": [[0.5, 0.25], np.array([1.0, 0.75])]}, epochs=[0, 1])
    assert {line.label: line.points for line in made.lines("f1")} == {
        "training[0]": [(0, 0.5), (1, 1.0)],
        "training[1]": [(0, 0.25), (1, 0.75)],
    }
    made = record({"confusion": [[[1, 2], [3]]]}, epochs=[0])
    assert list(made.columns("confusion")) == ["[0][0]", "[0][1]", "[1][0]"]


def test_plain_is_a_deep_copy_without_numpy() -> None:
    """Arrays are lists and numpy's numbers Python's; lists and dicts are new ones."""
    inner = [1.0]
    copy = plain({"a": inner, "b": np.arange(2), "c": (np.float32(0.5), None), "d": "text"})
    assert copy == {"a": [1.0], "b": [0, 1], "c": [0.5, None], "d": "text"}
    assert type(copy["c"][0]) is float
    assert copy["a"] is not inner


def test_null_becomes_nan() -> None:
    """JSON has no NaN; within lists as well."""
    assert str(without_null([1.0, None, [None]])) == "[1.0, nan, [nan]]"
