"""Trainings in this process's terminal: a progress bar, or lines where there is no terminal."""

from __future__ import annotations

import asyncio
import logging
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
    from asyncbridge.progress import ProgressReader

__all__ = ["View", "metrics_text", "show_training"]

log = logging.getLogger(__name__)

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

    def show(self, event: TrainingEvent) -> None:
        """Write the line of an epoch that has ended."""
        if isinstance(event, EpochEnd):
            parts = (
                f"Epoch {event.epoch + 1}/{event.epochs}",
                f"{event.elapsed:.1f} s",
                *metrics_text(event.logs),
            )
            sys.stdout.write(" - ".join(parts) + "\n")
            sys.stdout.flush()

    def close(self, history: TrainingHistory) -> None:
        """Write nothing: the error, if there is one, is the promise's."""


def metrics_text(logs: Mapping[str, Any]) -> list[str]:
    """Return each metric that is one number, as ``name: value``.

    Names come from the worker: no control character in them reaches the terminal.
    """
    numbers = ((name, value) for name, value in logs.items() if isinstance(value, float))
    return [
        f"{name if name.isprintable() else ascii(name)}: {value:.4g}" for name, value in numbers
    ]


def show_training(training: Training, verbose: str | int) -> None:
    """Show a training for as long as it lasts, as ``verbose`` asks for it; from any thread."""
    if not verbose or sys.stdout is None:
        return
    as_lines = verbose == LINES or not sys.stdout.isatty()
    loop, reader, history = training.get_loop(), training.progress(), training.history

    def start() -> None:
        spawn(_show(reader, history, as_lines=as_lines), name="asyncbridge-show")

    if _get_running_loop() is loop:
        start()
    else:
        loop.call_soon_threadsafe(start)


async def _show(
    reader: ProgressReader[TrainingEvent], history: TrainingHistory, *, as_lines: bool
) -> None:
    view = Lines() if as_lines else await _bar()
    try:
        async for event in reader:
            view.show(event)
    except (OSError, ValueError) as error:  # the terminal is gone, or closed
        log.debug("a training is not shown any longer: %s", error)
    finally:
        view.close(history)


async def _bar() -> View:
    """Return a progress bar; rich, which draws it, is imported in a thread."""
    name = "asyncbridge.models.mirrors.bars"
    module = sys.modules.get(name)
    if module is None:
        module = await asyncio.get_running_loop().run_in_executor(None, import_module, name)
    bar: View = module.Bar()
    return bar
