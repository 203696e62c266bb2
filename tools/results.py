"""Functions whose result stays in the worker, and the mirror that the call gives at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.surface import Object

__all__ = ["result_of"]

RESULTS = {
    "Constraint": "keras.constraints.deserialize keras.constraints.get",
    "DTypePolicy": """
        keras.config.dtype_policy keras.dtype_policies.deserialize keras.dtype_policies.get
    """,
    "Dataset": """
        keras.utils.audio_dataset_from_directory keras.utils.image_dataset_from_directory
        keras.utils.text_dataset_from_directory keras.utils.timeseries_dataset_from_array
    """,
    "Initializer": "keras.initializers.deserialize keras.initializers.get",
    "Layer": "keras.layers.deserialize",
    "LearningRateSchedule": "keras.optimizers.schedules.deserialize",
    "Model": """
        keras.models.clone_model keras.models.load_model keras.models.model_from_json
        keras.saving.load_model
    """,
    "Optimizer": "keras.optimizers.deserialize keras.optimizers.get",
    "Quantizer": "keras.quantizers.deserialize keras.quantizers.get",
    "Regularizer": "keras.regularizers.deserialize keras.regularizers.get",
    # Functions, objects of any class, context managers, images of PIL, lists of datasets.
    "RemoteObject": """
        keras.activations.deserialize keras.activations.get keras.device
        keras.distribution.distribution keras.legacy.saving.deserialize_keras_object
        keras.losses.deserialize keras.losses.get keras.metrics.deserialize keras.metrics.get
        keras.ops.custom_gradient keras.ops.vectorize keras.remat
        keras.saving.deserialize_keras_object keras.saving.get_custom_objects
        keras.saving.get_registered_object keras.saving.register_keras_serializable
        keras.utils.array_to_img keras.utils.deserialize_keras_object
        keras.utils.get_custom_objects keras.utils.get_registered_object keras.utils.load_img
        keras.utils.model_to_dot keras.utils.register_keras_serializable
        keras.utils.split_dataset
    """,
}
"""The class of the result, by the function's names in Keras."""

BY_NAME = {name: kind for kind, names in RESULTS.items() for name in names.split()}


def result_of(item: Object) -> str | None:
    """Return the mirror's class name; None for a value that comes back as data."""
    if item.name[0].isupper() and item.names[0].startswith("keras.applications."):
        return "Model"
    return next((BY_NAME[name] for name in item.names if name in BY_NAME), None)
