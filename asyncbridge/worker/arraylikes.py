"""What numpy's and the frameworks' objects are, told without looking at their data.

A framework is looked up among what has been imported: an object of its is there only if that is.
"""

from __future__ import annotations

import math
import re
import sys
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import ref

import numpy as np

from asyncbridge.worker.guards import attempt, type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

__all__ = ["Family", "Kind", "device_of", "form_of", "item_bytes", "kind_of", "variables_of"]


class Family(Enum):
    """What can be asked of an object."""

    PLAIN = auto()
    """No framework's: nothing is known of it."""
    DENSE = auto()
    """Numbers in rows and columns, all of which lie in memory: a shape and a dtype."""
    SYMBOLIC = auto()
    """A shape and a dtype, and no numbers."""
    SPARSE = auto()
    """A shape and a dtype; its numbers lie in the arrays that it is made of."""
    TABLE = auto()
    """A data frame, or one column of it."""
    STATEFUL = auto()
    """A model, a layer, an optimizer or a metric: it has variables."""


class Kind(NamedTuple):
    """What is known of a type.

    Attributes:
        of: The type, which is not kept alive.
        name: Its name as tracebacks have it.
        family: That of a class which it is derived from, if it has none itself.
        bare: Whether its objects say nothing of themselves: their repr is Python's own, of their
            address, and so is their size.
    """

    of: ref[type]
    name: str
    family: Family
    bare: bool = False


KINDS_KEPT: Final = 1024
_known: dict[int, Kind] = {}


def kind_of(cls: type) -> Kind:
    """Return what is known of a type; never raises."""
    kind = _known.get(id(cls))
    # An id alone proves nothing: the type that had it may be gone.
    if kind is not None and kind.of() is cls:
        return kind
    if len(_known) >= KINDS_KEPT:
        _known.clear()
    name = type_name(cls)
    # Not kept where that fails: a framework may be half imported, in another thread.
    if (family := attempt(partial(_family_of, cls), None)) is None:
        return Kind(ref(cls), name, Family.PLAIN)
    bare = family is Family.PLAIN and name.isascii() and attempt(partial(_is_bare, cls), False)
    kind = _known[id(cls)] = Kind(ref(cls), name, family, bare)
    return kind


def _is_bare(cls: type) -> bool:
    return all(getattr(cls, name) is getattr(object, name) for name in ("__repr__", "__sizeof__"))


def _family_of(cls: type) -> Family:
    if issubclass(cls, np.ndarray):
        return Family.DENSE
    for base in type.__dict__["__mro__"].__get__(cls):
        # Not base.__module__: a metaclass may answer anything; Python's own have none here.
        module = type.__dict__["__dict__"].__get__(base).get("__module__")
        if type(module) is not str or (entry := _PACKAGES.get(module.partition(".")[0])) is None:
            continue
        framework = sys.modules.get(entry[0])
        family = None if framework is None else entry[1](framework, cls)
        if family is not None:
            return family
    return Family.PLAIN


# --- the frameworks ----------------------------------------------------------------------


def _keras(keras: ModuleType, kind: type) -> Family | None:
    if issubclass(kind, keras.KerasTensor):
        return Family.SYMBOLIC
    if issubclass(kind, keras.Variable):
        return Family.DENSE
    stateful = (keras.Layer, keras.Optimizer, keras.Metric)
    return Family.STATEFUL if issubclass(kind, stateful) else None


def _tensorflow(tf: ModuleType, kind: type) -> Family | None:
    if issubclass(kind, (tf.SparseTensor, tf.RaggedTensor)):
        return Family.SPARSE
    if issubclass(kind, tf.Variable):
        return Family.DENSE
    if not issubclass(kind, tf.Tensor):
        return None
    # A tensor of a graph has no value.
    return Family.DENSE if hasattr(kind, "numpy") else Family.SYMBOLIC


def _jax(jax: ModuleType, kind: type) -> Family | None:
    if issubclass(kind, jax.core.Tracer):
        return Family.SYMBOLIC
    if issubclass(kind, jax.Array):
        return Family.DENSE
    sparse = sys.modules.get("jax.experimental.sparse")
    return Family.SPARSE if sparse is not None and issubclass(kind, sparse.JAXSparse) else None


