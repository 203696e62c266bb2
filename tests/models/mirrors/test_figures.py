from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest

from asyncbridge.models.mirrors.figures import draw, draw_runs, save
from asyncbridge.models.mirrors.records import Record

pytest.importorskip("matplotlib")
NAN = math.nan


def record(history: dict[str, list[Any]], **changes: Any) -> Record:
    """Return the record of a training."""
    epochs = list(range(max(map(len, history.values()), default=0)))
    fields: dict[str, Any] = {
        "epochs": epochs,
        "validation_epochs": epochs,
        "params": {},
        "state": "complete",
    }
    return Record(history=history, **{**fields, **changes})


def one(
    history: dict[str, list[Any]], *, metrics: Any = None, log: bool = False, **changes: Any
) -> Any:
    """Draw one training."""
    return draw(record(history, **changes), metrics=metrics, log=log)


def runs(*records: Record, metrics: Any = None, log: bool = False) -> Any:
    """Draw several trainings, called a, b, c."""
    return draw_runs(list(zip("abcdefghijklmn", records, strict=False)), metrics=metrics, log=log)


def labels(frame: Any) -> list[str]:
    """Return what the lines of a frame are called."""
    return [line.get_label() for line in frame.lines]


def test_metrics_are_chosen() -> None:
    """A metric brings its validation with it; a validation alone is drawn alone."""
    history = {"acc": [1.0], "loss": [1.0], "val_loss": [1.0]}
    (loss,) = one(history, metrics=["loss"]).axes
    assert (loss.get_ylabel(), labels(loss)) == ("loss", ["training", "validation"])
    (alone,) = one(history, metrics="val_loss").axes
    assert (alone.get_ylabel(), labels(alone)) == ("val_loss", ["validation"])
    assert [frame.get_ylabel() for frame in one(history, metrics=["loss", "acc"]).axes] == [
        "loss",
        "acc",
    ]


def test_an_unknown_metric_is_named() -> None:
    """The KeyError lists those that there are."""
    with pytest.raises(KeyError, match=r"no metric 'los' was recorded.*did you mean 'loss'\?"):
        one({"loss": [1.0]}, metrics=["los"])


def test_the_scale_may_be_logarithmic() -> None:
    """A metric that is nowhere above 0 stays linear, and warns of nothing."""
    figure = one({"loss": [1.0, 0.0], "gain": [0.0, -1.0], "gone": [NAN, NAN]}, log=True)
    assert [frame.get_yscale() for frame in figure.axes] == ["log", "linear", "linear"]
    figure.savefig(io.BytesIO())
    assert one({"loss": [1.0]}).axes[0].get_yscale() == "linear"


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"params": {"epochs": 100}, "state": "failed"}, "3 of 100 epochs, failed"),
        ({"params": {"epochs": 100}, "state": "running"}, "3 of 100 epochs, running"),
        ({"params": {"epochs": 100}}, "3 of 100 epochs"),
        ({"params": {"epochs": 3}}, ""),
        ({}, ""),
    ],
)
def test_the_title_says_what_is_missing(changes: dict[str, Any], title: str) -> None:
    """A training that is whole has no title."""
    assert one({"loss": [3.0, 2.0, 1.0]}, **changes).get_suptitle() == title


def test_a_value_alone_is_a_dot() -> None:
    """One epoch, and a value between two gaps, would have no line."""
    (frame,) = one({"loss": [1.0], "val_loss": [1.0]}).axes
    assert [(line.get_marker(), line.get_markevery()) for line in frame.lines] == [("o", [0])] * 2
    (frame,) = one({"loss": [1.0, NAN, 2.0, math.inf, 3.0, 4.0]}).axes
    assert frame.lines[0].get_markevery() == [0, 2]
    assert np.isnan(frame.lines[0].get_ydata()).tolist() == [0, 1, 0, 1, 0, 0]
    (frame,) = one({"loss": [1.0, 2.0]}).axes
    assert frame.lines[0].get_marker() == "None"


def test_epochs_are_whole_numbers() -> None:
    """The axis has no mark between two epochs."""
    figure = one({"loss": [1.0, 2.0, 3.0]})
    figure.canvas.draw()
    assert all(float(tick).is_integer() for tick in figure.axes[0].get_xticks())


