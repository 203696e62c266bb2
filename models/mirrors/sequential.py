"""Sequences of layers.

https://keras.io/api/models/sequential/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from asyncbridge.errors import DependencyError, RemoteError
from asyncbridge.models.mirrors.bodies import nothing
from asyncbridge.models.mirrors.layer import Layer
from asyncbridge.models.mirrors.mirror import Mirror
from asyncbridge.models.mirrors.model import Model
from asyncbridge.models.mirrors.tensor import KerasTensor
from asyncbridge.references.binding import Binding

if TYPE_CHECKING:
    from asyncbridge.promise import Promise

__all__ = ["Sequential"]


class Sequential(Model):
    """A stack of layers, each of which feeds the next one.

    https://keras.io/api/models/sequential/
    """

    keras_name = "keras.Sequential"

    def __init__(
        self,
        layers: Sequence[Mirror | Binding] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        # What was done to it since, a layer for each ``add`` and None for each ``pop``.
        self._changes: list[tuple[Mirror | Binding | None, Promise[None]]] = []
        self._describe(Sequential, locals())

    @property
    def layers(self) -> list[Layer]:
        """The layers, without what stands for the input, as in Keras.

        One whose ``add`` was not run, for what it is made of had failed, is not among them; one
        that Keras has put there and could not build is.
        """
        if self._arguments is None:
            return super().layers
        stack = self._stack()
        if stack and _is_input(stack[0]):
            del stack[0]
        return [layer for layer in stack if isinstance(layer, Layer)]

    def add(self, layer: Mirror | Binding, rebuild: bool = True) -> Promise[None]:
        """Put a layer on top.

        https://keras.io/api/models/sequential/#add-method
        """
        watched = [*self._watched(), *([layer] if isinstance(layer, Layer) else [])]
        promise: Promise[None] = self._call(Sequential.add, locals(), watched=watched)
        self._changes.append((layer, promise))
        return promise

    def pop(self, rebuild: bool = True) -> Promise[None]:
        """Take the layer on top away.

        https://keras.io/api/models/sequential/#pop-method
        """
        values = locals()
        promise: Promise[None] = self._call(
            Sequential.pop, values, body=nothing, watched=self._watched()
        )
        self._changes.append((None, promise))
        return promise

    def build(self, input_shape: object = None) -> Promise[None]:
        """Make the weights for inputs of a shape; its first data do so by themselves."""
        return self._call(Sequential.build, locals(), watched=self._watched())

    def compute_output_shape(self, input_shape: object) -> Promise[Any]:  # type: ignore[override]  # Keras's own way
        """Return a promise of the output's shape, for inputs of a shape."""
        return self._call(Sequential.compute_output_shape, locals())

    def _stack(self) -> list[Mirror | Binding]:
        stack: list[Mirror | Binding] = list(self.arguments["layers"] or [])  # type: ignore[call-overload]  # checked when it was described
        for layer, promise in self._changes:
            if _was_not_run(promise):
                continue
            if layer is not None:
                stack.append(layer)
            elif stack:
                stack.pop()
        return stack

    def _layers_of_graph(self) -> list[Layer | None] | None:
        return None if self._arguments is None else [*self.layers]

    def _content(self) -> dict[str, object]:
        return {**self.arguments, "layers": self._stack()}

    def _parts(self) -> Iterable[object]:
        return super()._parts() if self._arguments is None else self._stack()

    def _results(self, arguments: object) -> object:
        return None


def _was_not_run(promise: Promise[None]) -> bool:
    if promise.state != "rejected":
        return promise.state == "cancelled"
    # Not exception(): a look must not count as handling the error.
    return not isinstance(promise._exception, RemoteError) or isinstance(
        promise._exception, DependencyError
    )


def _is_input(layer: object) -> bool:
    # What is no mirror stands for an object in the worker.
    return isinstance(layer, KerasTensor) or (
        isinstance(layer, Mirror) and layer.keras_name == "keras.layers.InputLayer"
    )
