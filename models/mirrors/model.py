"""Models: layers put together, sequences excepted.

https://keras.io/api/models/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

from asyncbridge.codegen import as_expression
from asyncbridge.models.mirrors.arguments import Arguments, show
from asyncbridge.models.mirrors.attributes import RemoteAttribute
from asyncbridge.models.mirrors.graph import layers_between
from asyncbridge.models.mirrors.layer import Layer
from asyncbridge.models.mirrors.mirror import take_call
from asyncbridge.models.mirrors.recipes import asked_of, sent_to
from asyncbridge.models.mirrors.structures import ONE
from asyncbridge.models.mirrors.summary import Summary
from asyncbridge.models.mirrors.tensor import tensors_in
from asyncbridge.models.mirrors.trainer import Trainer

if TYPE_CHECKING:
    from asyncbridge.codegen import Expression
    from asyncbridge.models.mirrors.described import Described
    from asyncbridge.models.mirrors.expressions import Code
    from asyncbridge.promise import Promise

__all__ = ["Model"]


class Model(Trainer, Layer):
    """A model: a graph of layers between inputs and outputs, or what the worker made of one.

    ``Model(inputs, outputs)`` takes symbolic tensors, or lists, tuples and dicts of such; what
    it gives has the structure of its outputs.

    https://keras.io/api/models/model/
    """

    keras_name = "keras.Model"

    _layers: list[Layer] | None = None

    def __init__(
        self,
        inputs: object,
        outputs: object,
        name: str | None = None,
        *,
        trainable: bool = True,
    ) -> None:
        self._describe(Model, locals())

    @property
    def input(self) -> Any:
        """The symbolic tensors that it takes, in their structure."""
        return self._given("input")

    @property
    def output(self) -> Any:
        """The symbolic tensors that it gives, in their structure."""
        return self._given("output")

    @property
    def inputs(self) -> Any:
        """A list of the symbolic tensors that it takes."""
        return self._listed("inputs")

    @property
    def outputs(self) -> Any:
        """A list of the symbolic tensors that it gives."""
        return self._listed("outputs")

    input_shape = RemoteAttribute("The shape of its input, or a structure of shapes.")
    output_shape = RemoteAttribute("The shape of its output, or a structure of shapes.")

    def _listed(self, name: str) -> Any:
        given = self.arguments.get(name)
        return self._tensor(name) if given is None else list(tensors_in(given))

    def _given(self, name: str) -> Any:
        given = self.arguments.get(f"{name}s")
        return self._tensor(name) if given is None else given

    @property
    def layers(self) -> list[Layer]:
        """The layers, in Keras's order, those that stand for inputs included.

        Raises:
            RuntimeError: The worker makes the model, and has not told of its layers yet.
        """
        if self._layers is None:
            self._layers = self._found_layers()
        return list(self._layers)

    def _found_layers(self) -> list[Layer]:
        found = self._layers_of_graph()
        if found is not None:
            return [layer or self._remote_layer({"index": i}) for i, layer in enumerate(found)]
        names = self._facts.get("layers")
        if names is None:
            raise RuntimeError(
                f"the layers of {self!r} are known once the worker has made it: `await` it first"
            )
        assert isinstance(names, (list, tuple))
        return [self._remote_layer({"name": name}) for name in names]

    def _layers_of_graph(self) -> list[Layer | None] | None:
        if self._arguments is None:
            return None
        return layers_between(self._arguments["inputs"], self._arguments["outputs"])

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer of this name, or at this place among ``layers``.

        One that was made here is given back itself; else it is a new mirror of the one in the
        worker, and a name that no layer has is an error when it is used or awaited.

        Raises:
            IndexError: There are fewer layers.
            TypeError: Neither or both of the two were given.
        """
        if (name is None) == (index is None):
            raise TypeError("get_layer() takes either a name or an index")
        known = self._layers_if_known()
        if index is not None and known:
            if not -len(known) <= index < len(known):
                raise IndexError(f"no layer {index}: {show(self)} has {len(known)}")
            return known[index]
        named = (layer for layer in known if layer.name == name and name is not None)
        return next(named, None) or self._remote_layer({"name": name, "index": index})

    def _layers_if_known(self) -> list[Layer]:
        if self._layers is None and "layers" not in self._facts:
            return self.layers if self._layers_of_graph() is not None else []
        return self.layers

    def _remote_layer(self, values: Mapping[str, object]) -> Layer:
        given = {name: value for name, value in values.items() if value is not None}
        arguments = Arguments(leading={}, named=given)
        recipe = sent_to(self, "get_layer", arguments)
        # A model's own text tells the number of its layers, which this may be one of.
        return Layer._later(replace(recipe, text=lambda: f"{recipe.label}({arguments.text()})"))

    # --- the whole of it ---

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], object] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> Promise[Summary]:
        """Describe the layers, their output shapes and their numbers of weights.

        Args:
            line_length: Characters per line.
            positions: Where each column ends, as shares of the line.
            print_fn: Called here, with each line, before the promise is fulfilled.
            expand_nested: Whether the layers of models inside the model are shown.
            show_trainable: Whether it is shown which layers are trainable.
            layer_range: Names of the first and the last layer to show.

        Returns:
            A promise of the text, which rich shows as a table; nothing is printed without
            ``print_fn``.

        https://keras.io/api/models/model/#summary-method
        """
        values = {**locals(), "print_fn": None}
        arguments = take_call("summary", Model.summary, values)
        transform = partial(_summary, print_fn)
        recipe = asked_of("summary", self, "summary", arguments)
        return self._request(recipe, self._with_rows, transform=transform, reads=True)

    def _with_rows(self, code: Code, node: Expression) -> Sequence[Expression]:
        rows = code.worker("layer_rows").call(code.value(self, ""))
        return [as_expression((node, rows))]

    def save(
        self,
        filepath: str | PurePath,
        overwrite: bool = True,
        zipped: bool | None = None,
        **kwargs: object,
    ) -> Promise[None]:
        """Write the model, its weights and its optimizer's state to a file of the worker's.

        https://keras.io/api/models/model_saving_apis/model_saving_and_loading/#save-method
        """
        return self._call(Model.save, locals())

    def save_weights(
        self, filepath: str | PurePath, overwrite: bool = True, max_shard_size: float | None = None
    ) -> Promise[None]:
        """Write the weights to a file of the worker's.

        https://keras.io/api/models/model_saving_apis/weights_saving_and_loading/
        """
        return self._call(Model.save_weights, locals())

    def load_weights(
        self, filepath: str | PurePath, skip_mismatch: bool = False, **kwargs: object
    ) -> Promise[None]:
        """Read the weights from a file of the worker's.

        https://keras.io/api/models/model_saving_apis/weights_saving_and_loading/
        """
        return self._call(Model.load_weights, locals(), watched=self._watched_while_unbuilt())

    def export(
        self,
        filepath: str | PurePath,
        format: str = "tf_saved_model",  # noqa: A002 - Keras's own name
        verbose: bool | None = None,
        input_signature: object = None,
        **kwargs: object,
    ) -> Promise[None]:
        """Write the model for inference, to a place of the worker's.

        https://keras.io/api/models/model_saving_apis/export/
        """
        return self._call(Model.export, locals())

    def quantize(  # type: ignore[override]  # Keras's own way
        self, mode: object = None, config: object = None, filters: object = None, **kwargs: object
    ) -> Promise[None]:
        """Quantize the layers' weights."""
        return self._call(Model.quantize, locals(), watched=self._watched())

    def get_state_tree(self, value_format: str = "backend_tensor") -> Promise[dict[str, Any]]:
        """Return a promise of all variables by kind and path, as arrays."""
        return self._call(Model.get_state_tree, locals())

    def set_state_tree(self, state_tree: Mapping[str, object]) -> Promise[None]:
        """Set variables by kind and path, as ``get_state_tree`` gives them."""
        return self._call(Model.set_state_tree, locals())

    def to_json(self, **kwargs: object) -> Promise[str]:
        """Return a promise of the architecture, without weights, as JSON."""
        return self._call(Model.to_json, locals())

    # --- inner steps ---

    def _parts(self) -> Iterable[object]:
        # Once it is made, the graph between the layers is the worker's business.
        made = self._name is not None and self._layers is not None
        return self._layers or () if made else super()._parts()

    def _watched(self) -> Sequence[Described]:
        return [self, *(layer for layer in self._layers_if_known() if layer._name is not None)]

    def _note(self, facts: Mapping[str, object]) -> None:
        super()._note(facts)
        names, known = facts.get("layers", ()), self._layers_if_known()
        if isinstance(names, list) and len(names) == len(known):
            for layer, name in zip(known, names, strict=True):
                layer._facts.setdefault("name", name)

    def _watched_while_unbuilt(self) -> Sequence[Described]:
        return () if self.built else self._watched()

    def _note_trainable(self, value: bool) -> None:
        super()._note_trainable(value)
        for layer in self._layers_if_known():
            layer._note_trainable(value)

    def _results(self, arguments: Arguments) -> object:
        return _structure_of(self.arguments.get("outputs"))

    def _brief(self) -> str:
        named = "" if self.name is None else f" {self.name!r}"
        if self._arguments is None and self.name is None:
            return f"<{type(self).__name__} {self._origin.call}>"
        return f"<{type(self).__name__}{named} layers={self._layer_count()}>"

    def _layer_count(self) -> int:
        # Counted, not made: a repr sends nothing.
        known = self._layers or self._layers_of_graph()
        if known is not None:
            return len(known)
        return len(cast("Sequence[str]", self._facts.get("layers", ())))

    def __repr__(self) -> str:
        shown = self._brief()
        if self._bridge is None:
            return shown
        waiting = self._ledger.waiting()
        parts = [self._state_text(), f"on {self._bridge!r}", *([waiting] if waiting else [])]
        return f"{shown[:-1]} {' '.join(parts)}>"


def _structure_of(outputs: object) -> object:
    if outputs is None:
        return None
    if isinstance(outputs, Mapping):
        return {key: _structure_of(value) for key, value in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        return type(outputs)(map(_structure_of, outputs))
    return ONE


def _summary(print_fn: Callable[[str], object] | None, raw: Any) -> Summary:
    summary = Summary.of(raw)
    if print_fn is not None:
        for line in summary.splitlines():
            print_fn(line)
    return summary