def test_classes_have_colours() -> None:
    """Each class has one, for training and, dashed, for validation."""
    (frame,) = one({"f1": [[0.5, 1.0]] * 2, "val_f1": [[0.5, 1.0]] * 2}).axes
    assert labels(frame) == ["training[0]", "training[1]", "validation[0]", "validation[1]"]
    drawn = [(line.get_color(), line.get_linestyle()) for line in frame.lines]
    assert drawn == [("C0", "-"), ("C1", "-"), ("C0", "--"), ("C1", "--")]
    (frame,) = one({"f1": [[0.5] * 20] * 2}).axes
    assert (len(frame.lines), frame.get_legend()) == (20, None)


def test_hostile_names_are_text() -> None:
    """A name that would be a broken formula, or is endless, can be drawn."""
    figure = one({r"$\frac{": [1.0, 2.0], "_hidden": [1.0, 2.0], "x" * 9_999: [1.0, 2.0]})
    figure.savefig(io.BytesIO())
    assert figure.axes[0].get_ylabel() == r"$\frac{"
    assert len(figure.axes[2].get_ylabel()) == 60
    figure = draw_runs(
        [(r"$\frac{", record({"loss": [1.0]})), ("_b", record({}))], metrics=None, log=False
    )
    figure.savefig(io.BytesIO())


def test_runs_share_frames() -> None:
    """Each metric has a frame, each training a colour, and validation is dashed."""
    first = record({"loss": [2.0, 1.0], "val_loss": [3.0, 2.0]})
    second = record({"acc": [0.5], "loss": [1.0]})
    loss, acc = runs(first, second).axes
    assert (loss.get_ylabel(), acc.get_ylabel()) == ("loss", "acc")
    assert labels(loss) == ["a, training", "a, validation", "b, training"]
    assert labels(acc) == ["b, training"]
    drawn = [(line.get_color(), line.get_linestyle()) for line in loss.lines]
    assert drawn == [("C0", "-"), ("C0", "--"), ("C1", "-")]
    assert acc.lines[0].get_color() == "C1"


def test_the_legend_names_the_runs() -> None:
    """It marks those that are not whole, and tells the dashes, if there are any."""
    first = record({"loss": [2.0], "val_loss": [3.0]}, params={"epochs": 3}, state="failed")
    (legend,) = runs(first, record({"loss": [1.0]})).legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["a (1 of 3 epochs, failed)", "b", "training", "validation"]
    (legend,) = runs(record({"loss": [1.0]})).legends
    assert [text.get_text() for text in legend.get_texts()] == ["a"]


def test_runs_are_chosen_and_scaled() -> None:
    """A metric that one of them has is known; one that none has is a KeyError."""
    both = record({"loss": [1.0]}), record({"loss": [1.0], "acc": [1.0]})
    (frame,) = runs(*both, metrics=["acc"], log=True).axes
    assert (labels(frame), frame.get_yscale()) == (["b, training"], "log")
    with pytest.raises(KeyError, match="no metric 'f1' was recorded; there are: 'loss', 'acc'"):
        runs(*both, metrics=["f1"])


def test_many_runs_have_different_colours() -> None:
    """Beyond those that matplotlib repeats, they are taken from a scale."""
    (frame,) = runs(*[record({"loss": [1.0]})] * 14).axes
    assert len({tuple(line.get_color()) for line in frame.lines}) == 14


@pytest.mark.parametrize(
    ("name", "start"),
    [("figure", b"\x89PNG"), ("figure.png", b"\x89PNG"), ("figure.svg", b"<?xml")],
)
def test_a_figure_is_saved_in_the_format_of_its_suffix(
    tmp_path: Any, name: str, start: bytes
) -> None:
    """As PNG if it has none."""
    target = tmp_path / name
    assert save(one({"loss": [1.0]}), str(target)) == target
    assert target.read_bytes().startswith(start)


def test_an_unknown_format_is_refused(tmp_path: Any) -> None:
    """By matplotlib, with the names that it knows."""
    with pytest.raises(ValueError, match="png"):
        save(one({"loss": [1.0]}), tmp_path / "figure.nonsense")