def _torch(torch: ModuleType, kind: type) -> Family | None:
    if issubclass(kind, torch.Tensor):
        return Family.DENSE
    return Family.STATEFUL if issubclass(kind, torch.nn.Module) else None


def _pandas(pandas: ModuleType, kind: type) -> Family | None:
    tables = (pandas.DataFrame, pandas.Series, pandas.Index)
    return Family.TABLE if issubclass(kind, tables) else None


def _scipy(sparse: ModuleType, kind: type) -> Family | None:
    return Family.SPARSE if issubclass(kind, (sparse.sparray, sparse.spmatrix)) else None


_PACKAGES: Final[dict[str, tuple[str, Callable[[ModuleType, type], Family | None]]]] = {
    "keras": ("keras", _keras),
    "tensorflow": ("tensorflow", _tensorflow),
    "jax": ("jax", _jax),
    "jaxlib": ("jax", _jax),
    "torch": ("torch", _torch),
    "pandas": ("pandas", _pandas),
    "scipy": ("scipy.sparse", _scipy),
}
"""By the package that a class says it is of: the module that has it, and what knows its types."""


# --- what they tell ----------------------------------------------------------------------


def form_of(value: Any) -> tuple[str, tuple[int | None, ...]]:
    """Return the dtype's name and the shape of what has both.

    Args:
        value: Of any family but ``PLAIN`` and ``STATEFUL``. A data frame's dtype is that of its
            columns, or ``"mixed"``.
    """
    dtypes = getattr(value, "dtypes", None)
    if dtypes is None or not hasattr(dtypes, "unique"):
        return dtype_name(value.dtype), tuple(value.shape)
    different = dtypes.unique()
    name = dtype_name(different[0]) if len(different) == 1 else "mixed"
    return name, tuple(value.shape)


def dtype_name(dtype: object) -> str:
    """Return a dtype's name as numpy has it, whichever framework's it is."""
    return str(getattr(dtype, "name", dtype)).removeprefix("torch.")


def item_bytes(dtype: str) -> int:
    """Return the bytes of one item, 0 where the name does not tell.

    Names hold their bits (``float8_e4m3fn``, ``bfloat16``); those of 4 take up a byte in memory.
    """
    bits = re.search(r"\d+", dtype)
    if bits is None:
        return int(dtype == "bool")
    return math.ceil(int(bits[0]) / 8)


def variables_of(value: Any) -> Iterator[Any]:
    """Yield the variables of what has some, its optimizer's included, each once."""
    seen: set[int] = set()
    for owner in (value, getattr(value, "optimizer", None)):
        for variable in () if owner is None else _own_variables(owner):
            if id(variable) not in seen:
                seen.add(id(variable))
                yield variable


def _own_variables(owner: Any) -> Iterator[Any]:
    if hasattr(owner, "variables"):
        yield from owner.variables
        return
    # A module of torch's own; Keras's optimizer of a torch model is one with variables.
    yield from owner.parameters()
    yield from owner.buffers()


def device_of(value: Any, family: Family) -> str:
    """Return where an object lies, as Keras names it: ``"gpu:0"``; empty if it does not tell."""
    if family is Family.STATEFUL:
        first = next(variables_of(value), None)
        return "" if first is None else device_of(first, kind_of(type(first)).family)
    if family is not Family.DENSE or isinstance(value, np.ndarray):
        return ""
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(value, keras.Variable):
        value = value.value
    devices: Any = getattr(value, "devices", None)
    if callable(devices):  # JAX's, over several perhaps
        several: Any = devices()
        first = min(several, key=lambda device: device.id)
        return _device_name(f"{first.platform}:{first.id}")
    return _device_name(str(getattr(value, "device", "")))


def _device_name(text: str) -> str:
    """Return Keras's name of TensorFlow's ``/job:…/device:GPU:0`` or torch's ``cuda:0``."""
    platform, _, index = text.rpartition("device:")[2].lower().partition(":")
    if not platform:
        return ""
    return f"{_PLATFORMS.get(platform, platform)}:{index or 0}"


_PLATFORMS: Final = {"cuda": "gpu", "rocm": "gpu"}
