"""Histories of trainings that another process had begun."""

from __future__ import annotations

import pytest

from asyncbridge import models as keras

RAW = {"history": {"loss": [2.0, 1.0]}, "epoch": [0, 1], "params": {"epochs": 2}}


@pytest.mark.parametrize("value", [RAW, (RAW, [{}])])
def test_a_history(value: object) -> None:
    """The raw value of a fit, with what it tells of its objects or without, makes one."""
    history = keras.history_of(value)
    assert history["loss"] == [2.0, 1.0]
    assert history.epochs == [0, 1]
    assert history.state == "complete"
    assert keras.history_of({**RAW, "stopped": True}).state == "stopped"


@pytest.mark.parametrize("value", [None, 3, (1, 2), {"history": {}}])
def test_no_history(value: object) -> None:
    """Anything else is refused, by what it is."""
    with pytest.raises(ValueError, match="takes what a fit has given"):
        keras.history_of(value)
