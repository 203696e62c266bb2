from __future__ import annotations

from asyncbridge.models import models
from asyncbridge.models.mirrors import model


def test_keras_models_namespace() -> None:
    """``keras.models`` has the models."""
    assert models.__all__ == ["Model", "Sequential"]
    assert models.Sequential is model.Sequential
    assert models.Model is model.Model
