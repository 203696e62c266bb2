"""Keras's objects made of the records that ``moving.py`` writes: first all objects, then states."""

from __future__ import annotations

import copy
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import keras
from keras.src.utils.tracking import DotNotTrackScope

from asyncbridge.worker.guards import type_name
from asyncbridge.worker.models.configs import remade
from asyncbridge.worker.models.parts import (
    children,
    inner_nodes,
    own_variables,
    resolve_metrics,
    seeded,
    sorted_nodes,
)
from asyncbridge.worker.records import Record, Unmovable, refs, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.worker.unpacking import Unpacking

__all__ = ["KerasUnpacking"]


class KerasUnpacking:
    """Makes the Keras objects of one table.

    Args:
        unpacking: The table.
    """

    def __init__(self, unpacking: Unpacking) -> None:
        self._table = unpacking
        self._value = unpacking.value

    def make(self, record: Record) -> Any:
        """Return the object of a record, without its state."""
        with warnings.catch_warnings():
            # Of what is safe, slow or deprecated, the first worker has told.
            warnings.simplefilter("ignore")
            return _MAKERS[record["kind"]](self, record)

    def finish(self) -> None:
        """Give all objects that were made their states; who does not get its own has failed."""
        self._gather()
        for phase in (_check_parts, _set_flags, _compile, _build_optimizer, _set_arrays):
            for number, record in self._stateful():
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        phase(self, self._table.made[number], record)
                except Exception as error:
                    self._table.failures.setdefault(number, told(error))

    def _gather(self) -> None:
        """Make what states and owners refer to: it may have parts and states itself."""
        known = -1
        while known < len(self._table.made):
            known = len(self._table.made)
            for number, record in self._stateful():
                try:
                    _refer(self, record)
                except Exception as error:
                    self._table.failures.setdefault(number, told(error))

    def _stateful(self) -> list[tuple[int, Record]]:
        table = self._table
        return [
            (number, record)
            for number, record in enumerate(table.records)
            if record is not None
            and "state" in record
            and number in table.made
            and number not in table.failures
        ]

    # --- objects -------------------------------------------------------------------------

    def _configured(self, record: Record) -> Any:
        config, maker = record["config"], self._value(record["class"])
        thing = remade(maker.from_config, config["own"], self._shared(record), config["functions"])
        return _built(thing, config)

    def _shared(self, record: Record) -> dict[int, Any]:
        pairs = zip(record["addresses"], record["shares"], strict=True)
        return {address: self._value(ref) for address, ref in pairs}

    def _part(self, record: Record) -> Any:
        parts = children(self._value(record["owner"]))
        if record["place"] >= len(parts):
            raise Unmovable(_unlike(self._value(record["owner"]), record))
        part = parts[record["place"]]
        if type_name(type(part)) != record["type"]:
            raise Unmovable(_unlike(self._value(record["owner"]), record))
        return _built(part, record["config"])

    def _sequential(self, record: Record) -> Any:
        layers = [self._value(layer) for layer in record["layers"]]
        model = self._value(record["class"])(layers, name=record["name"])
        model.built = record["built"]
        return model

    def _functional(self, record: Record) -> Any:
        for node in record["order"]:
            self._value(node)
        inputs, outputs = map(self._value, record["ends"])
        model = self._value(record["class"])(inputs=inputs, outputs=outputs, name=record["name"])
        if len(sorted_nodes(model)) != len(record["order"]):
            raise Unmovable(f"the graph of the model {record['name']!r} cannot be made anew")
        return model

    def _history(self, record: Record) -> Any:
        history = keras.callbacks.History()
        history.history, history.epoch, params, model = map(self._value, record["items"])
        history.set_params(params)
        if model is not None:
            history.set_model(model)
        return history

    def _variable(self, record: Record) -> Any:
        owner = self._value(record["owner"])
        if record["place"] >= len(own_variables(owner)):
            number = record["owner"][0]
            _build_optimizer(self, owner, self._table.records[number] or {})
        return own_variables(owner)[record["place"]]

    # --- graphs --------------------------------------------------------------------------

    def _node(self, record: Record) -> Any:
        operation = self._value(record["operation"])
        args, kwargs = map(self._value, record["arguments"])
        operation(*args, **kwargs)
        node = operation._inbound_nodes[-1]
        for tensor, name in zip(node.outputs, record["names"], strict=True):
            tensor.name = name
        return node

    def _input(self, record: Record) -> Any:
        return self._value(record["layer"])._inbound_nodes[record["place"]]

    def _inner(self, record: Record) -> Any:
        return inner_nodes(self._value(record["model"]))[record["place"]]

    def _symbol(self, record: Record) -> Any:
        *_, node = [self._value(node) for node in record["order"]]
        return node.outputs[record["place"]]

    def _spec(self, record: Record) -> Any:
        return keras.KerasTensor(**record["config"])


