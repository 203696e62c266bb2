"""Which of Keras's objects belong to which: found before the first of them is taken apart."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
from keras.src.models.functional import Functional

from asyncbridge.worker.models.configs import configured
from asyncbridge.worker.models.parts import (
    SAVED,
    assembled,
    children,
    compile_arguments,
    inner_nodes,
    is_compiled,
    made_by_compile,
    optimizers,
    own_variables,
    resolved_metrics,
)
from asyncbridge.worker.models.states import attempt

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Census", "ancestors", "node_of"]

Place = tuple[Any, int]

_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})


class Census:
    """What is reached from some objects, and who makes what of it.

    Attributes:
        owners: By the ``id()`` of a layer or another part, whose constructor makes it, and its
            place among that one's children. What several have belongs to the first.
        makers: By that of a node of a graph, the model that makes it when it is built, and its
            place among that one's nodes.
        variables: By that of a variable, whose it is, and its place there.
        compiled: The ids of metrics that hold those of a model.
    """

    def __init__(self, roots: Iterable[object]) -> None:
        self.owners: dict[int, Place] = {}
        self.makers: dict[int, Place] = {}
        self.variables: dict[int, Place] = {}
        self.compiled: set[int] = set()
        self._seen: dict[int, Any] = {}
        self._look(roots)
        things = list(self._seen.values())
        for thing in things:
            if isinstance(thing, SAVED) and not assembled(thing):
                self._own(thing)
        for thing in things:
            # A class of the user's may answer with anything; what it has is then its own.
            attempt(partial(self._note, thing), None)

    def _look(self, roots: Iterable[object]) -> None:
        pending = deque(roots)
        while pending:
            thing = pending.popleft()
            if type(thing) not in _PLAIN and id(thing) not in self._seen:
                self._seen[id(thing)] = thing
                pending += attempt(partial(_next, thing), [])

    def _own(self, thing: Any) -> None:
        parts: list[Any] = attempt(partial(children, thing), [])
        # What its config tells whole is made as any other; else its layers cannot be shared.
        apart = {id(part) for part in parts if assembled(part)}
        if apart:
            apart &= attempt(partial(_inside, thing), set[int]())
        for place, part in enumerate(parts):
            if id(part) in apart or id(part) in self.owners:
                continue
            self.owners[id(part)] = (thing, place)
            if assembled(part):
                self._own(part)

    def _note(self, thing: Any) -> None:
        if not isinstance(thing, SAVED):
            return
        for place, variable in enumerate(own_variables(thing)):
            self.variables.setdefault(id(variable), (thing, place))
        if is_compiled(thing):
            self.compiled |= set(map(id, made_by_compile(thing)))
        if isinstance(thing, keras.Sequential) or self._makes_its_graph(thing):
            for place, node in enumerate(inner_nodes(thing)):
                self.makers.setdefault(id(node), (thing, place))

    def _makes_its_graph(self, thing: Any) -> bool:
        made = not assembled(thing) or id(thing) in self.owners
        return isinstance(thing, Functional) and made


def _next(thing: Any) -> list[Any]:
    """Return what an object leads to."""
    if type(thing) in (list, tuple):
        return list(thing)
    if type(thing) is dict:
        return list(thing.values())
    if isinstance(thing, keras.KerasTensor):
        node = node_of(thing)
        return [] if node is None else [node.operation, *node.input_tensors]
    if isinstance(thing, keras.callbacks.History):
        return [thing.model]
    if not isinstance(thing, SAVED):
        return []
    found = [*children(thing), *optimizers(thing).values()]
    if isinstance(thing, Functional):
        found += [*thing.inputs, *thing.outputs]
    if is_compiled(thing):
        model: Any = thing
        found += [model.optimizer, compile_arguments(model)]
        found += [getattr(model, "_loss_tracker", None), resolved_metrics(model)]
    return found


def _inside(thing: Any) -> set[int]:
    return configured(thing)[1]


def node_of(tensor: Any) -> Any:
    """Return the node whose output a symbolic tensor is, None if it is nobody's."""
    history = getattr(tensor, "_keras_history", None)
    if history is None or history.operation is None:
        return None
    return history.operation._inbound_nodes[history.node_index]


def ancestors(tensor: Any) -> list[Any]:
    """Return all nodes that a symbolic tensor comes from, each behind those that it comes from."""
    found: dict[int, Any] = {}
    pending = [(node_of(tensor), False)]
    while pending:
        node, ready = pending.pop()
        if node is None or id(node) in found:
            continue
        if ready:
            found[id(node)] = node
        else:
            pending.append((node, True))
            pending += [(node_of(each), False) for each in reversed(node.input_tensors)]
    return list(found.values())
