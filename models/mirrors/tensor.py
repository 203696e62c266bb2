"""Symbolic tensors: what a model's graph is put together of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from asyncbridge.models.mirrors.arguments import same
from asyncbridge.models.mirrors.mirror import Attribute, DType, Mirror, take_call
from asyncbridge.models.mirrors.operators import TensorOperators
from asyncbridge.models.mirrors.recipes import called, item_of, operation, sent_to
from asyncbridge.models.mirrors.structures import ONE
from asyncbridge.models.mirrors.wire import carry

if TYPE_CHECKING:
    from asyncbridge.codegen import Expression
    from asyncbridge.models.mirrors.described import Described
    from asyncbridge.models.mirrors.recipes import Recipe

__all__ = ["Input", "KerasTensor", "Node", "tensors_in", "tensors_of"]

Shape = Sequence[int | None]


class Node:
    """One call in a graph, which gives one or several tensors.

    Attributes:
        operation: The layer that was called; None for a function or an operator.
        inputs: The tensors that it was called with.
        makes_layer: Whether it is a function that makes a layer of its own, which is called.
        is_opaque: Whether the worker made the graph that it stands in.
    """

    __slots__ = ("inputs", "is_opaque", "makes_layer", "operation")

    def __init__(
        self, operation: Mirror | None, recipe: Recipe, *, is_opaque: bool = False
    ) -> None:
        self.operation = operation
        self.is_opaque = is_opaque
        self.inputs = list(tensors_in(recipe.parts))
        self.makes_layer = recipe.label.startswith(("keras.layers.", "keras.Input"))

    @classmethod
    def of_input(cls) -> Node:
        """Return one that nothing here made: an input of Keras's own."""
        node = cls.__new__(cls)
        node.operation, node.inputs, node.makes_layer, node.is_opaque = None, [], False, False
        return node


class KerasTensor(TensorOperators, Mirror):
    """A tensor without values: what ``Input`` gives, and any call with one.

    Operators and indices make new ones. ``await tensor.shape`` and its kin tell what Keras has
    inferred.

    https://keras.io/api/models/model/
    """

    keras_name = "keras.KerasTensor"
    _is_symbolic = True
    _node: Node
    _input: Mapping[str, object] | None = None
    """What ``Input`` was called with; None for all other tensors."""

    def __init__(
        self,
        shape: Shape,
        dtype: DType = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
        **kwargs: object,
    ) -> None:
        self._describe(KerasTensor, locals())

    def _set_up(self, recipe: Recipe) -> None:
        if not hasattr(self, "_node"):
            self._node = Node(None, recipe, is_opaque=True)
        super()._set_up(recipe)

    # --- what Keras has inferred ---

    @property
    def shape(self) -> Attribute:
        """The shape, a tuple in which None stands for any length; to be awaited."""
        return self._fact("shape", lambda facts: self._told(facts)["shape"])

    @property
    def dtype(self) -> Attribute:
        """The dtype's name; to be awaited."""
        return self._fact("dtype", lambda facts: self._told(facts)["dtype"])

    @property
    def ndim(self) -> Attribute:
        """The number of axes, the batch's included; to be awaited."""
        return self._fact("ndim", lambda facts: len(self._told(facts)["shape"]))

    @property
    def name(self) -> Attribute:
        """The name that Keras gave; to be awaited."""
        return self._fact("name", lambda facts: self._told(facts)["name"])

    @property
    def sparse(self) -> Attribute:
        """Whether it stands for a sparse tensor; to be awaited."""
        return self._fact("sparse", lambda facts: self._told(facts)["sparse"])

    def _told(self, facts: Mapping[str, object]) -> dict[str, Any]:
        kind, told = cast("tuple[str, Any]", facts["tensors"])
        if kind != "tensor":
            raise TypeError(f"{self!r} stands for a {kind} of tensors: take one of them by index")
        return cast("dict[str, Any]", told)

    def _watched(self) -> Sequence[Described]:
        # A layer is built by its first call, and may have its name from it.
        layer = self._node.operation
        return [self] if layer is None or self._recipe.label == ITEM else [self, layer]

    # --- new ones ---

    def reshape(self, newshape: Sequence[int]) -> KerasTensor:
        """Make a node that reshapes; the batch's axis is the first."""
        return _tensor(
            sent_to(self, "reshape", take_call("reshape", KerasTensor.reshape, locals()))
        )

    def squeeze(self, axis: int | Sequence[int] | None = None) -> KerasTensor:
        """Make a node that drops axes of length 1."""
        return _tensor(
            sent_to(self, "squeeze", take_call("squeeze", KerasTensor.squeeze, locals()))
        )

    def __getitem__(self, key: object) -> KerasTensor:
        return _tensor(item_of(self, _checked_key(key)))

    def __iter__(self) -> Iterator[KerasTensor]:
        kind, items = cast("tuple[str, Any]", self._facts.get("tensors", ("", ())))
        if kind in {"list", "tuple"}:
            return (_item(self, index) for index in range(len(items)))
        if kind == "tensor":
            raise TypeError(f"{self!r} is one tensor, which cannot be iterated over")
        raise TypeError(
            f"how many tensors {self!r} stands for is known in the worker alone: take them by "
            "index, or `await` it before it is unpacked"
        )

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} has no value yet, so it is neither true nor false")

    def _operation(
        self, symbol: str, build: Callable[..., Expression], *operands: object
    ) -> KerasTensor:
        kept = [carry(operand, f"operand of {symbol}") for operand in operands]
        return _tensor(operation(symbol, build, *kept, owner=self))

    # --- as data ---

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def _same(self, other: object) -> bool:
        """Compare what was described: two inputs by their arguments, any others by identity."""
        if self is other or not isinstance(other, KerasTensor):
            return self is other
        return self._input is not None and same(self._input, other._input)

    def _brief(self) -> str:
        kind, told = cast("tuple[str, Any]", self._facts.get("tensors", ("", None)))
        return f"<KerasTensor shape={told['shape']}>" if kind == "tensor" else "<KerasTensor>"

    def __repr__(self) -> str:
        kind, told = cast("tuple[str, Any]", self._facts.get("tensors", ("", None)))
        if kind == "tensor":
            return f"<KerasTensor {told['name']!r} shape={told['shape']} dtype={told['dtype']}>"
        return f"<KerasTensor {self._origin.call}>"


