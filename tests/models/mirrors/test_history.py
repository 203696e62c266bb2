from __future__ import annotations

import builtins
import copy
import io
import json
import math
import pickle
import sys
import threading
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import orjson
import pytest
import rich.console

from asyncbridge.models import Sequential, TrainingHistory
from asyncbridge.models.mirrors.history import Epoch, compare

if TYPE_CHECKING:
    from pathlib import Path


def history(**changes: Any) -> TrainingHistory:
    """Return a history of three epochs."""
    metrics = {"accuracy": [0.5, 0.75, 1.0], "loss": [3.0, 2.0, 1.0], "val_loss": [4.0, 3.0, 2.5]}
    return TrainingHistory(metrics, **changes)


def test_it_is_a_mapping_of_metrics() -> None:
    """A metric's values are looked up by its name."""
    trained = history()
    assert trained["loss"] == [3.0, 2.0, 1.0]
    assert list(trained) == trained.metrics == ["accuracy", "loss", "val_loss"]
    assert len(trained) == 3
    assert dict(trained) == trained.history


def test_an_unknown_metric_names_the_known_ones() -> None:
    """The KeyError lists what was recorded."""
    with pytest.raises(KeyError, match=r"no metric 'acc'.*'accuracy', 'loss', 'val_loss'"):
        history()["acc"]
    with pytest.raises(
        KeyError, match="no epoch has ended in this training; its state is 'running'"
    ):
        TrainingHistory({}, state="running")["loss"]


def test_epochs_default_to_all_of_them() -> None:
    """Without a list, the epochs are counted from 0, and each was validated."""
    trained = history()
    assert trained.epochs == trained.epoch == trained.validation_epochs == [0, 1, 2]
    assert (trained.model, trained.params) == (None, {})


def test_what_keras_knows_is_kept() -> None:
    """Model, epochs, parameters and validated epochs are the ones given."""
    model = Sequential()
    trained = history(
        model=model, epochs=[5, 6, 7], params={"steps": 2}, validation_epochs=[5, 6, 7]
    )
    assert trained.model is model
    assert (trained.epochs, trained.params) == ([5, 6, 7], {"steps": 2})
    assert trained.validation_epochs == [5, 6, 7]


def test_the_repr_is_factual() -> None:
    """It tells the number of epochs and the last value of each metric that is a number."""
    assert repr(history()) == "<TrainingHistory epochs=3 accuracy=1 loss=1 val_loss=2.5>"
    assert repr(TrainingHistory({"per_class": [[0.5, 0.5]]})) == "<TrainingHistory epochs=1>"
    assert repr(TrainingHistory({})) == "<TrainingHistory epochs=0>"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"params": {"epochs": 3}}, "epochs=3 loss=1"),
        ({"params": {"epochs": 7}}, "epochs=3 of 7 loss=1"),
        ({"params": {"epochs": 100}, "state": "running"}, "epochs=3 of 100 (running) loss=1"),
        ({"params": {"epochs": 3}, "state": "failed"}, "epochs=3 of 3 (failed) loss=1"),
        ({"state": "running"}, "epochs=3 (running) loss=1"),
    ],
)
def test_the_repr_tells_what_is_missing(changes: dict[str, Any], text: str) -> None:
    """It says of how many epochs, where not all are there, and the state unless complete."""
    trained = TrainingHistory({"loss": [3.0, 2.0, 1.0]}, **changes)
    assert repr(trained) == f"<TrainingHistory {text}>"
    assert trained.state == changes.get("state", "complete")


def test_an_unknown_state_is_named() -> None:
    """The error lists the states."""
    with pytest.raises(
        ValueError, match="state='done' is none of running, complete, stopped, failed"
    ):
        history(state="done")


def test_what_was_given_is_not_changed() -> None:
    """A history that goes on copies the lists that it began with."""
    metrics, epochs = {"loss": [1.0]}, [0]
    trained = TrainingHistory(metrics, epochs=epochs, state="running")
    trained._note(1, {"loss": 0.5})
    assert (metrics, epochs) == ({"loss": [1.0]}, [0])
    assert (trained["loss"], trained.epochs) == ([1.0, 0.5], [0, 1])


def running() -> TrainingHistory:
    """Return the history of a training of which two epochs of five have ended."""
    trained = TrainingHistory({}, params={"epochs": 5}, state="running")
    trained._note(0, {"loss": 3.0})
    trained._note(1, {"loss": 2.0, "val_loss": 2.5})
    return trained


