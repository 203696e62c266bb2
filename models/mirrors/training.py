"""The promise of a training: it can be watched, and holds the history so far."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncbridge.errors import WorkerLost
from asyncbridge.models.mirrors.events import EpochEnd, TrainingEvent, event_of
from asyncbridge.models.mirrors.history import TrainingHistory
from asyncbridge.models.mirrors.recovered import completed
from asyncbridge.models.mirrors.showing import metrics_text
from asyncbridge.promise.progress import WatchedPromise

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from asyncbridge.models.mirrors.events import AnyTrainingEvent
    from asyncbridge.models.mirrors.showing import View
    from asyncbridge.promise.progress import ProgressReader

__all__ = ["Training"]

log = logging.getLogger(__name__)


class Training(WatchedPromise[TrainingHistory]):
    """What ``fit`` returns: a promise of the history, and a window on the training.

    ``bridge.promise(id, promise_factory=keras.Training)`` is one of a ``fit`` that another process
    has begun. It tells the progress from there on, and gives the whole history, without the model.

    Args:
        loop: The bridge's.
        history: What grows; None for that of another process.

    Attributes:
        history: The history so far; it grows with each epoch, and is what the promise gives.
    """

    def __init__(self, *, loop: AbstractEventLoop, history: TrainingHistory | None = None) -> None:
        super().__init__(loop=loop)
        if history is None:
            history = TrainingHistory({}, state="running")
            self._add_transform(partial(completed, history))
        self.history = history
        self._view: View | None = None

    def progress(self) -> ProgressReader[AnyTrainingEvent]:
        """Return a new iterator of the training's events, from its beginning on.

        ``async for event in training.progress()``; a plain ``for`` in a script. Any number of
        readers may be there, and each sees every epoch. The iteration ends with the training,
        however that ends: its error is the promise's.
        """
        return super().progress()

    def show_in(self, view: View) -> None:
        """Show the training from its beginning, as long as it lasts; on its loop."""
        self._view = view
        for event in self._progress.events:
            self._show(event)
        if self.done():
            self._end_show()

    def _show(self, event: TrainingEvent) -> None:
        if self._view is not None:
            try:
                self._view.show(event)
            except Exception as error:  # noqa: BLE001 - the terminal's trouble is not the training's
                log.debug("a training is not shown any longer: %r", error)
                self._end_show()

    def _end_show(self) -> None:
        view, self._view = self._view, None
        if view is not None:
            try:
                view.close(self.history)
            except Exception as error:  # noqa: BLE001 - as above
                log.debug("a training's end is not shown: %r", error)

    def _ended(self) -> None:
        super()._ended()
        # The first of the promise's callbacks: whoever waits goes on behind the last line.
        self._end_show()

    def _report(self, value: Any, *, transient: bool) -> None:
        event = event_of(value)
        if event is None:  # a newer worker's, which this version does not know
            return
        if isinstance(event, EpochEnd):
            self.history._note(event.epoch, event.logs)
        super()._report(event, transient=transient)
        self._show(event)

    def _progress_text(self) -> str:
        event = self._progress.last
        if not isinstance(event, TrainingEvent):
            return ""
        steps = "?" if event.steps is None else event.steps
        at = f"epoch {event.epoch + 1}/{event.epochs}, step {event.step}/{steps}"
        return ", ".join([at, *metrics_text(event.logs)])

    def set_exception(self, exception: BaseException | type[BaseException], /) -> None:
        """Reject the promise; the history keeps what there is."""
        if isinstance(exception, WorkerLost) and (text := self._progress_text()):
            kept = "its promise's `history` has the epochs before, the weights are gone"
            exception.add_note(f"it had come to {text}; {kept}")
        super().set_exception(exception)
        self._fail()

    def _settle_cancelled(self, msg: object = None) -> bool:
        was_pending = super()._settle_cancelled(msg)
        if was_pending:
            self._fail()
        return was_pending

    def _fail(self) -> None:
        self.history._fail()
        # Who holds an error does not hold the model.
        self.history.model = None
