"""Tensors of the frameworks as arrays, and as tensors of the same kind again."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from asyncbridge.serialization.codec import draft
from asyncbridge.worker.tensors import find
from asyncbridge.worker.torch_tensors import is_ordinary

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["array_of", "is_tensor", "put_together", "sent", "take_apart"]

Form = dict[str, Any]


def is_tensor(thing: object) -> bool:
    """Tell whether an object is a framework's tensor or variable."""
    return find(type(thing)) is not None


def array_of(tensor: Any) -> Any:
    """Return a dense tensor's or variable's values as an array, over the same memory where it can be."""
    convert = find(type(tensor))
    return np.asarray(tensor) if convert is None else convert(tensor)


def sent(tensor: Any) -> Any:
    """Return a dense tensor's or variable's values as an array that has a wire form.

    Raises:
        SerializationError: Its elements have none.
    """
    array = array_of(tensor)
    draft(array, path="it")
    return array


def take_apart(thing: Any) -> Form | None:
    """Return a tensor as data, None if it is none, or of a kind that stays an array."""
    if not is_tensor(thing):
        return None
    package = type(thing).__module__.partition(".")[0]
    form = _TAKERS[package](thing)
    return None if form is None else {"kind": "tensor", "package": package, **form}


def put_together(form: Form) -> object:
    """Return the tensor that ``take_apart`` made data of."""
    return _MAKERS[form["form"]](form)


# --- TensorFlow --------------------------------------------------------------------------


def _take_tensorflow(tensor: Any) -> Form:
    tf = sys.modules["tensorflow"]
    if isinstance(tensor, tf.SparseTensor):
        parts = [sent(part) for part in (tensor.indices, tensor.values, tensor.dense_shape)]
        return {"form": "tf.sparse", "arrays": parts}
    if isinstance(tensor, tf.RaggedTensor):
        parts = [tensor.flat_values, *tensor.nested_row_splits]
        return {"form": "tf.ragged", "arrays": [sent(part) for part in parts]}
    if isinstance(tensor, tf.Variable):
        shape = None if tensor.shape.rank is None else tensor.shape.as_list()
        about = {"name": tensor.name.partition(":")[0], "trainable": tensor.trainable}
        return {"form": "tf.variable", "arrays": [sent(tensor)], "shape": shape, **about}
    if tensor.dtype == tf.string:
        shape = tensor.shape.as_list()
        return {"form": "tf.text", "value": np.asarray(tensor).reshape(-1).tolist(), "plain": shape}
    return {"form": "tf.tensor", "arrays": [sent(tensor)], "dtype": tensor.dtype.name}


def _make_tensor(form: Form) -> object:
    (array,) = form["arrays"]
    return _tensorflow().constant(array, dtype=form["dtype"])


def _make_text(form: Form) -> object:
    return _tensorflow().constant(form["value"], dtype="string", shape=form["plain"])


def _make_variable(form: Form) -> object:
    (array,) = form["arrays"]
    about = {name: form[name] for name in ("name", "trainable", "shape")}
    return _tensorflow().Variable(array, **about)


def _make_sparse(form: Form) -> object:
    return _tensorflow().SparseTensor(*form["arrays"])


def _make_ragged(form: Form) -> object:
    values, *splits = form["arrays"]
    tf = _tensorflow()
    return tf.RaggedTensor.from_nested_row_splits(tf.constant(values), splits)


def _tensorflow() -> Any:
    return import_module("tensorflow")


# --- the others --------------------------------------------------------------------------


def _take_keras(variable: Any) -> Form:
    names = ("name", "dtype", "trainable")
    about = {name: getattr(variable, name) for name in names}
    return {"form": "keras.variable", "arrays": [sent(variable)], "about": about}


def _make_keras(form: Form) -> object:
    keras = import_module("keras")
    made: object = keras.Variable(form["arrays"][0], **form["about"])
    return made


def _take_jax(array: Any) -> Form | None:
    if not isinstance(array, sys.modules["jax"].Array):
        return None
    return {"form": "jax.array", "arrays": [sent(array)]}


def _make_jax(form: Form) -> object:
    jnp = import_module("jax.numpy")
    made: object = jnp.asarray(form["arrays"][0])
    return made


def _take_torch(tensor: Any) -> Form | None:
    if not is_ordinary(tensor):
        return None
    parameter = isinstance(tensor, sys.modules["torch"].nn.Parameter)
    about = {"parameter": parameter, "grad": tensor.requires_grad, "device": str(tensor.device)}
    dtype = str(tensor.dtype).removeprefix("torch.")
    return {"form": "torch.tensor", "arrays": [sent(tensor)], "dtype": dtype, **about}


def _make_torch(form: Form) -> object:
    torch = import_module("torch")
    # Copied: what came over the bridge may be read-only. As bytes: torch has dtypes that numpy has not.
    array = np.array(form["arrays"][0], order="C")
    raw = torch.from_numpy(array.reshape(-1).view(np.uint8))
    tensor = raw.view(getattr(torch, form["dtype"])).reshape(array.shape).to(form["device"])
    if form["parameter"]:
        return torch.nn.Parameter(tensor, requires_grad=form["grad"])
    return tensor.requires_grad_(form["grad"])


_TAKERS: Final[dict[str, Callable[[Any], Form | None]]] = {
    "tensorflow": _take_tensorflow,
    "keras": _take_keras,
    "jax": _take_jax,
    "jaxlib": _take_jax,
    "torch": _take_torch,
}
_MAKERS: Final[dict[str, Callable[[Form], object]]] = {
    "tf.tensor": _make_tensor,
    "tf.text": _make_text,
    "tf.variable": _make_variable,
    "tf.sparse": _make_sparse,
    "tf.ragged": _make_ragged,
    "keras.variable": _make_keras,
    "jax.array": _make_jax,
    "torch.tensor": _make_torch,
}
