"""Trainings in this process's terminal: a progress bar, or lines where there is no terminal."""

from __future__ import annotations

import asyncio
import sys
from asyncio.events import _get_running_loop
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from asyncbridge.models.mirrors.events import EpochEnd
from asyncbridge.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.models.mirrors.events import TrainingEvent
    from asyncbridge.models.mirrors.history import TrainingHistory
    from asyncbridge.models.mirrors.training import Training

__all__ = ["View", "metrics_text", "show_training"]

LINES = 2
"""The ``verbose`` that asks for lines, also in a terminal."""


class View(Protocol):
    """What shows one training."""

    def show(self, event: TrainingEvent) -> None:
        """Show what happened."""
        ...

    def close(self, history: TrainingHistory) -> None:
        """Show how the training ended, and leave the terminal as it was."""
        ...


class Lines:
    """A line for each epoch, as files and logs want it."""

    def __init__(self) -> None:
        self._last = 0.0

    def show(self, event: TrainingEvent) -> None:
        """Write the line of an epoch that has ended, with the time that it took."""
        if isinstance(event, EpochEnd):
            seconds, self._last = event.elapsed - self._last, event.elapsed
            parts = (
                f"Epoch {event.epoch + 1}/{event.epochs}",
                f"{seconds:.1f} s",
                *metrics_text(event.logs),
            )
            self._write(" - ".join(parts) + "\n")

    def _write(self, line: str) -> None:
        try:
            sys.stdout.write(line)
        except UnicodeEncodeError:
            sys.stdout.write(line.encode("ascii", "backslashreplace").decode())
        sys.stdout.flush()

    def close(self, history: TrainingHistory) -> None:
        """Write nothing: the error, if there is one, is the promise's."""


def metrics_text(logs: Mapping[str, Any]) -> list[str]:
    """Return each metric that is one number, as ``name: value``.

    Names come from the worker: no control character in them reaches the terminal.
    """
    # The loss first: it is what a narrow terminal has room for.
    names = sorted(logs, key=lambda name: {"loss": 0, "val_loss": 1}.get(name, 2))
    numbers = ((name, logs[name]) for name in names if isinstance(logs[name], float))
    return [
        f"{name if name.isprintable() else ascii(name)}: {value:.4g}" for name, value in numbers
    ]


def show_training(training: Training, verbose: str | int) -> None:
    """Show a training for as long as it lasts, as ``verbose`` asks for it; from any thread."""
    if not verbose or sys.stdout is None:
        return
    as_lines = verbose == LINES or not _is_terminal(sys.stdout)
    loop = training.get_loop()

    def start() -> None:
        if as_lines:
            training.show_in(Lines())
        else:
            spawn(_show_bar(training), name="asyncbridge-show")

    if _get_running_loop() is loop:
        start()
    else:
        loop.call_soon_threadsafe(start)


def _is_terminal(stream: object) -> bool:
    """Tell a terminal; what stands in the place of ``sys.stdout`` may be anything, or closed."""
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]  # the line below
    except (AttributeError, OSError, ValueError):
        return False


async def _show_bar(training: Training) -> None:
    """Show a progress bar; rich, which draws it, is imported in a thread."""
    name = "asyncbridge.models.mirrors.bars"
    module = await asyncio.get_running_loop().run_in_executor(None, import_module, name)
    if not training.done():
        training.show_in(module.Bar())
