"""The layers of a model, one by one, as plain data."""

from __future__ import annotations

from typing import Any

from asyncbridge.worker.models.states import attempt

__all__ = ["layer_rows"]


def layer_rows(model: Any) -> list[dict[str, Any]]:
    """Describe the layers of a model; nothing is built for it.

    Returns:
        For each layer its ``name``, ``type``, ``output_shape`` as text (empty for what is not
        built), ``parameters`` (None likewise) and whether it is ``trainable``.
    """
    return [_row(layer) for layer in model.layers]


def _row(layer: Any) -> dict[str, Any]:
    return {
        "name": str(layer.name),
        "type": type(layer).__name__,
        "output_shape": attempt(lambda: _shape_text(layer.output), ""),
        "parameters": attempt(lambda: int(layer.count_params()), None) if layer.built else None,
        "trainable": bool(layer.trainable),
    }


def _shape_text(output: Any) -> str:
    if isinstance(output, (list, tuple)):
        return ", ".join(_shape_text(each) for each in output)
    return str(tuple(output.shape))