ITEM = "KerasTensor.__getitem__"
"""The label of the recipe of ``tensor[key]``."""


def Input(  # noqa: N802 - Keras's own name
    shape: Shape | None = None,
    batch_size: int | None = None,
    dtype: DType = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Shape | None = None,
    name: str | None = None,
    tensor: Mirror | None = None,
    optional: bool = False,
) -> KerasTensor:
    """Say what a model takes: the shape, without the batch's axis, and the dtype.

    https://keras.io/api/layers/core_layers/input/
    """
    values = locals()
    made = KerasTensor.__new__(KerasTensor)
    made._input = values
    recipe = called(KERAS_INPUT, take_call("Input", Input, values))
    made._node = Node(None, recipe)
    made._begin(recipe)
    return made


KERAS_INPUT = "keras.Input"
# As an argument it stands for Keras's own, like every mirrored function.
Input.keras_name = KERAS_INPUT  # type: ignore[attr-defined]  # an attribute of ours


def tensors_of(recipe: Recipe, structure: object, operation: Mirror | None = None) -> Any:
    """Return what a symbolic call gives.

    Args:
        recipe: The call's.
        structure: Lists, tuples and dicts of ``ONE``, as far as it is known.
        operation: The layer that is called.

    Returns:
        A symbolic tensor, or a structure of them.
    """
    return _spread(_tensor(recipe, operation), structure)


def tensors_in(structure: object) -> Iterator[KerasTensor]:
    """Yield the tensors in lists, tuples and dicts, in Keras's order: dicts by sorted keys."""
    if isinstance(structure, KerasTensor):
        yield structure
    elif isinstance(structure, Mapping):
        for key in sorted(structure, key=lambda key: (type(key).__name__, key)):
            yield from tensors_in(structure[key])
    elif isinstance(structure, (list, tuple)):
        for part in structure:
            yield from tensors_in(part)


# --- inner steps -------------------------------------------------------------------------


def _tensor(recipe: Recipe, operation: Mirror | None = None) -> KerasTensor:
    made = KerasTensor.__new__(KerasTensor)
    made._node = Node(operation, recipe)
    made._begin(recipe)
    return made


def _spread(tensor: KerasTensor, structure: object) -> Any:
    if structure is None or structure == ONE:
        return tensor
    if isinstance(structure, Mapping):
        return {key: _spread(_item(tensor, key), inner) for key, inner in structure.items()}
    assert isinstance(structure, (list, tuple))
    items = (_spread(_item(tensor, index), inner) for index, inner in enumerate(structure))
    return type(structure)(items)


def _item(tensor: KerasTensor, key: object) -> KerasTensor:
    """Return one of several tensors: a result of the same call, and no new node."""
    made = KerasTensor.__new__(KerasTensor)
    made._node = tensor._node
    made._begin(item_of(tensor, key))
    return made


def _checked_key(key: object) -> object:
    if isinstance(key, tuple):
        return tuple(map(_checked_key, key))
    if isinstance(key, slice):
        for bound in (key.start, key.stop, key.step):
            carry(bound, "slice")
        return key
    return key if key is ... else carry(key, "index")
