"""Pictures of models.

https://keras.io/api/utils/model_plotting_utils/
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncbridge.models.mirrors.bodies import as_it_is
from asyncbridge.models.mirrors.mirror import Mirror, take_call
from asyncbridge.models.mirrors.recipes import asked_of
from asyncbridge.models.mirrors.sending import request

if TYPE_CHECKING:
    from asyncbridge.promise import Promise

__all__ = ["plot_model"]


def plot_model(
    model: Mirror,
    to_file: str | os.PathLike[str] | None = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: object,
) -> Promise[Any]:
    """Draw a model's layers as a PNG; graphviz draws it in the worker, the file is written here.

    Args:
        model: The model, which is built.
        to_file: Where to write the picture, on this side; None for none.
        show_shapes: Whether the shapes are shown.
        show_dtype: Whether the dtypes are shown.
        show_layer_names: Whether the layers' names are shown.
        rankdir: ``"TB"`` from top to bottom, ``"LR"`` from left to right.
        expand_nested: Whether the layers of models inside the model are shown.
        dpi: Dots per inch.
        show_layer_activations: Whether the layers' activations are shown.
        show_trainable: Whether it is shown which layers are trainable.
        splines: How edges are drawn, as graphviz names it.
        kwargs: Further arguments of Keras's own.

    Returns:
        A promise of the path that was written; of the picture's bytes, without ``to_file``.

    https://keras.io/api/utils/model_plotting_utils/#plotmodel-function
    """
    values = {**locals(), "to_file": None}
    path = None if to_file is None else Path(to_file)
    arguments = take_call("plot_model", plot_model, values)
    rest = type(arguments)(
        leading={}, named={k: v for k, v in arguments.named.items() if k != "to_file"}
    )
    recipe = asked_of("plot", model, "plot_model", rest)
    drawn = request(replace(recipe, label=KERAS_PLOT_MODEL), as_it_is, owner=model)
    return drawn if path is None else drawn.then(partial(_write, path))


KERAS_PLOT_MODEL = "keras.utils.plot_model"
plot_model.keras_name = KERAS_PLOT_MODEL  # type: ignore[attr-defined]  # an attribute of ours


async def _write(path: Path, picture: bytes) -> Path:
    await asyncio.to_thread(path.write_bytes, picture)
    return path