def test_a_live_history_grows() -> None:
    """Each epoch that ends is there at once, in the same lists."""
    trained = TrainingHistory({}, params={"epochs": 5}, state="running")
    assert (len(trained), trained.epochs, trained.validation_epochs) == (0, [], [])
    trained._note(0, {"loss": 3.0})
    losses = trained["loss"]
    trained._note(1, {"loss": 2.0, "val_loss": 2.5})
    assert losses == [3.0, 2.0]
    assert (trained.epochs, trained.validation_epochs) == ([0, 1], [1])
    assert (trained.last().epoch, trained.best().epoch) == (1, 1)
    assert repr(trained) == "<TrainingHistory epochs=2 of 5 (running) loss=2 val_loss=2.5>"


def test_a_complete_history_is_keras_own() -> None:
    """At its end the values that Keras kept take the place of those that were noted."""
    trained = running()
    whole = TrainingHistory(
        {"loss": [3.0, 2.25], "val_loss": [2.5], "lr": [0.1, 0.1]},
        epochs=[0, 1],
        params={"epochs": 2, "steps": 7},
        validation_epochs=[1],
    )
    trained._complete(whole)
    assert trained.history == {"loss": [3.0, 2.25], "val_loss": [2.5], "lr": [0.1, 0.1]}
    assert (trained.state, trained.params) == ("complete", {"epochs": 2, "steps": 7})
    assert trained.best() == Epoch(1, {"loss": 2.25, "val_loss": 2.5, "lr": 0.1})
    assert repr(trained).startswith("<TrainingHistory epochs=2 loss=2.25")


def test_a_complete_history_remembers_which_epochs_had_a_metric() -> None:
    """Keras's lists do not tell them, what was noted does."""
    trained = TrainingHistory({}, state="running")
    trained._note(0, {"loss": 3.0, "rate": 0.1})
    trained._note(1, {"loss": 2.0})
    history = {"loss": [3.0, 2.0], "rate": [0.1]}
    trained._complete(TrainingHistory(history, epochs=[0, 1], validation_epochs=[]))
    assert trained.best("rate", mode="max") == Epoch(0, {"loss": 3.0, "rate": 0.1})


def test_a_failed_history_keeps_what_there_is() -> None:
    """The epochs before the failure can be looked at, and are marked."""
    trained = running()
    trained._fail()
    assert (trained.state, trained["loss"], trained.epochs) == ("failed", [3.0, 2.0], [0, 1])
    assert "2 of 5 epochs, failed" in trained._repr_html_()


