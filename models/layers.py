"""Layers, as ``keras.layers`` names them.

https://keras.io/api/layers/
"""

from __future__ import annotations

from collections.abc import Sequence

from asyncbridge.models.mirrors.mirror import DType, Identifier, Mirror

__all__ = ["Activation", "Dense", "Dropout", "Input", "InputLayer", "Layer"]

Shape = Sequence[int | None]


class Layer(Mirror):
    """The base of all layers.

    https://keras.io/api/layers/base_layer/
    """

    keras_name = "keras.layers.Layer"


class Input(Mirror):
    """The shape and dtype that a model takes, without the batch axis.

    https://keras.io/api/layers/core_layers/input/
    """

    keras_name = "keras.Input"

    def __init__(
        self,
        shape: Shape | None = None,
        batch_size: int | None = None,
        dtype: DType = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Shape | None = None,
        name: str | None = None,
        tensor: Mirror | None = None,
        optional: bool = False,
    ) -> None:
        self._describe(locals())


class InputLayer(Layer):
    """The layer that ``Input`` stands for.

    https://keras.io/api/layers/core_layers/input/
    """

    keras_name = "keras.layers.InputLayer"

    def __init__(
        self,
        shape: Shape | None = None,
        batch_size: int | None = None,
        dtype: DType = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Shape | None = None,
        input_tensor: Mirror | None = None,
        optional: bool = False,
        name: str | None = None,
        *,
        activity_regularizer: Identifier = None,
        trainable: bool = True,
        autocast: bool = True,
    ) -> None:
        self._describe(locals())


class Dense(Layer):
    """Every output unit sees every input: ``activation(inputs @ kernel + bias)``.

    Input ``(batch, ..., input_dim)``, output ``(batch, ..., units)``, floats.

    https://keras.io/api/layers/core_layers/dense/
    """

    keras_name = "keras.layers.Dense"

    def __init__(
        self,
        units: int,
        activation: Identifier = None,
        use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier = None,
        bias_regularizer: Identifier = None,
        activity_regularizer: Identifier = None,
        kernel_constraint: Identifier = None,
        bias_constraint: Identifier = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Identifier = None,
        *,
        trainable: bool = True,
        dtype: DType = None,
        autocast: bool = True,
        name: str | None = None,
    ) -> None:
        self._describe(locals())


class Activation(Layer):
    """An activation function as a layer of its own; the shape stays.

    https://keras.io/api/layers/core_layers/activation/
    """

    keras_name = "keras.layers.Activation"

    def __init__(
        self,
        activation: Identifier,
        *,
        activity_regularizer: Identifier = None,
        trainable: bool = True,
        dtype: DType = None,
        autocast: bool = True,
        name: str | None = None,
    ) -> None:
        self._describe(locals())


class Dropout(Layer):
    """While training, set a share of the inputs to 0 and scale up the rest.

    https://keras.io/api/layers/regularization_layers/dropout/
    """

    keras_name = "keras.layers.Dropout"

    def __init__(
        self,
        rate: float,
        noise_shape: Shape | None = None,
        seed: int | Mirror | None = None,
        *,
        activity_regularizer: Identifier = None,
        trainable: bool = True,
        dtype: DType = None,
        autocast: bool = True,
        name: str | None = None,
    ) -> None:
        self._describe(locals())