_MAKERS: Final[dict[str, Callable[[KerasUnpacking, Record], Any]]] = {
    "keras.config": KerasUnpacking._configured,
    "keras.functional": KerasUnpacking._functional,
    "keras.history": KerasUnpacking._history,
    "keras.inner": KerasUnpacking._inner,
    "keras.input": KerasUnpacking._input,
    "keras.node": KerasUnpacking._node,
    "keras.part": KerasUnpacking._part,
    "keras.sequential": KerasUnpacking._sequential,
    "keras.spec": KerasUnpacking._spec,
    "keras.symbol": KerasUnpacking._symbol,
    "keras.variable": KerasUnpacking._variable,
}


def _built(thing: Any, config: Record) -> Any:
    if config["built"] and not thing.built:
        if config["build"]:
            thing.build_from_config(copy.deepcopy(config["build"]))
        thing.built = True
    return thing


def _unlike(owner: Any, record: Record) -> str:
    return (
        f"a {type(owner).__name__} that is made of its get_config() has no {record['type']} as its "
        f"part {record['place']}: the config has to say all that it is made of"
    )


# --- states ------------------------------------------------------------------------------


def _refer(keras_table: KerasUnpacking, record: Record) -> None:
    for number in refs(record):
        keras_table._table.get(number)


def _check_parts(keras_table: KerasUnpacking, thing: Any, record: Record) -> None:
    """Refuse what has other parts than it had: shared layers above all."""
    if "children" not in record:
        return
    expected = [keras_table._value(ref) for ref in record["children"]]
    found = children(thing)
    if len(found) != len(expected) or any(
        one is not other for one, other in zip(found, expected, strict=True)
    ):
        raise Unmovable(
            f"a {type(thing).__name__} that is made of its get_config() has other parts than this "
            "one, or does not share them as this one does: make it anew"
        )


def _set_flags(keras_table: KerasUnpacking, thing: Any, record: Record) -> None:
    state = record["state"]
    for name, part in seeded(thing).items():
        part.seed = state["seeds"].get(name, part.seed)
    if "function" in state:
        thing._fn_kwargs = keras_table._value(state["function"])
    if isinstance(thing, keras.Layer):
        # Not by the property, which sets it for all below.
        thing._trainable, thing._path = state["trainable"], state["path"]
        for variable, flag in zip(own_variables(thing), state["flags"], strict=True):
            variable.trainable = flag


def _compile(keras_table: KerasUnpacking, thing: Any, record: Record) -> None:
    state = record["state"]
    if "compile" in state:
        thing.compile(**keras_table._value(state["compile"]["arguments"]))
        tracker, metrics = map(keras_table._value, state["compile"]["made"])
        if tracker is not None:
            # As compile() sets it: else it would count as a metric of the user's, too.
            with DotNotTrackScope():
                thing._loss_tracker = tracker
        if metrics is not None:
            resolve_metrics(thing, metrics)
    if "recompile" in state:
        remade(thing.compile_from_config, state["recompile"]["config"], {})
        thing.optimizer = keras_table._value(state["recompile"]["optimizer"])
    for name, ref in zip(state.get("names", ()), state.get("optimizers", ()), strict=True):
        setattr(thing, name, keras_table._value(ref))


def _build_optimizer(keras_table: KerasUnpacking, thing: Any, record: Record) -> None:
    trains = record["state"].get("trains")
    if trains is not None and not thing.built:
        thing.build([keras_table._value(variable) for variable in trains])


def _set_arrays(keras_table: KerasUnpacking, thing: Any, record: Record) -> None:
    state = record["state"]
    if "assets" in state:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in state["assets"]["value"].items():
                (Path(folder) / name).write_bytes(content)
            thing.load_assets(folder)
    variables = own_variables(thing)
    for variable, path in zip(variables, state["paths"], strict=True):
        variable._path = path
    if isinstance(thing, keras.Layer):
        if state["arrays"]:
            thing.load_own_variables(state["arrays"])
        for place, array in state["unsaved"]["arrays"].items():
            variables[int(place)].assign(array)
        return
    for variable, array in zip(variables, state["arrays"].values(), strict=True):
        variable.assign(array)
