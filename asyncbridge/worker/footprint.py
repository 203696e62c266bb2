"""How many bytes an object holds, and a device; and how memory is given back.

Numbers are those of the data itself: of arrays, tensors and variables what their shape and dtype
make, wherever they lie.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import math
import sys
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from asyncbridge.worker.arraylikes import Family, form_of, item_bytes, kind_of, variables_of
from asyncbridge.worker.guards import attempt
from asyncbridge.worker.memory import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

__all__ = ["PART_LIMIT", "Weight", "device_memory", "size_of", "trim", "weigh"]

PART_LIMIT: Final = 100_000
"""Parts of one value that are weighed."""

_DONE: Final = object()
_FAILED: Final = object()


class Weight(NamedTuple):
    """What a value weighs.

    Attributes:
        size: In bytes.
        whole: Whether all its parts are in it; else it weighs that at least.
    """

    size: int
    whole: bool = True


def size_of(value: object) -> int:
    """Return the bytes of a value and, if it is a container, of its parts; never raises."""
    return weigh(value).size


def weigh(value: object) -> Weight:
    """Return the bytes of a value, and whether these are all; never raises.

    Of containers each part counts once, up to ``PART_LIMIT`` of them. An object of the user's
    counts without its attributes, an array of objects without them.
    """
    kind = type(value)
    if kind not in _ATOMS and issubclass(kind, _CONTAINERS):
        return _sum((value,))
    return _weigh_one(value, kind)


# --- one object --------------------------------------------------------------------------


def _weigh_one(value: object, kind: type) -> Weight:
    if kind in _ATOMS:
        return Weight(sys.getsizeof(value))
    family = kind_of(kind).family
    if family is Family.PLAIN or family is Family.SYMBOLIC:
        return Weight(_plain(value))
    told = attempt(partial(_weigh_data, value, family), None)
    return Weight(_plain(value), whole=False) if told is None else told


def _weigh_data(value: Any, family: Family) -> Weight:
    if family is Family.DENSE:
        return _dense(value)
    if family is Family.TABLE:
        used = value.memory_usage()
        return Weight(int(used.sum() if hasattr(used, "sum") else used))
    return _sum(variables_of(value) if family is Family.STATEFUL else _arrays_of(value))


def _plain(value: object) -> int:
    try:
        return sys.getsizeof(value)
    except BaseException:  # a class may have a __sizeof__ of its own
        return 0


def _dense(value: Any) -> Weight:
    if isinstance(value, np.ndarray):
        return Weight(np.ndarray.nbytes.__get__(value), whole=not value.dtype.hasobject)
    if type(value).__module__.startswith("torch") and str(value.layout) != "torch.strided":
        return _sum(_arrays_of_torch(value))
    if _is_gone(value):
        return Weight(0)
    dtype, shape = form_of(value)
    bytes_each = item_bytes(dtype)
    return Weight(math.prod(side or 0 for side in shape) * bytes_each, whole=bytes_each > 0)


def _is_gone(value: Any) -> bool:
    """Tell of an array of JAX's whose memory was given away, and of torch's device without any."""
    deleted = getattr(value, "is_deleted", None)
    return bool(getattr(value, "is_meta", False)) or (callable(deleted) and bool(deleted()))


def _arrays_of(value: Any) -> Iterator[object]:
    """Yield the arrays that a sparse or ragged one is made of."""
    if hasattr(value, "nested_row_splits"):
        yield from (value.flat_values, *value.nested_row_splits)
        return
    # Whatever they are called: formats and frameworks differ.
    yield from vars(value).values()


def _arrays_of_torch(value: Any) -> Iterator[object]:
    if str(value.layout) == "torch.sparse_coo":
        yield from (value._indices(), value._values())
        return
    yield value.values()
    names = ("crow_indices", "col_indices", "ccol_indices", "row_indices", "offsets")
    found = (attempt(getattr(value, name), None) for name in names if hasattr(value, name))
    yield from (part for part in found if part is not None)


# --- what is made of parts ---------------------------------------------------------------


def _sum(values: Iterable[object]) -> Weight:
    """Add up objects and what they contain, each once."""
    total, whole = 0, True
    seen: set[int] = set()
    pending: list[Iterator[object]] = [iter(values)]
    for _ in range(PART_LIMIT):
        if not pending:
            break
        part = attempt(partial(next, pending[-1], _DONE), _FAILED)
        if part is _DONE or part is _FAILED:
            pending.pop()
            whole = whole and part is _DONE
        elif id(part) not in seen:
            seen.add(id(part))
            size, known = _own(part, pending)
            total += size
            whole = whole and known
    return Weight(total, whole and not pending)


def _own(part: object, pending: list[Iterator[object]]) -> Weight:
    """Weigh an object by itself, and have its parts weighed next."""
    kind = type(part)
    if kind not in _ATOMS and issubclass(kind, _CONTAINERS):
        pending.append(_parts(part))
        return Weight(_plain(part))
    return _weigh_one(part, kind)


def _parts(container: Any) -> Iterator[object]:
    # Past the methods of classes that are derived from them.
    if isinstance(container, dict):
        return itertools.chain(dict.keys(container), dict.values(container))
    base = next(base for base in _CONTAINERS if issubclass(type(container), base))
    parts: Iterator[object] = base.__iter__(container)
    return parts


_ATOMS: Final = frozenset(
    (bool, int, float, complex, str, bytes, bytearray, type(None), object, range, slice)
)
_CONTAINERS: Final = (dict, list, tuple, set, frozenset, deque)


# --- devices -----------------------------------------------------------------------------


def device_memory() -> list[dict[str, Any]]:
    """Return what is used of each device's memory; nothing where no framework has begun to.

    Returns:
        For each device a dict: its ``name`` (``"gpu:0"``), the bytes ``used`` now and, at their
        ``peak``, by the frameworks of this process, and ``total`` where that is told.
    """
    devices: dict[str, dict[str, Any]] = {}
    for name, ask in _ASKED.items():
        framework = sys.modules.get(name)
        nothing: list[dict[str, Any]] = []
        for row in nothing if framework is None else attempt(partial(ask, framework), nothing):
            _add(devices.setdefault(row["name"], {"name": row["name"], "used": 0, "peak": 0}), row)
    return list(devices.values())


def _add(device: dict[str, Any], row: dict[str, Any]) -> None:
    """Add what one framework uses to what the others do."""
    device["used"] += row["used"]
    device["peak"] += row["peak"]
    if row.get("total"):
        device["total"] = max(row["total"], device.get("total", 0))


def _ask_tensorflow(tf: ModuleType) -> list[dict[str, Any]]:
    rows = []
    # The physical ones: to list the logical ones begins to use them.
    for index in range(len(tf.config.list_physical_devices("GPU"))):
        told = tf.config.experimental.get_memory_info(f"GPU:{index}")
        rows.append({"name": f"gpu:{index}", "used": told["current"], "peak": told["peak"]})
    return rows


def _ask_jax(jax: ModuleType) -> list[dict[str, Any]]:
    # To ask for devices before somebody uses them takes most of their memory.
    bridge = sys.modules.get("jax._src.xla_bridge")
    if not getattr(bridge, "backends_are_initialized", bool)():
        return []
    rows = []
    for device in jax.local_devices():
        told = device.memory_stats()
        if told:  # None for a CPU
            rows.append(_row_of_jax(device, told))
    return rows


def _row_of_jax(device: Any, told: dict[str, int]) -> dict[str, Any]:
    used = told.get("bytes_in_use", 0)
    return {
        "name": f"{device.platform}:{device.id}",
        "used": used,
        "peak": told.get("peak_bytes_in_use", used),
        "total": told.get("bytes_limit", 0),
    }


def _ask_torch(torch: ModuleType) -> list[dict[str, Any]]:
    cuda = torch.cuda
    if not cuda.is_initialized():
        return []
    return [
        {
            "name": f"gpu:{index}",
            "used": cuda.memory_allocated(index),
            "peak": cuda.max_memory_allocated(index),
            # Not mem_get_info: that takes memory on each device which is not used yet.
            "total": cuda.get_device_properties(index).total_memory,
        }
        for index in range(cuda.device_count())
    ]


_ASKED: Final = {"tensorflow": _ask_tensorflow, "jax": _ask_jax, "torch": _ask_torch}


# --- giving back -------------------------------------------------------------------------


def trim() -> tuple[int, int]:
    """Give back what nothing refers to any more: to the system, and to the GPUs.

    Returns:
        The resident bytes before and after.
    """
    before = resident_bytes()
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None:
        attempt(lambda: torch.cuda.is_initialized() and torch.cuda.empty_cache(), None)
    attempt(_trim_heap, None)
    return before, resident_bytes()


def _trim_heap() -> None:
    # glibc's alone has it; elsewhere this raises.
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
