from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest

from asyncbridge.models.mirrors.epoch import Epoch, best_epoch, known, last_epoch
from asyncbridge.models.mirrors.records import Record

NAN = math.nan


def record(history: dict[str, list[Any]], **changes: Any) -> Record:
    """Return the record of a training, whose epochs all ended with a validation."""
    epochs = list(range(max(map(len, history.values()), default=0)))
    fields: dict[str, Any] = {
        "epochs": epochs,
        "validation_epochs": epochs,
        "params": {},
        "state": "complete",
    }
    return Record(history=history, **{**fields, **changes})


def test_an_epoch_is_a_mapping() -> None:
    """Its metrics are looked up by name, and its index is an attribute."""
    epoch = Epoch(6, {"loss": 0.5, "val_loss": 0.625})
    assert (epoch.epoch, epoch["val_loss"], len(epoch)) == (6, 0.625, 2)
    assert dict(epoch) == epoch == {"loss": 0.5, "val_loss": 0.625}
    assert epoch == Epoch(6, dict(epoch))
    assert epoch != Epoch(7, dict(epoch))
    assert repr(epoch) == "<Epoch 6 loss=0.5 val_loss=0.625>"
    assert repr(Epoch(0, {"f1": [0.5, 1.0]})) == "<Epoch 0 f1=[0.5, 1]>"


def test_an_epoch_cannot_be_changed() -> None:
    """It has no item assignment, and its attributes are read-only; copies are equal."""
    epoch = Epoch(6, {"loss": 0.5})
    with pytest.raises(AttributeError):
        epoch.epoch = 7  # type: ignore[misc]
    with pytest.raises(TypeError, match="item assignment"):
        epoch["loss"] = 1.0  # type: ignore[index]
    with pytest.raises(TypeError, match="unhashable"):
        hash(epoch)
    assert pickle.loads(pickle.dumps(epoch)) == copy.deepcopy(epoch) == epoch


def test_an_epoch_names_what_it_has() -> None:
    """A metric that was not recorded in it is a KeyError that lists those that were."""
    with pytest.raises(KeyError, match="no metric 'val_loss' was recorded in epoch 6.*'loss'"):
        Epoch(6, {"loss": 0.5})["val_loss"]


def test_known_suggests() -> None:
    """The list of names has the one that is most like the misspelt one."""
    assert known("acc", {"loss": 0, "accuracy": 0}) == (
        "there are: 'loss', 'accuracy'; did you mean 'accuracy'?"
    )
    assert known("zzz", {"loss": 0}) == "there are: 'loss'"
    assert known("zzz", {}) == "there are: none"


def test_the_best_goes_by_the_name() -> None:
    """The least loss and the largest accuracy are best, each with all of its epoch."""
    made = record({"accuracy": [0.5, 1.0, 0.75], "loss": [3.0, 2.0, 1.0]})
    assert best_epoch(made, "loss", "auto") == Epoch(2, {"accuracy": 0.75, "loss": 1.0})
    assert best_epoch(made, "accuracy", "auto") == Epoch(1, {"accuracy": 1.0, "loss": 2.0})


def test_the_mode_says_otherwise() -> None:
    """``min`` and ``max`` hold for any name."""
    made = record({"rate": [0.5, 0.25, 1.0], "loss": [3.0, 2.0, 1.0]})
    assert best_epoch(made, "rate", "min").epoch == 1
    assert best_epoch(made, "rate", "max").epoch == 2
    assert best_epoch(made, "loss", "max").epoch == 0


def test_of_equal_epochs_the_first_is_best() -> None:
    """A later one would have to be better."""
    assert best_epoch(record({"loss": [2.0, 1.0, 1.0]}), "loss", "auto").epoch == 1
    assert best_epoch(record({"acc": [1.0, 1.0]}), "acc", "auto").epoch == 0


def test_nan_is_never_best() -> None:
    """It is passed over wherever it stands; infinity can be compared."""
    assert best_epoch(record({"loss": [NAN, 2.0, NAN, 1.0, NAN]}), "loss", "auto").epoch == 3
    assert best_epoch(record({"loss": [NAN, 2.0]}), "loss", "max").epoch == 1
    assert best_epoch(record({"loss": [math.inf, 10**400, 2.0]}), "loss", "max").epoch == 0
    with pytest.raises(ValueError, match="'loss' has no best epoch.*the last one is nan"):
        best_epoch(record({"loss": [NAN, NAN]}), "loss", "auto")
    with pytest.raises(ValueError, match="none of its values is a number$"):
        best_epoch(record({"loss": [], "acc": [1.0]}), "loss", "auto")


def test_the_best_validation_has_its_own_epoch() -> None:
    """With fewer validations than epochs, the index is that of the epoch."""
    made = record({"loss": [4.0, 3.0, 2.0, 1.0], "val_loss": [3.0, 3.5]}, validation_epochs=[1, 3])
    assert best_epoch(made, "val_loss", "auto") == Epoch(1, {"loss": 3.0, "val_loss": 3.0})


def test_a_name_that_tells_nothing_needs_a_mode() -> None:
    """The error says what to write."""
    with pytest.raises(ValueError, match=r"'rate' does not tell.*best\('rate', mode='min'\)"):
        best_epoch(record({"rate": [1.0]}), "rate", "auto")


def test_an_unknown_mode_is_named() -> None:
    """The error lists the modes."""
    with pytest.raises(ValueError, match="mode='least' is none of auto, min, max"):
        best_epoch(record({"loss": [1.0]}), "loss", "least")  # type: ignore[arg-type]


def test_a_metric_of_classes_has_no_best_epoch() -> None:
    """Whoever asks has to say which class is meant."""
    with pytest.raises(ValueError, match="one value for each class"):
        best_epoch(record({"f1_score": [[0.5, 1.0]]}), "f1_score", "auto")


def test_an_unknown_metric_is_named() -> None:
    """The KeyError lists those that there are, and suggests one."""
    made = record({"loss": [1.0], "val_loss": [1.0], "val_accuracy": [1.0], "accuracy": [1.0]})
    with pytest.raises(KeyError, match=r"no metric 'val_acc'.*mean 'val_accuracy'\?"):
        best_epoch(made, "val_acc", "auto")


def test_without_validation_the_error_says_how_to_have_one() -> None:
    """The default metric is not there when fit had no validation data."""
    with pytest.raises(KeyError, match="no metric 'val_loss'.*validation_data=.*ask for 'loss'"):
        best_epoch(record({"loss": [1.0]}), "val_loss", "auto")
    validated = record({"loss": [1.0], "acc": [1.0], "val_loss": [1.0]})
    with pytest.raises(KeyError, match="no metric 'val_acc' was recorded; there are"):
        best_epoch(validated, "val_acc", "auto")


@pytest.mark.parametrize("state", ["running", "failed", "complete"])
def test_without_an_epoch_there_is_no_best_and_no_last(state: str) -> None:
    """The error says how the training stands."""
    made = record({}, state=state)
    with pytest.raises(ValueError, match=f"no epoch has ended in this training; it is {state}"):
        best_epoch(made, "val_loss", "auto")
    with pytest.raises(ValueError, match=f"no epoch has ended in this training; it is {state}"):
        last_epoch(made)


def test_the_last_epoch_has_what_was_recorded_in_it() -> None:
    """A metric whose last value is of an earlier epoch is not in it."""
    made = record({"loss": [3.0, 2.0, 1.0], "val_loss": [4.0]}, validation_epochs=[1])
    assert last_epoch(made) == Epoch(2, {"loss": 1.0})
