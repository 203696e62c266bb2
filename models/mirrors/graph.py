"""The layers of a functional model, in Keras's own order, as the client knows its graph."""

from __future__ import annotations

from collections.abc import Sequence

from asyncbridge.models.mirrors.layer import Layer
from asyncbridge.models.mirrors.recipes import attribute_of
from asyncbridge.models.mirrors.tensor import KerasTensor, Node, tensors_in

__all__ = ["layers_between"]


def layers_between(inputs: object, outputs: object) -> list[Layer | None] | None:
    """Return the layers on the way from inputs to outputs: far from the outputs first.

    Layers at the same distance stand in the order in which a depth-first walk from the outputs
    meets them, as in Keras (its ``map_graph``).

    Returns:
        The layers; in their place None for an input that the model makes of its own, where it
        begins in the middle of a larger graph. None where a part of the graph was made in the
        worker.
    """
    graph = _Graph(list(tensors_in(inputs)))
    known = all(graph.walk(tensor) for tensor in tensors_in(outputs))
    return graph.layers() if known else None


class _Graph:
    """The calls between the inputs and the outputs, met so far."""

    def __init__(self, ends: Sequence[KerasTensor]) -> None:
        self._ends = ends
        # Keras copies a graph that does not begin with inputs, and gives the copy some.
        self._beginnings = {id(end): Node.of_input() for end in ends if end._input is None}
        # Nodes by id(), each with one of its tensors: inputs before what is made of them.
        self._sorted: dict[int, tuple[Node, KerasTensor]] = {}
        # id() of what is called, in the order of the walk.
        self._met: dict[int, int] = {}

    def _node_of(self, tensor: KerasTensor) -> Node:
        return self._beginnings.get(id(tensor), tensor._node)

    def walk(self, tensor: KerasTensor) -> bool:
        """Go from a tensor up to the inputs, without recursion: graphs are deep.

        Returns:
            Whether all that was met is known here.
        """
        todo = [(tensor, False)]
        while todo:
            current, is_done = todo.pop()
            node = self._node_of(current)
            if is_done:
                self._sorted[id(node)] = (node, current)
            elif node.is_opaque:
                return False
            elif id(node) not in self._sorted:
                self._met.setdefault(id(_called(node)), len(self._met))
                todo.append((current, True))
                todo.extend((above, False) for above in reversed(node.inputs))
        return True

    def layers(self) -> list[Layer | None]:
        """Return the layers among what is called, deepest first; None for a new input."""
        of_called, holders = self._depths()
        for tensor in self._ends:
            node = self._node_of(tensor)
            key = id(_called(node))
            if key not in of_called:
                of_called[key], self._met[key] = 0, -1
                holders[key] = (node, tensor)
        order = sorted(of_called, key=lambda key: (-of_called[key], self._met[key]))
        found = [(holders[key][0], _layer_of(*holders[key])) for key in order]
        new = {id(node) for node in self._beginnings.values()}
        return [layer for node, layer in found if layer is not None or id(node) in new]

    def _depths(self) -> tuple[dict[int, int], dict[int, tuple[Node, KerasTensor]]]:
        """Return, by what is called, its distance from the outputs, and a node of it."""
        depths: dict[int, int] = {}
        of_called: dict[int, int] = {}
        holders: dict[int, tuple[Node, KerasTensor]] = {}
        for node, tensor in reversed(self._sorted.values()):
            key = id(_called(node))
            depth = max(depths.get(id(node), 0), of_called.get(key, 0))
            depths[id(node)] = of_called[key] = depth
            holders.setdefault(key, (node, tensor))
            for above in map(self._node_of, node.inputs):
                depths[id(above)] = max(depth + 1, depths.get(id(above), 0))
        return of_called, holders


def _called(node: Node) -> object:
    """Return what is called: a function is called once alone, so its node stands for it."""
    return node if node.operation is None else node.operation


def _layer_of(node: Node, tensor: KerasTensor) -> Layer | None:
    if node.operation is None and node.makes_layer:
        # ``Input`` and ``keras.layers.add`` make a layer in the worker and call it.
        kind = _input_layer() if tensor._input is not None else Layer
        node.operation = kind._later(attribute_of(tensor, "_keras_history", "operation"))
    return node.operation if isinstance(node.operation, Layer) else None


def _input_layer() -> type[Layer]:
    from asyncbridge.models.layers import InputLayer  # noqa: PLC0415 - that room imports this one

    return InputLayer
