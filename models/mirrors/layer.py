"""Layers: what every one of them has and does.

https://keras.io/api/layers/base_layer/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from asyncbridge.models.mirrors.attributes import RemoteAttribute
from asyncbridge.models.mirrors.mirror import DType, Identifier, Mirror
from asyncbridge.models.mirrors.recipes import attribute_of
from asyncbridge.models.mirrors.structures import results_of_layer
from asyncbridge.models.mirrors.weights import as_array, as_arrays
from asyncbridge.models.mirrors.wire import is_handle

if TYPE_CHECKING:
    import numpy as np

    from asyncbridge.models.mirrors.arguments import Arguments
    from asyncbridge.models.mirrors.described import Described
    from asyncbridge.promise import Promise

    Array = np.ndarray[Any, Any]

__all__ = ["Layer", "Operation"]


class Operation(Mirror):
    """The base of all that can be called with tensors.

    https://keras.io/api/ops/
    """

    keras_name = "keras.Operation"

    def __init__(self, name: str | None = None) -> None:
        self._describe(Operation, locals())

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """Call it: with a symbolic tensor it makes a node of the graph, else a promise.

        Args:
            args: Tensors, or lists and dicts of such, as Keras's own takes them.
            kwargs: Such as ``training`` and ``mask``.

        Returns:
            A ``KerasTensor`` or a structure of them; a promise of arrays, when only arrays and
            what is in the worker are given.
        """
        return self._apply(Operation.__call__, locals())

    def get_config(self) -> Promise[dict[str, Any]]:
        """Return a promise of the constructor's arguments, as plain data."""
        return self._call(Operation.get_config, locals())

    @property
    def input(self) -> Any:
        """The symbolic tensor that it was called with, or what stands for several."""
        return self._tensor("input")

    @property
    def output(self) -> Any:
        """The symbolic tensor that it gave, or what stands for several."""
        return self._tensor("output")

    def _tensor(self, name: str) -> Any:
        from asyncbridge.models.mirrors.tensor import KerasTensor  # noqa: PLC0415 - a cycle

        return KerasTensor._later(attribute_of(self, name))


class Layer(Operation):
    """The base of all layers.

    https://keras.io/api/layers/base_layer/
    """

    keras_name = "keras.layers.Layer"

    def __init__(
        self,
        *,
        activity_regularizer: Identifier = None,
        trainable: bool = True,
        dtype: DType = None,
        autocast: bool = True,
        name: str | None = None,
        input_shape: object = None,
        input_dim: object = None,
    ) -> None:
        self._describe(Layer, locals())

    compute_dtype = RemoteAttribute("The dtype that it computes in.")
    dtype = RemoteAttribute("The dtype of its weights.")
    dtype_policy = RemoteAttribute("Its dtype policy.")
    input_dtype = RemoteAttribute("The dtype that inputs are cast to.")
    input_spec = RemoteAttribute("What its inputs must be like.")
    losses = RemoteAttribute("The losses that it added, as arrays.")
    metrics = RemoteAttribute("The metrics that it has.")
    metrics_variables = RemoteAttribute("The variables of its metrics, as arrays.")
    non_trainable_variables = RemoteAttribute("The variables that training leaves, as arrays.")
    non_trainable_weights = RemoteAttribute("The weights that training leaves, as arrays.")
    path = RemoteAttribute("Where it stands among the layers that hold it.")
    quantization_mode = RemoteAttribute("How it is quantized.")
    supports_masking = RemoteAttribute("Whether it takes a mask.")
    trainable_variables = RemoteAttribute("The variables that training changes, as arrays.")
    trainable_weights = RemoteAttribute("The weights that training changes, as arrays.")
    variable_dtype = RemoteAttribute("The dtype of its variables.")
    variables = RemoteAttribute("All variables, as arrays, those of metrics and seeds too.")
    weights = RemoteAttribute("All weights, as arrays.")

    @property
    def name(self) -> str | None:
        """The name: as given, else as Keras gave it; None until the worker has told."""
        return cast("str | None", self._facts.get("name") or self.arguments.get("name"))

    @property
    def built(self) -> bool:
        """Whether it has its weights, as far as the worker has told."""
        return bool(self._facts.get("built"))

    @property
    def trainable(self) -> bool:
        """Whether training changes its weights; a model that has it must be compiled anew.

        To set it sends a command, in order with all others.
        """
        return bool(self._facts.get("trainable", self.arguments.get("trainable", True)))

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"{type(self).__name__}.trainable must be bool, not {value!r}")
        if self._name is None and "trainable" in self.arguments:
            self._change("trainable", value)
        else:
            self._set("trainable", value, self._watched())
        # Until the worker tells.
        self._note_trainable(value)

    def _note_trainable(self, value: bool) -> None:
        self._facts["trainable"] = value

    def build(self, input_shape: object) -> Promise[None]:
        """Make the weights for inputs of a shape; its first call does so by itself."""
        return self._call(Layer.build, locals(), watched=[self])

    def build_from_config(self, config: Mapping[str, object]) -> Promise[None]:
        """Make the weights as ``get_build_config`` tells."""
        return self._call(Layer.build_from_config, locals(), watched=[self])

    def get_build_config(self) -> Promise[dict[str, Any] | None]:
        """Return a promise of what it was built for, as plain data."""
        return self._call(Layer.get_build_config, locals())

    def compute_output_shape(self, *args: object, **kwargs: object) -> Promise[Any]:
        """Return a promise of the output's shape, for inputs of a shape."""
        return self._call(Layer.compute_output_shape, locals())

    def count_params(self) -> Promise[int]:
        """Return a promise of the number of scalars in all weights."""
        return self._call(Layer.count_params, locals())

    def get_weights(self) -> Promise[list[Array]]:
        """Return a promise of all weights: arrays of the weights' own shapes and dtypes.

        https://keras.io/api/layers/base_layer/#getweights-method
        """
        return self._call(Layer.get_weights, locals())

    def set_weights(self, weights: Sequence[object]) -> Promise[None]:
        """Set all weights: arrays, or nested lists, of the weights' own shapes, in order.

        https://keras.io/api/layers/base_layer/#setweights-method
        """
        return self._call(Layer.set_weights, {"weights": as_arrays(weights)})

    def named_weights(self) -> Promise[dict[str, Array]]:
        """Return a promise of all weights by their paths, such as ``"dense/kernel"``."""
        return self._ask(Layer.named_weights, locals(), reads=True)

    def set_named_weights(self, weights: Mapping[str, object]) -> Promise[None]:
        """Set some weights by their paths, as ``named_weights`` gives them."""
        named: object = weights
        if not is_handle(weights):
            named = {name: as_array(weight) for name, weight in weights.items()}
        return self._ask(Layer.set_named_weights, {"weights": named})

    def quantize(
        self, mode: object = None, type_check: bool = True, config: object = None
    ) -> Promise[None]:
        """Quantize the weights."""
        return self._call(Layer.quantize, locals(), watched=[self])

    def _results(self, arguments: Arguments) -> object:
        name = self.keras_name.rpartition(".")[2]
        return results_of_layer(name, self.arguments, arguments.named)

    def _watched(self) -> Sequence[Described]:
        return [self]

    def __repr__(self) -> str:
        shown = self._brief()
        return f"{shown[:-1]} {self._state_text()}>" if "name" in self._facts else shown

    def _state_text(self) -> str:
        """Say what the worker told of it last."""
        if not self.built:
            return "not built"
        return f"built, {self._facts.get('parameters')} parameters"
