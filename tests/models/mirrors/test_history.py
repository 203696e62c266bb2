from __future__ import annotations

import builtins
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge.models import Sequential, TrainingHistory

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
    with pytest.raises(KeyError, match="there are: none"):
        TrainingHistory({})["loss"]


def test_epochs_default_to_all_of_them() -> None:
    """Without a list, the epochs are counted from 0, and each was validated."""
    trained = history()
    assert trained.epochs == trained.validation_epochs == [0, 1, 2]
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
