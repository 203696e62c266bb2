"""Warnings about data that trains nothing: NaN, which Keras takes without a word, and no rows.

NaN in one value of one sample makes the loss NaN, and by the gradients all weights: a newcomer
sees ``loss: nan`` and no more. The check costs one pass over the floats.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncbridge.models.mirrors.data import column_names
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = [
    "BatchCheck",
    "KerasDataWarning",
    "Site",
    "find_empty",
    "find_nan",
    "warn_of_data",
    "warn_of_end",
    "warn_of_validation_end",
]

AT_ONCE_BYTES = 4 * 2**20
"""How much is checked before a call returns: about a millisecond. More goes to a thread."""
_BLOCK_BYTES = 16 * 2**20
_COLUMNS_SHOWN = 5
_ARRAYS_SHOWN = 5
_NAME_LENGTH = 40

_NAN_ADVICE = (
    "NaN spreads to the loss, to all weights and to the predictions; drop those rows, or fill "
    "the gaps (DataFrame.dropna() and fillna(), numpy.nan_to_num())"
)
_EMPTY_ADVICE = "nothing is computed from it"
_END_ADVICE = (
    "the training ended there; give fewer steps_per_epoch or epochs, or a function that begins "
    "anew, in asyncbridge.stream()"
)

_VALIDATION_END_ADVICE = (
    "what was validated without a batch says nothing; give fewer validation_steps, or a function "
    "that begins anew, in asyncbridge.stream()"
)

# Which warnings were shown at which line, by file: what a module keeps for itself otherwise.
_registries: dict[str, dict[Any, Any]] = {}


class KerasDataWarning(UserWarning):
    """Data that Keras takes, and that will not train a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The line of the user's call, which the warning names.

    Attributes:
        filename: The file, as in the code object.
        lineno: The line, counted from 1.
    """

    filename: str
    lineno: int


class _Part(NamedTuple):
    """One array of what was passed.

    Attributes:
        where: What it is called, such as ``"x['image']"``.
        columns: Its columns' names, as far as they have any.
    """

    where: str
    array: Array
    columns: tuple[str, ...]


# --- findings ----------------------------------------------------------------------------


def find_nan(name: str, value: object, given: object = None) -> list[str]:
    """Say where data has NaN, one text for each array that has any.

    Args:
        name: What the data is called, such as ``"x"``.
        value: Arrays, also inside dicts, lists and tuples; what is no array of floats is left.
        given: What the user passed and ``as_data`` made the value of, for its columns' names.
    """
    return _nan_in(_floats(_parts(name, value, given)))


def find_empty(name: str, value: object) -> list[str]:
    """Say which arrays have no samples.

    Args:
        name: What the data is called, such as ``"x"``.
        value: Arrays, also inside dicts, lists and tuples.
    """
    return [
        f"{part.where} has no samples: its shape is {part.array.shape}"
        for part in _parts(name, value, None)
        if part.array.ndim and not len(part.array)
    ]


def _parts(where: str, value: object, given: object) -> Iterator[_Part]:
    """Yield the arrays in data; beside each goes what it was made of."""
    from numpy import ndarray  # noqa: PLC0415 - a description needs no numpy

    if isinstance(value, ndarray):
        yield _Part(where, value, column_names(given))
    elif isinstance(value, dict):
        beside = given if isinstance(given, Mapping) else {}
        for key, part in value.items():
            yield from _parts(f"{where}[{key!r}]", part, beside.get(key))
    elif isinstance(value, (list, tuple)):
        items = given if isinstance(given, (list, tuple)) else ()
        for index, (part, item) in enumerate(zip_longest(value, items)):
            yield from _parts(f"{where}[{index}]", part, item)


def _floats(parts: Iterable[_Part]) -> list[_Part]:
    return [part for part in parts if part.array.dtype.kind in "fc"]


def _nan_in(parts: Iterable[_Part]) -> list[str]:
    counted = ((part, _count_nan(part.array)) for part in parts)
    return [_nan_text(part, counts) for part, counts in counted if counts is not None]


def _count_nan(array: Array) -> Array | None:
    """Count the NaN by column, ``(columns,)``; of what has no columns, the samples with any.

    Returns:
        None if there is none.
    """
    import numpy as np  # noqa: PLC0415 - as above

    # A sum is NaN if a value is: one pass, no memory. Infinities of both signs, which are no
    # NaN, give one too, so what follows looks again.
    with np.errstate(all="ignore"):
        if not np.isnan(np.sum(array)):
            return None
    counts = np.stack([_count_block(block) for block in _blocks(array)]).sum(axis=0)
    return np.asarray(counts) if counts.any() else None


def _blocks(array: Array) -> Iterator[Array]:
    """Yield runs of samples, so that a mask of a large array is never whole in memory."""
    if array.ndim == 0:
        yield array.reshape(1)
        return
    rows = max(1, _BLOCK_BYTES * len(array) // array.nbytes)
    for start in range(0, len(array), rows):
        yield array[start : start + rows]


def _count_block(block: Array) -> Array:
    import numpy as np  # noqa: PLC0415 - as above

    mask = np.isnan(block)
    if mask.ndim == 2:
        return np.asarray(np.sum(mask, axis=0))
    return np.asarray([np.count_nonzero(np.any(mask.reshape(len(mask), -1), axis=1))])


def _nan_text(part: _Part, counts: Array) -> str:
    where, array, columns = part
    if array.ndim != 2:
        return f"{where} has NaN in {counts[0]} of {len(array) if array.ndim else 1} samples"
    with_nan = counts.nonzero()[0].tolist()
    shown = "; ".join(
        f"column {index}{_in_brackets(columns, index)}: {counts[index]} of {len(array)} rows"
        for index in with_nan[:_COLUMNS_SHOWN]
    )
    left = len(with_nan) - _COLUMNS_SHOWN
    return f"{where} has NaN in {shown}" + (f"; and in {left} more columns" if left > 0 else "")


def _in_brackets(names: tuple[str, ...], index: int) -> str:
    if index >= len(names):
        return ""
    name = names[index]
    return f" ({name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + '…'!r})"


# --- warnings ----------------------------------------------------------------------------


def warn_of_data(
    data: Mapping[str, object],
    given: Mapping[str, object],
    *,
    site: Site,
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Warn, at the user's line, of NaN in the data of a call, and of arrays without samples.

    Up to 4 MiB are checked at once; more is checked in a thread, which neither the call nor
    the event loop waits for, and the warning then comes from the loop. The caller may change
    an array while the thread reads it: what is said of it is a hint then, not a fact.

    Where a filter makes an error of the warning, it is raised here, before anything is sent;
    from the loop it goes to the loop's exception handler.

    Args:
        data: The arguments by name, as ``as_data`` gave them.
        given: The same as the user passed them, for the columns' names.
        site: The line to name.
        loop: The bridge's event loop; this may be called from any thread.
    """
    _warn([text for name in data for text in find_empty(name, data[name])], _EMPTY_ADVICE, site)
    parts = _floats(part for name in data for part in _parts(name, data[name], given.get(name)))
    if sum(part.array.nbytes for part in parts) <= AT_ONCE_BYTES:
        _warn(_nan_in(parts), _NAN_ADVICE, site)
    elif asyncio._get_running_loop() is loop:
        _check_aside(parts, site)
    else:
        loop.call_soon_threadsafe(_check_aside, parts, site)


