"""A training's progress bar; several trainings share the terminal."""

from __future__ import annotations

import atexit
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from asyncbridge.models.mirrors.showing import metrics_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from asyncbridge.models.mirrors.events import TrainingEvent
    from asyncbridge.models.mirrors.history import TrainingHistory

__all__ = ["Bar"]

COLUMNS = (
    "Epoch {task.fields[epoch]}",
    BarColumn(bar_width=16),
    "{task.fields[step]}",
    "{task.fields[time]}",
)
METRICS = "{task.fields[metrics]}"
"""What gives way in a narrow terminal."""


class Bar:
    """One training's line: epoch, bar, step, time left, and the metrics.

    Args:
        console: Where it is drawn; ``sys.stdout``, if none is named.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._screen = _Screen.enter(console)
        self._task = self._screen.progress.add_task(
            "", total=None, epoch="-", step="", time="", metrics=""
        )
        self._elapsed = 0.0
        self._first: int | None = None  # the epoch that the training began with
        self._metrics: dict[str, Any] = {}
        self._pace: tuple[float, int] | None = None  # when the first step was done, and which

    @property
    def renderable(self) -> RenderableType:
        """What is drawn now, with the bars of other trainings."""
        return self._screen.progress.get_renderable()

    def show(self, event: TrainingEvent) -> None:
        """Draw how far the training is."""
        self._elapsed = event.elapsed
        if self._first is None:
            self._first = event.epoch
        total = done = None
        if event.steps:
            total = (event.epochs - self._first) * event.steps
            done = (event.epoch - self._first) * event.steps + event.step
        fields = {
            "epoch": f"{event.epoch + 1}/{event.epochs}",
            "time": self._left(event.elapsed, total, done),
        }
        if event.steps or event.step:
            fields["step"] = f"{event.step}/{event.steps or '?'}"
        # Those of the validation stay until the next one.
        self._metrics.update(event.logs)
        fields["metrics"] = "  ".join(metrics_text(self._metrics))
        self._draw(total, done, fields)

    def close(self, history: TrainingHistory) -> None:
        """Draw the end, and give the terminal back with the last bar."""
        fields = {"time": _span(self._elapsed), "step": ""}
        if history.state != "complete":
            fields["step"] = "cut off" if history.state == "running" else history.state
        total = done = None
        if history.state == "complete":
            total = done = 1
        try:
            self._draw(total, done, fields)
        finally:
            self._screen.leave()

    def _left(self, elapsed: float, total: int | None, done: int | None) -> str:
        """Return the time that the rest will take, if it goes on as it went so far."""
        if total is None or done is None:
            return _span(elapsed)
        if self._pace is None:
            # The first step takes the compilation along; the pace is that of the others.
            self._pace = (elapsed, done) if done else None
            return ""
        since, first = self._pace
        if done == first:
            return ""
        return f"ETA {_span((elapsed - since) / (done - first) * (total - done))}"

    def _draw(self, total: int | None, done: int | None, fields: dict[str, str]) -> None:
        progress = self._screen.progress
        values: dict[str, Any] = dict(fields)
        if total is not None:
            values |= {"total": total, "completed": done}
        progress.update(self._task, **values)
        progress.refresh()


class _Screen:
    """The one live display that rich allows in a terminal, for as long as there are bars."""

    _current: _Screen | None = None
    _lock = threading.Lock()  # for loops in several threads

    def __init__(self, console: Console | None) -> None:
        # It draws when something happens, and has no thread of its own.
        self.progress = Progress(
            *(_text(column) if isinstance(column, str) else column for column in COLUMNS),
            _text(METRICS, ratio=1),
            console=console or Console(file=sys.stdout),
            auto_refresh=False,
            expand=True,
        )
        self._bars = 0
        self.progress.start()
        # The cursor must not stay hidden when the program ends in the middle.
        atexit.register(self._stop)

    @classmethod
    def enter(cls, console: Console | None) -> _Screen:
        with cls._lock:
            screen = cls._current
            if screen is None:
                screen = cls._current = cls(console)
            screen._bars += 1
            return screen

    def leave(self) -> None:
        with _Screen._lock:
            self._bars -= 1
            if not self._bars:
                _Screen._current = None
                self._stop()
                atexit.unregister(self._stop)

    def _stop(self) -> None:
        self.progress.stop()


def _text(template: str, *, ratio: int | None = None) -> TextColumn:
    column = Column(no_wrap=True, overflow="ellipsis", ratio=ratio)
    return TextColumn(template, markup=False, table_column=column)


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))
