"""One epoch of a training: the best, or the last."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args

from asyncbridge.models.mirrors.curves import text_of
from asyncbridge.models.mirrors.directions import direction_of
from asyncbridge.models.mirrors.records import VALIDATION, Record, plain

__all__ = ["Epoch", "Mode", "best_epoch", "known", "last_epoch"]

Mode = Literal["auto", "min", "max"]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Epoch(Mapping[str, Any]):
    """The metrics of one epoch, by name; those that were recorded in it.

    Attributes:
        epoch: Its index, counted from 0.
    """

    epoch: int
    _values: Mapping[str, Any]

    def __getitem__(self, metric: str) -> Any:
        try:
            return self._values[metric]
        except KeyError:
            raise KeyError(
                f"no metric {metric!r} was recorded in epoch {self.epoch}; {known(metric, self)}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Epoch) and other.epoch != self.epoch:
            return False
        return Mapping.__eq__(self, other)

    __hash__ = None  # type: ignore[assignment]  # as other mappings: it equals a dict

    def __repr__(self) -> str:
        values = "".join(
            f" {name if name.isprintable() else ascii(name)}={text_of(value)}"
            for name, value in self.items()
        )
        return f"<Epoch {self.epoch}{values}>"


def best_epoch(record: Record, metric: str, mode: Mode) -> Epoch:
    """Return the first of the epochs in which a metric was best."""
    if mode not in get_args(Mode):
        raise ValueError(f"mode={mode!r} is none of {', '.join(get_args(Mode))}")
    _check_begun(record)
    _check_recorded(record, metric)
    points = _numbers(record, metric)
    direction = direction_of(metric) if mode == "auto" else mode
    if direction is None:
        raise ValueError(
            f"the name {metric!r} does not tell whether less or more is better; "
            f"say best({metric!r}, mode='min') or mode='max'"
        )
    choose = min if direction == "min" else max
    return _epoch(record, choose(points, key=lambda point: point[1])[0])


def last_epoch(record: Record) -> Epoch:
    """Return the last epoch that has ended."""
    _check_begun(record)
    return _epoch(record, record.epochs[-1])


def _epoch(record: Record, epoch: int) -> Epoch:
    points = {name: dict(record.points(name)) for name in record.history}
    return Epoch(epoch, {name: at[epoch] for name, at in points.items() if epoch in at})


def _check_begun(record: Record) -> None:
    if not record.epochs:
        raise ValueError(f"no epoch has ended in this training; it is {record.state}")


def _check_recorded(record: Record, metric: str) -> None:
    if metric in record.history:
        return
    trained = metric.removeprefix(VALIDATION)
    if trained in record.history and not any(map(record.is_validation, record.history)):
        raise KeyError(
            f"no metric {metric!r} was recorded, for no epoch ended with a validation: give fit "
            f"validation_data= or validation_split=, or ask for {trained!r}"
        )
    raise KeyError(f"no metric {metric!r} was recorded; {known(metric, record.history)}")


def _numbers(record: Record, metric: str) -> list[tuple[int, Any]]:
    """Return the points of a metric that can be compared."""
    points = [(epoch, plain(value)) for epoch, value in record.points(metric)]
    if any(isinstance(value, list) for _, value in points):
        raise ValueError(
            f"{metric!r} has one value for each class, so no epoch is the best; "
            f"choose one of its classes: history.to_pandas()['{metric}[0]']"
        )
    numbers = [point for point in points if _is_number(point[1])]
    if not numbers:
        last = f", the last one is {text_of(points[-1][1])}" if points else ""
        raise ValueError(f"{metric!r} has no best epoch: none of its values is a number{last}")
    return numbers


def _is_number(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and not math.isnan(value))


def known(name: str, names: Mapping[str, object]) -> str:
    """List the metrics that there are, for an error, and the one that may be meant."""
    listed = ", ".join(map(repr, names)) or "none"
    # Loose enough for "acc" to find "accuracy".
    close = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"there are: {listed}" + (f"; did you mean {close[0]!r}?" if close else "")