def warn_of_end(taken: int, planned: int, *, site: Site) -> None:
    """Warn that a training ended with its source, before the steps that were asked for."""
    _warn([f"the source ended after {taken} of {planned} batches"], _END_ADVICE, site)


def warn_of_validation_end(taken: int, planned: int, *, site: Site) -> None:
    """Warn that validations had fewer steps than were asked for."""
    text = f"the source of validation_data ended after {taken} of {planned} batches"
    _warn([text], _VALIDATION_END_ADVICE, site)


class BatchCheck:
    """Warns of NaN in the batches of a stream, once: the first batch that has any tells enough.

    Args:
        label: What the batches are of, ``"x"`` or ``"validation_data"``.
        site: The line to name.
    """

    def __init__(self, label: str, site: Site) -> None:
        self._of = "batch" if label == "x" else f"{label}, batch"
        self._site = site
        self._found = False

    def __call__(self, batch: object, number: int) -> None:
        """Look at a batch, in the thread that advances the source, or on the loop."""
        if self._found:
            return
        parts = batch if isinstance(batch, tuple) else (batch,)
        named = zip(("x", "y", "sample_weight"), parts, strict=False)
        where = f"{self._of} {number}"
        texts = [text for name, part in named for text in find_nan(f"{where}: {name}", part)]
        if texts:
            self._found = True
            _warn(texts, _NAN_ADVICE, self._site)


def _check_aside(parts: Sequence[_Part], site: Site) -> None:
    async def check() -> None:
        _warn(await asyncio.to_thread(_nan_in, parts), _NAN_ADVICE, site)

    spawn(check(), name=f"the check for NaN in {parts[0].where}")


def _warn(texts: list[str], advice: str, site: Site) -> None:
    if not texts:
        return
    left = len(texts) - _ARRAYS_SHOWN
    more = [f"and {left} more arrays"] if left > 0 else []
    text = ". ".join([*texts[:_ARRAYS_SHOWN], *more])
    warnings.warn_explicit(
        f"{text}: {advice}",
        KerasDataWarning,
        site.filename,
        site.lineno,
        registry=_registries.setdefault(site.filename, {}),
    )
