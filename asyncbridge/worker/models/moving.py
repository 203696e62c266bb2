"""Keras's objects as records of which another worker makes them anew; see ``worker/moving.py``.

A graph moves as its nodes, each a call of an operation, and not as the configs of its models. So
models that share layers share them afterwards, and a symbolic tensor is that of its layer. What
a class makes of its own moves as a part: the owner is made of its config, and has it in that place.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
from keras.src.ops.node import Node

from asyncbridge.serialization.codec import draft
from asyncbridge.worker.guards import type_name
from asyncbridge.worker.models.census import Census, ancestors, node_of
from asyncbridge.worker.models.configs import MARK, configured, functions_of, marks
from asyncbridge.worker.models.parts import (
    SAVED,
    assembled,
    children,
    compile_arguments,
    is_compiled,
    optimizers,
    own_variables,
    resolved_metrics,
    seeded,
    sorted_nodes,
)
from asyncbridge.worker.records import Record, Unmovable, told
from asyncbridge.worker.tensor_forms import sent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncbridge.worker.packing import Packing

__all__ = ["KerasPacking"]


class KerasPacking:
    """Takes Keras's objects apart for one table.

    Args:
        packing: The table.
        roots: All that is to move.
    """

    def __init__(self, packing: Packing, roots: Iterable[object]) -> None:
        self._packing = packing
        self._census = Census(roots)
        self._stateful: list[Any] = []

    def record(self, thing: Any) -> Record | None:
        """Return an object's record, None if it is none of Keras's.

        Raises:
            Unmovable: It cannot move.
        """
        if isinstance(thing, Node):
            return self._node(thing)
        if isinstance(thing, keras.KerasTensor):
            return self._symbol(thing)
        if isinstance(thing, keras.callbacks.History):
            items = [self._packing.item(part) for part in _history(thing)]
            return {"kind": "keras.history", "items": items}
        if isinstance(thing, keras.Variable):
            return self._variable(thing)
        return self._saved(thing) if isinstance(thing, SAVED) else None

    def finish(self) -> None:
        """Add the states of what has a record by now."""
        # While one is read, others may get records.
        for thing in self._stateful:
            number = self._packing.number_of(id(thing))
            record = None if number is None else self._packing.records[number]
            if record is not None and number is not None:
                try:
                    record["state"] = self._state(thing)
                except Exception as error:
                    self._packing.failures[number] = told(error)
        for record in self._packing.records:
            if record is not None and "address" in record:
                self._share(record)

    # --- graphs --------------------------------------------------------------------------

    def _node(self, node: Any) -> Record:
        ref = self._packing.ref
        if id(node) in self._census.makers:
            model, place = self._census.makers[id(node)]
            return {"kind": "keras.inner", "model": ref(model), "place": place}
        if node.is_input:
            place = node.operation._inbound_nodes.index(node)
            return {"kind": "keras.input", "layer": ref(node.operation), "place": place}
        return {
            "kind": "keras.node",
            "operation": ref(node.operation),
            "arguments": [ref(node.arguments.args), ref(node.arguments.kwargs)],
            "names": [tensor.name for tensor in node.outputs],
        }

    def _symbol(self, tensor: Any) -> Record:
        node = node_of(tensor)
        if node is None:
            form = {"shape": list(tensor.shape), "dtype": tensor.dtype, "sparse": tensor.sparse}
            return {"kind": "keras.spec", "config": {**form, "name": tensor.name}}
        # From the inputs on, so that a deep graph is no deep recursion.
        order = [self._packing.ref(each) for each in ancestors(tensor)]
        place = tensor._keras_history.tensor_index
        return {"kind": "keras.symbol", "order": order, "place": place}

    # --- objects -------------------------------------------------------------------------

    def _variable(self, variable: Any) -> Record | None:
        if id(variable) not in self._census.variables:
            return None
        owner, place = self._census.variables[id(variable)]
        return {"kind": "keras.variable", "owner": self._packing.ref(owner), "place": place}

    def _saved(self, thing: Any) -> Record:
        if id(thing) in self._census.compiled:
            raise Unmovable(
                "compile() makes this metric anew, of others: take it from model.metrics again, "
                "or give compile() a metric of your own"
            )
        self._stateful.append(thing)
        if id(thing) in self._census.owners:
            owner, place = self._census.owners[id(thing)]
            kind = {"kind": "keras.part", "owner": self._packing.ref(owner), "place": place}
            about = {"type": type_name(type(thing)), "config": _build(thing)}
            return {**kind, **about, "children": self._children(thing)}
        form = assembled(thing)
        if form == "sequential":
            return self._sequential(thing)
        return self._functional(thing) if form == "functional" else self._configured(thing)

    def _sequential(self, model: Any) -> Record:
        return {
            "kind": "keras.sequential",
            "class": self._packing.ref(type(model)),
            "name": model.name,
            "layers": [self._packing.ref(layer) for layer in model._layers],
            "built": bool(model.built),
        }

    def _functional(self, model: Any) -> Record:
        if len(children(model)) > len(model.operations):
            raise Unmovable(
                f"the model {model.name!r} has layers as attributes that are not in its graph: "
                "make them part of it, or give it a class with a get_config()"
            )
        return {
            "kind": "keras.functional",
            "class": self._packing.ref(type(model)),
            "name": model.name,
            "order": [self._packing.ref(node) for node in sorted_nodes(model)],
            "ends": [
                self._packing.item(end) for end in (model._inputs_struct, model._outputs_struct)
            ],
        }

    def _configured(self, thing: Any) -> Record:
        own = {"own": configured(thing)[0], "functions": functions_of(thing)}
        config = _checked({**own, **_build(thing)})
        return {
            "kind": "keras.config",
            "class": self._packing.ref(type(thing)),
            "config": config,
            "address": id(thing),
            "children": self._children(thing),
        }

    def _children(self, thing: Any) -> list[Any]:
        return [self._packing.ref(part) for part in children(thing)]

    def _share(self, record: Record) -> None:
        """Say which objects in a config are made by others; all else in it is its own."""
        shares: dict[int, tuple[int]] = {}
        for part in list(marks(record["config"])):
            address = part[MARK]
            number = self._packing.number_of(address)
            if number is None or self._is_own(address, record["address"]):
                del part[MARK]
            else:
                shares[address] = (number,)
        record["addresses"], record["shares"] = list(shares), list(shares.values())

    def _is_own(self, address: int, owner: int) -> bool:
        found = self._census.owners.get(address)
        return address == owner or (found is not None and id(found[0]) == owner)

    # --- states --------------------------------------------------------------------------

    def _state(self, thing: Any) -> Record:
        variables = own_variables(thing)
        state: Record = {
            **_arrays(thing, variables),
            "paths": [variable.path for variable in variables],
            "flags": [bool(variable.trainable) for variable in variables],
            "seeds": {name: part.seed for name, part in seeded(thing).items()},
        }
        if isinstance(thing, keras.Layer):
            state |= {"trainable": bool(thing._trainable), "path": thing.path}
            state |= _assets(thing)
            found = optimizers(thing)
            state |= {
                "names": list(found),
                "optimizers": list(map(self._packing.ref, found.values())),
            }
        if type(getattr(thing, "_fn_kwargs", None)) is dict:
            # Not all configs have them: that of keras.losses.Huber leaves its delta out.
            state["function"] = self._packing.ref(thing._fn_kwargs)
        if isinstance(thing, keras.optimizers.Optimizer) and thing.built:
            state["trains"] = [self._trained(each) for each in thing._trainable_variables]
        if is_compiled(thing):
            state |= self._compiled(thing)
        return state

    def _trained(self, variable: Any) -> tuple[int]:
        if id(variable) not in self._census.variables:
            raise Unmovable(
                "it trains a model that nothing here refers to any more: keep the model, too, or "
                "make the optimizer anew"
            )
        return self._packing.ref(variable)

    def _compiled(self, model: Any) -> Record:
        kind, trainer = type(model), keras.Model
        if kind.compile is trainer.compile:
            arguments = self._packing.ref(compile_arguments(model))
            made = [getattr(model, "_loss_tracker", None), resolved_metrics(model)]
            return {"compile": {"arguments": arguments, "made": [*map(self._packing.item, made)]}}
        if kind.compile_from_config is trainer.compile_from_config:
            raise Unmovable(
                f"the model {model.name!r} has a compile() of its own: define get_compile_config() "
                "and compile_from_config(), too, or compile it anew"
            )
        config = _checked(configured(model, model.get_compile_config)[0])
        optimizer = self._packing.item(model.optimizer)
        return {"recompile": {"config": config, "optimizer": optimizer}}


def _checked(config: Any) -> Any:
    """Return a config, if it has a wire form: a class may put anything into its own.

    Raises:
        SerializationError: It has none.
    """
    draft(config, path="get_config()", decided=True)
    return config


def _history(history: Any) -> list[Any]:
    params = getattr(history, "params", None)
    return [getattr(history, "history", {}), getattr(history, "epoch", []), params, history.model]


def _build(thing: Any) -> Record:
    """Return of what a layer was built, as far as it was."""
    if not isinstance(thing, keras.Layer):
        return {"built": False, "build": None}
    build = keras.saving.serialize_keras_object(thing.get_build_config()) if thing.built else None
    return {"built": bool(thing.built), "build": build}


def _arrays(thing: Any, variables: list[Any]) -> Record:
    """Return what an object saves, by its own names where it has any, and what it leaves out."""
    values = {str(place): variable for place, variable in enumerate(variables)}
    if not isinstance(thing, keras.Layer):
        return {"arrays": {place: sent(each) for place, each in values.items()}}
    store: dict[str, Any] = {}
    thing.save_own_variables(store)
    saved = set(map(id, store.values()))
    return {
        "arrays": {str(name): sent(value) for name, value in store.items()},
        # As of LoRA, which is saved as its product, and of the states of recurrent layers.
        "unsaved": {
            "arrays": {place: sent(each) for place, each in values.items() if id(each) not in saved}
        },
    }


def _assets(layer: Any) -> Record:
    """Return the files that a layer saves, such as a vocabulary."""
    if not hasattr(layer, "save_assets"):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        layer.save_assets(folder)
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    return {"assets": {"value": files}}
