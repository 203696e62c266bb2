"""What is recorded of a training: the values of each metric, and the epochs they belong to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from asyncbridge.models.mirrors.curves import Point, number

__all__ = ["VALIDATION", "Line", "Record", "State", "plain"]

State = Literal["running", "complete", "stopped", "failed"]
VALIDATION = "val_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A curve to draw.

    Attributes:
        validation: Whether it is of the validation data.
        place: Which of the metric's values it is, such as ``[0]``; empty if it has one alone.
        points: In the order of their epochs.
    """

    validation: bool
    place: str
    points: list[Point]

    @property
    def label(self) -> str:
        """What it is called beside the metric's name."""
        return ("validation" if self.validation else "training") + self.place


@dataclass(slots=True, kw_only=True)
class Record:
    """The state of a ``TrainingHistory``.

    One thread writes, and any may read, without a lock: what grows is appended to, an epoch's
    number last; ``copy`` reads the numbers first, and leaves out what has come since.

    Attributes:
        history: For each metric its values, without gaps, as Keras has them.
        epochs: The epochs that have ended.
        validation_epochs: Those that ended with a validation.
        params: What Keras trained with.
        state: Whether the training has ended, and how.
        noted: The epochs of each metric's values, as far as they were seen to come.
    """

    history: dict[str, list[Any]]
    epochs: list[int]
    validation_epochs: list[int]
    params: dict[str, Any]
    state: State
    noted: dict[str, list[int]] = field(default_factory=dict)

    def note(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Append one epoch."""
        for name, value in logs.items():
            if name not in self.noted:
                self.noted[name] = self._epochs_of(name) if name in self.history else []
            self.history.setdefault(name, []).append(value)
            self.noted[name].append(epoch)
        if any(map(self.is_validation, logs)):
            self.validation_epochs.append(epoch)
        self.epochs.append(epoch)

    def copy(self) -> Record:
        """Return what is recorded now, of whole epochs, for a reader in any thread."""
        epochs = list(self.epochs)
        ended = set(epochs)
        history: dict[str, list[Any]] = {}
        noted: dict[str, list[int]] = {}
        for name, values in self.history.copy().items():
            seen = self.noted.get(name)
            if seen is None:
                history[name] = list(values)
            elif whole := [epoch for epoch in list(seen) if epoch in ended]:
                history[name], noted[name] = values[: len(whole)], whole
        return Record(
            history=history,
            epochs=epochs,
            validation_epochs=[epoch for epoch in list(self.validation_epochs) if epoch in ended],
            params=dict(self.params),
            state=self.state,
            noted=noted,
        )

    @property
    def whole(self) -> bool:
        """Whether the training has ended, with all epochs that were asked for."""
        asked = self._asked()
        return self.state == "complete" and (asked is None or len(self.epochs) >= asked)

    @property
    def extent(self) -> str:
        """How many epochs there are, and of how many, if they are not simply all."""
        asked = self._asked()
        return str(len(self.epochs)) + ("" if self.whole or asked is None else f" of {asked}")

    def _asked(self) -> int | None:
        asked = self.params.get("epochs")
        # Keras's ``epochs`` is the one to stop at, wherever the training begins.
        begin = self.epochs[0] if self.epochs else 0
        return asked - begin if isinstance(asked, int) else None

    @property
    def title(self) -> str:
        """The extent and the state as words: ``3 of 100 epochs, failed``."""
        noun = "epoch" if self.extent == "1" else "epochs"
        return f"{self.extent} {noun}{'' if self.state == 'complete' else f', {self.state}'}"

    @property
    def metrics(self) -> list[str]:
        """The metrics' names, without those of the validation data."""
        return [name for name in self.history if not self.is_validation(name)]

    def is_validation(self, name: str) -> bool:
        """Tell whether this is the validation's value of another metric."""
        return name.startswith(VALIDATION) and name.removeprefix(VALIDATION) in self.history

    def points(self, name: str) -> list[tuple[int, Any]]:
        """Return a metric's values, each with its epoch."""
        return list(zip(self._epochs_of(name), self.history[name], strict=False))

    def _epochs_of(self, name: str) -> list[int]:
        count = len(self.history[name])
        seen = self.noted.get(name, [])
        return seen if len(seen) == count else self._usual_epochs(name, count)

    def _usual_epochs(self, name: str, count: int) -> list[int]:
        validated = self.is_validation(name) and count <= len(self.validation_epochs)
        epochs = self.validation_epochs if validated else self.epochs
        # Of a metric with fewer values nobody knows which are missing; most often it came late.
        return epochs[max(0, len(epochs) - count) :]

    def unusual(self) -> dict[str, list[int]]:
        """Return the epochs of those metrics whose epochs the rest does not tell."""
        return {
            name: list(seen)
            for name, seen in self.noted.items()
            if len(seen) == len(self.history[name]) and seen != self._usual_epochs(name, len(seen))
        }

    def columns(self, name: str) -> dict[str, list[tuple[int, Any]]]:
        """Return a metric's points by their place: ``""``, or ``[0]``, ``[1]`` for a list's."""
        found: dict[str, list[tuple[int, Any]]] = {}
        for epoch, value in self.points(name):
            for place, part in _parts(plain(value)):
                found.setdefault(place, []).append((epoch, part))
        return found

    def lines(self, name: str) -> list[Line]:
        """Return a metric's curves, and those of its validation."""
        names = [name]
        if not self.is_validation(name) and VALIDATION + name in self.history:
            names.append(VALIDATION + name)
        return [
            Line(
                validation=self.is_validation(each),
                place=place,
                points=sorted(((epoch, number(value)) for epoch, value in points), key=_epoch),
            )
            for each in names
            if each in self.history
            for place, points in self.columns(each).items()
        ]


def _epoch(point: Point) -> int:
    return point[0]


def _parts(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the numbers of a metric that has one for each class."""
    if not isinstance(value, list):
        yield place, value
        return
    for at, part in enumerate(value):
        yield from _parts(part, f"{place}[{at}]")


def plain(value: Any) -> Any:
    """Return a deep copy, in which numpy's arrays and numbers are lists and Python's numbers."""
    if type(value).__module__ == "numpy":  # no numpy is imported to tell one
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value


def without_null(value: Any) -> Any:
    """Return a metric's values as they were before JSON, which has no NaN."""
    if isinstance(value, list):
        return [without_null(part) for part in value]
    return math.nan if value is None else value
