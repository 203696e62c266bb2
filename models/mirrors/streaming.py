"""Data that streams into ``fit``, ``evaluate`` and ``predict``: what is passed, as streams."""

from __future__ import annotations

import inspect
import math
from collections.abc import AsyncIterable, Iterator, Mapping
from typing import Any

from asyncbridge.models.mirrors.data import as_data
from asyncbridge.models.mirrors.rows import Rows, is_on_disk, rows_of, sliced
from asyncbridge.models.mirrors.wire import is_handle, is_remote, keras_name_of
from asyncbridge.streams import Stream

__all__ = ["streamed"]

BATCH_SIZE = 32
"""What Keras takes when none is given."""
_DATA = ("x", "y", "sample_weight")


def streamed(label: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments with streams in the places of generators and of arrays on disk.

    Args:
        label: The method's name, for errors.
        values: Its arguments by name.

    Raises:
        ValueError: What does not go together with a stream; a generator that is good for one epoch
            is to last for several.
    """
    values = dict(values)
    if (stream := as_stream(values.get("x"), "x")) is not None:
        _check_alone(label, values)
        _check_lasts(label, stream, values)
        stream.convert = _Checked("x", trains=label != "predict")
        values["x"] = stream
    elif any(is_on_disk(values.get(name)) for name in _DATA):
        values = _from_disk(values)
    if "validation_data" in values:
        values["validation_data"] = _validation(label, values)
    return values


def as_stream(value: object, label: str) -> Stream | None:
    """Return the stream that is passed as data; None for what is none."""
    if isinstance(value, Stream):
        stream = value
    elif is_handle(value) or keras_name_of(value) is not None or hasattr(value, "__await__"):
        return None
    elif isinstance(value, (Iterator, AsyncIterable)):
        if inspect.isgenerator(value) and inspect.getgeneratorstate(value) == inspect.GEN_CLOSED:
            raise ValueError(f"{label}: this generator is used up: make a new one")
        if inspect.isasyncgen(value) and value.ag_frame is None:
            raise ValueError(f"{label}: this generator is used up: make a new one")
        stream = Stream(value)
    else:
        _check_wrapped(value, label)
        return None
    stream.label = stream.label or label
    stream.convert = _Checked(label, trains=True)
    return stream


def _check_wrapped(value: object, label: str) -> None:
    """Refuse what is meant as a stream, and does not say so."""
    if inspect.isgeneratorfunction(value) or inspect.isasyncgenfunction(value):
        raise TypeError(f"{label}: pass a function as asyncbridge.stream({value.__name__})")
    batches: list[object] = value if isinstance(value, list) else []
    tuples = [batch for batch in batches if isinstance(batch, tuple)]
    arrays = all(getattr(part, "ndim", 0) > 0 for batch in tuples for part in batch)
    if tuples and arrays and len(tuples) == len(batches):
        raise TypeError(f"{label}: wrap a list of batches in asyncbridge.stream()")


# --- arrays on disk ----------------------------------------------------------------------


def _from_disk(values: dict[str, Any]) -> dict[str, Any]:
    """Let arrays that a file holds be read there where the others are."""
    from asyncbridge.serialization.files import FileArray, by_path  # noqa: PLC0415 - it needs numpy

    x = values.get("x")
    data: dict[str, Any] = {name: values.get(name) for name in _DATA}
    if isinstance(x, FileArray):  # the worker maps it, and so the others
        return values | {name: by_path(part) for name, part in data.items() if is_on_disk(part)}
    for name, part in data.items():
        if isinstance(part, FileArray):
            raise TypeError(
                f"{name}: an array by path is the worker's to read, and an np.memmap is read here, "
                "batch by batch: pass all of them in one way"
            )
    return values if x is None or is_remote(x) else _by_rows(values)


def _by_rows(values: dict[str, Any]) -> dict[str, Any]:
    """Let arrays that a file holds be read batch by batch, as Keras does with arrays."""
    x, y, weight = (as_data(values.get(name)) for name in _DATA)
    if values.get("class_weight") is not None:
        raise ValueError("class_weight= is for arrays in memory: give sample_weight= with a memmap")
    size = values.get("batch_size") or BATCH_SIZE
    split = values.get("validation_split") or 0.0
    if split and values.get("validation_data") is None:
        at = _split_at(rows_of(x), split)
        rest = [sliced(part, at, rows_of(x)) for part in (x, y, weight)]
        x, y, weight = (sliced(part, 0, at) for part in (x, y, weight))
        held_out = Rows(*rest, batch_size=_held_out(values))
        values["validation_data"] = rows_stream(held_out, "validation_data")
    rows = Rows(x, y, weight, batch_size=size, shuffle=bool(values.get("shuffle", False)))
    values["x"] = rows_stream(rows, "x")
    gone = {"y": None, "sample_weight": None, "batch_size": None, "validation_split": 0.0}
    return values | {name: value for name, value in gone.items() if name in values}


def rows_stream(rows: Rows, label: str) -> Stream:
    """Return the stream of an array's rows."""
    stream = Stream(rows, steps=rows.steps)
    stream.label = label
    stream.floats = True
    stream.convert = _plain
    return stream


def _held_out(values: Mapping[str, Any]) -> int:
    """Return how many samples are validated with in one step."""
    return values.get("validation_batch_size") or values.get("batch_size") or BATCH_SIZE


def _split_at(count: int, split: float) -> int:
    """Return where the validation begins, as Keras has it."""
    at = math.floor(count * (1.0 - split))
    if not 0 < at < count:
        raise ValueError(f"validation_split={split} leaves one side of {count} samples empty")
    return at


def _plain(batch: Any, number: int) -> object:
    return tuple(as_data(part) for part in batch)


# --- what does not go together -----------------------------------------------------------


def _check_alone(label: str, values: Mapping[str, Any]) -> None:
    for name in ("y", "sample_weight"):
        if values.get(name) is not None:
            raise ValueError(
                f"{label}() argument {name!r}: a stream brings it along: let it give "
                "(x, y) or (x, y, sample_weight)"
            )
    if values.get("class_weight") is not None:
        raise ValueError(
            f"{label}() argument 'class_weight': a stream brings weights along: let it give "
            "(x, y, sample_weight)"
        )
    if values.get("validation_split"):
        raise ValueError(
            f"{label}() argument 'validation_split': a stream has no end to split off: give "
            "validation_data="
        )


def _check_lasts(label: str, stream: Stream, values: Mapping[str, Any]) -> None:
    epochs = values.get("epochs", 1) - values.get("initial_epoch", 0)
    if epochs > 1 and not stream.restarts and values.get("steps_per_epoch") is None:
        raise ValueError(_used_up(f"{label}() argument 'x'", epochs, "steps_per_epoch"))


def _validation(label: str, values: Mapping[str, Any]) -> Any:
    given, where = values["validation_data"], f"{label}() argument 'validation_data'"
    if isinstance(given, (tuple, list)) and any(map(is_on_disk, given)):
        parts = _from_disk(
            dict(zip(_DATA, given, strict=False)) | {"batch_size": _held_out(values)}
        )
        stream = parts["x"]
        if not isinstance(stream, Stream):
            return tuple(parts[name] for name in _DATA[: len(given)])
        stream.label = "validation_data"
        return stream
    stream = as_stream(given, "validation_data")
    if stream is None:
        return given
    epochs = values.get("epochs", 1) - values.get("initial_epoch", 0)
    if epochs > 1 and not stream.restarts and values.get("validation_steps") is None:
        raise ValueError(_used_up(where, epochs, "validation_steps"))
    return stream


def _used_up(where: str, epochs: int, steps: str) -> str:
    return (
        f"{where}: this generator is used up after one epoch, and there are {epochs}: give a "
        f"function that returns a new one, asyncbridge.stream(function), or {steps}="
    )


# --- batches -----------------------------------------------------------------------------


class _Checked:
    """Makes arrays of what a source gives, and sees to it that all batches are alike.

    Args:
        label: What errors call the stream.
        trains: Whether a batch has targets.
    """

    def __init__(self, label: str, *, trains: bool) -> None:
        self._label = label
        self._trains = trains
        self._first: object = None

    def __call__(self, batch: Any, number: int) -> object:
        where = f"batch {number} of {self._label}"
        if self._trains and isinstance(batch, list) and len(batch) in (2, 3) and _are_arrays(batch):
            raise TypeError(
                f"{where} is a list, which is several inputs without targets: give a tuple, (x, y) "
                "or (x, y, sample_weight); several inputs alone are ([a, b],)"
            )
        # By its parts: rows as lists would make one array of x and y.
        made = tuple(map(as_data, batch)) if isinstance(batch, tuple) else as_data(batch)
        _check_samples(made, where)
        shape = _shape(made)
        if self._first is None:
            self._first = shape
        elif shape != self._first:
            raise ValueError(
                f"{where} is {_told(shape)}, and the first was {_told(self._first)}: all batches "
                "have one structure"
            )
        return made


def _are_arrays(parts: list[Any]) -> bool:
    return all(hasattr(part, "dtype") and hasattr(part, "shape") for part in parts)


def _check_samples(batch: object, where: str) -> None:
    """See to it that x and y, where they are plain arrays, have as many samples as each other."""
    parts: tuple[Any, ...] = batch if isinstance(batch, tuple) else (batch,)
    named = dict(zip(_DATA, parts, strict=False))
    rows: dict[str, int] = {}
    for name, part in named.items():
        if isinstance(part, (bool, int, float)) or getattr(part, "ndim", None) == 0:
            raise ValueError(f"{where}: {name} is one number, not samples; {_SAMPLES_ADVICE}")
        if hasattr(part, "ndim"):
            rows[name] = part.shape[0]
    if len(set(rows.values())) > 1:
        told = ", ".join(f"{name} has {count} rows" for name, count in rows.items())
        raise ValueError(f"{where}: {told}; {_SAMPLES_ADVICE}")


_SAMPLES_ADVICE = (
    "a batch holds several samples, in arrays (samples, ...), and a single one is a batch of one: "
    "x[None], y[None]"
)


def _shape(value: Any) -> object:
    """Return what the batches of a stream have in common."""
    if isinstance(value, Mapping):
        return {key: _shape(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_shape(part) for part in value)
    if hasattr(value, "dtype") and hasattr(value, "ndim"):
        return f"{value.dtype} array of {value.ndim} dimensions"
    return type(value).__name__


def _told(shape: object) -> str:
    return shape if isinstance(shape, str) else repr(shape).replace("'", "")