def test_a_live_history_is_read_from_other_threads() -> None:
    """Whenever it is looked at, it holds whole epochs, in every form."""
    trained = TrainingHistory({}, params={"epochs": 300}, state="running")
    ended, begun = threading.Event(), threading.Event()
    wrong: list[object] = []

    def read() -> None:
        while not ended.is_set():
            data = trained.to_dict()
            values = range(len(data["epochs"]))
            if data["history"] and data["history"] != {"loss": [*values], "val_loss": [*values]}:
                wrong.append(data)
            ET.fromstring(trained._repr_html_())
            trained.to_csv()
            list(trained.items())
            begun.set()

    threads = [threading.Thread(target=read) for _ in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        assert begun.wait(60)
        for epoch in range(300):
            trained._note(epoch, {"loss": epoch, "val_loss": epoch})
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert wrong == []
    assert len(trained.epochs) == 300


def test_the_best_and_the_last_epoch() -> None:
    """The best is by the validation's loss unless another metric or mode is given."""
    trained = TrainingHistory(
        {"accuracy": [0.5, 1.0, 0.75], "loss": [3.0, 2.0, 1.0], "val_loss": [4.0, 2.0, 3.0]}
    )
    assert trained.best() == Epoch(1, {"accuracy": 1.0, "loss": 2.0, "val_loss": 2.0})
    assert trained.best("accuracy").epoch == trained.best("loss", mode="min").epoch - 1 == 1
    assert trained.last()["val_loss"] == 3.0
    with pytest.raises(ValueError, match="mode='low' is none of"):
        trained.best(mode="low")  # type: ignore[arg-type]


def test_a_plot_has_a_frame_for_each_metric() -> None:
    """Training and validation of one metric share a frame."""
    pytest.importorskip("matplotlib")
    figure = history(epochs=[3, 4, 5], validation_epochs=[3, 4, 5]).plot()
    accuracy, loss = figure.axes
    assert (accuracy.get_ylabel(), loss.get_ylabel()) == ("accuracy", "loss")
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    training, validation = loss.lines
    assert np.asarray(training.get_xdata()).tolist() == [3, 4, 5]
    assert np.asarray(validation.get_ydata()).tolist() == [4.0, 3.0, 2.5]


def test_validation_is_drawn_where_it_happened() -> None:
    """With fewer validations than epochs, each point stands at its own epoch."""
    pytest.importorskip("matplotlib")
    trained = TrainingHistory(
        {"loss": [4.0, 3.0, 2.0, 1.0], "val_loss": [3.0, 1.0]}, validation_epochs=[1, 3]
    )
    (frame,) = trained.plot().axes
    assert np.asarray(frame.lines[1].get_xdata()).tolist() == [1, 3]


def test_a_metric_of_that_name_is_no_validation() -> None:
    """A metric that only begins with ``val_`` has a frame of its own."""
    pytest.importorskip("matplotlib")
    (frame,) = TrainingHistory({"val_ue": [1.0]}).plot().axes
    assert frame.get_ylabel() == "val_ue"


def test_an_empty_history_still_plots() -> None:
    """There is one empty frame, and no error."""
    pytest.importorskip("matplotlib")
    assert len(TrainingHistory({}).plot().axes) == 1


def test_a_plot_is_written_as_png_from_any_thread(tmp_path: Path) -> None:
    """No thread has to be the main one, and pyplot is never loaded."""
    pytest.importorskip("matplotlib")
    written: list[Path] = []
    target = tmp_path / "history"
    thread = threading.Thread(target=lambda: written.append(history().plot(target)))
    thread.start()
    thread.join()
    assert written == [target]
    assert target.read_bytes().startswith(b"\x89PNG")
    assert "matplotlib.pyplot" not in sys.modules


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ImportError says what to install."""
    original = builtins.__import__

    def refuse(name: str, *args: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return original(name, *args)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"asyncbridge-keras\[plot\]"):
        history().plot()


def test_a_plot_takes_metrics_and_a_scale(tmp_path: Path) -> None:
    """Those alone are drawn, and the values may stand on a logarithmic scale."""
    pytest.importorskip("matplotlib")
    (frame,) = history().plot(metrics="loss", log=True).axes
    assert (frame.get_ylabel(), frame.get_yscale()) == ("loss", "log")
    target = tmp_path / "loss.png"
    assert history().plot(target, metrics=["loss"]) == target
    assert running().plot().get_suptitle() == "2 of 5 epochs, running"


def test_histories_are_compared(tmp_path: Path) -> None:
    """They are called run 1, run 2, or as the labels say, or as in the dict."""
    pytest.importorskip("matplotlib")

    def names(figure: Any) -> list[str]:
        return [text.get_text() for text in figure.legends[0].get_texts()]

    one, two = history(), running()
    kinds = ["training", "validation"]
    marked = "(2 of 5 epochs, running)"
    assert names(compare(one, two)) == ["run 1", f"run 2 {marked}", *kinds]
    assert names(compare(one, two, labels=["a", "b"])) == ["a", f"b {marked}", *kinds]
    assert names(compare({"c": one, "d": two})) == ["c", f"d {marked}", *kinds]
    assert names(TrainingHistory.compare(one)) == names(one.compare()) == ["run 1", *kinds]
    assert names(one.compare(two)) == names(compare(one, two))
    (frame,) = compare(one, two, metrics=["loss"], log=True).axes
    assert (len(frame.lines), frame.get_yscale()) == (4, "log")
    assert compare(one, path=tmp_path / "runs") == tmp_path / "runs"
    assert (tmp_path / "runs").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_compared_is_named() -> None:
    """No training, another number of labels, and anything else are errors that say so."""
    one: Any = history()
    with pytest.raises(ValueError, match="no training to compare"):
        compare()
    with pytest.raises(ValueError, match="no training to compare"):
        compare({})
    with pytest.raises(ValueError, match="1 labels for 2 trainings"):
        compare(one, one, labels=["a"])
    with pytest.raises(TypeError, match="one dict of names to trainings"):
        compare({"a": one}, one)
    with pytest.raises(TypeError, match="one dict of names to trainings"):
        compare({"a": one}, labels=["b"])
    with pytest.raises(TypeError, match="run 2 is no TrainingHistory, but of the class dict"):
        compare(one, one.history)
    with pytest.raises(TypeError, match="accuracy is no TrainingHistory, but of the class list"):
        compare(one.history)


def test_a_comparison_without_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ImportError says what to install."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"compare\(\).*asyncbridge-keras\[plot\]"):
        compare(history())


def test_a_notebook_shows_charts() -> None:
    """The HTML has a chart for each metric."""
    shown = ET.fromstring(history()._repr_html_())
    assert [svg.get("aria-label") for svg in shown.iter("svg")] == [
        "accuracy over the epochs",
        "loss over the epochs",
    ]


def test_rich_shows_a_table() -> None:
    """A metric whose name tells no direction, or that has classes, has no best value."""
    trained = TrainingHistory(
        {"loss": [3.0, 1.0, 2.0], "rate": [1.0, 2.0, 3.0], "f1_score": [[0.0, 1.0]] * 3}
    )
    console = rich.console.Console(file=io.StringIO(), width=100, color_system=None)
    with console.capture() as capture:
        console.print(trained)
    rows = [line.strip("│").split("│") for line in capture.get().splitlines()]
    shown = {row[0].strip(): row[-1].strip() for row in rows if len(row) == 5}
    assert shown == {"loss": "1 (1)", "rate": "", "f1_score": ""}


def test_a_dict_and_back() -> None:
    """The dict is a deep copy of plain data, and makes an equal history."""
    trained = TrainingHistory(
        {"f1": [[0.5, 1.0], [1.0, 1.0]], "loss": [np.float32(2.0), 1.0], "val_loss": [1.5]},
        epochs=[4, 5],
        params={"epochs": 9, "steps": None},
        validation_epochs=[5],
        state="failed",
    )
    data = trained.to_dict()
    assert data == {
        "history": {"f1": [[0.5, 1.0], [1.0, 1.0]], "loss": [2.0, 1.0], "val_loss": [1.5]},
        "epochs": [4, 5],
        "validation_epochs": [5],
        "params": {"epochs": 9, "steps": None},
        "state": "failed",
    }
    made = TrainingHistory.from_dict(json.loads(json.dumps(data)))
    assert made.to_dict() == data
    data["history"]["f1"][0].append(0.0)
    assert trained["f1"][0] == made["f1"][0] == [0.5, 1.0]


def test_the_dict_tells_the_epochs_of_a_metric_that_was_missing() -> None:
    """They could not be told from the number of its values."""
    trained = TrainingHistory({}, state="running")
    trained._note(0, {"loss": 3.0, "rate": 0.1})
    trained._note(1, {"loss": 2.0})
    data = trained.to_dict()
    assert data["metric_epochs"] == {"rate": [0]}
    made = TrainingHistory.from_dict(data)
    assert made.to_csv() == trained.to_csv() == "epoch,loss,rate\n0,3.0,0.1\n1,2.0,\n"
    made._note(2, {"rate": 0.2})
    assert trained.to_dict() == data


def test_nan_comes_through_json() -> None:
    """Where JSON has null, the history has NaN again."""
    data = orjson.loads(orjson.dumps(TrainingHistory({"loss": [math.nan, 1.0]}).to_dict()))
    assert data["history"] == {"loss": [None, 1.0]}
    assert str(TrainingHistory.from_dict(data)["loss"]) == "[nan, 1.0]"


def test_a_dict_may_lack_all_but_the_values() -> None:
    """The rest is as the constructor has it; a model may be given."""
    model = Sequential()
    made = TrainingHistory.from_dict({"history": {"loss": [1.0]}}, model=model)
    assert (made.epochs, made.state, made.model) == ([0], "complete", model)


@pytest.mark.parametrize("data", [{}, {"loss": [1.0]}, {"history": {"loss": 1.0}}, "text"])
def test_other_data_are_refused(data: Any) -> None:
    """The error says what is wanted, and what came."""
    with pytest.raises(ValueError, match=r"from_dict\(\) takes what to_dict\(\) returns.*this is"):
        TrainingHistory.from_dict(data)


def test_csv_is_text_or_a_file(tmp_path: Path) -> None:
    """Both hold the same, with plain line ends, in UTF-8."""
    trained = TrainingHistory({"genauigkeit_ü": [0.5, 1.0]})
    target = tmp_path / "history.csv"
    assert trained.to_csv() == "epoch,genauigkeit_ü\n0,0.5\n1,1.0\n"
    assert trained.to_csv(str(target)) == target
    assert target.read_bytes() == trained.to_csv().encode("utf-8")


def test_a_frame_is_indexed_by_epoch() -> None:
    """The columns are the metrics."""
    pytest.importorskip("pandas")
    frame = history(epochs=[3, 4, 5]).to_pandas()
    assert frame.loc[4].to_dict() == {"accuracy": 0.75, "loss": 2.0, "val_loss": 3.0}


def test_a_history_is_copied_and_pickled() -> None:
    """Also while it runs; the copies go their own ways."""
    trained = running()
    copies = [copy.deepcopy(trained), pickle.loads(pickle.dumps(trained))]
    trained._note(2, {"loss": 1.0})
    assert [made["loss"] for made in copies] == [[3.0, 2.0], [3.0, 2.0]]
    assert [made.state for made in copies] == ["running", "running"]
