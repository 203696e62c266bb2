from __future__ import annotations

import asyncio
import io
import sys
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge.models.mirrors.events import BatchEnd, EpochEnd
from asyncbridge.models.mirrors.history import TrainingHistory
from asyncbridge.models.mirrors.showing import show_training
from asyncbridge.models.mirrors.training import Training
from asyncbridge.promise.progress import WatchedPromise

if TYPE_CHECKING:
    from asyncbridge.models.mirrors.events import TrainingEvent


class Terminal(io.StringIO):
    """A text stream that says what it is."""

    def __init__(self, *, tty: bool) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


def event(kind: type[TrainingEvent], epoch: int, **logs: Any) -> TrainingEvent:
    """Return an event."""
    return kind(epoch=epoch, epochs=3, step=5, steps=5, logs=logs, elapsed=1.25 * (epoch + 1))


async def shown(
    monkeypatch: pytest.MonkeyPatch, verbose: str | int, *events: TrainingEvent, tty: bool = False
) -> str:
    """Return what stands in the terminal after a training with these events."""
    screen = Terminal(tty=tty)
    monkeypatch.setattr(sys, "stdout", screen)
    history = TrainingHistory({}, state="running")
    training = Training(loop=asyncio.get_running_loop(), history=history)
    show_training(training, verbose)
    for number, one in enumerate(events):
        if number == 1:
            await loaded()
        WatchedPromise._report(training, one, transient=False)
        training._show(one)
    await loaded()
    history._complete(TrainingHistory({}, epochs=[0, 1, 2], params={"epochs": 3}))
    asyncio.get_running_loop().call_soon(training.set_result, history)
    await training  # whoever waits finds the last line written
    return screen.getvalue()


async def loaded() -> None:
    """Wait until rich is there, if it is asked for."""
    await asyncio.gather(
        *(task for task in asyncio.all_tasks() if task.get_name() == "asyncbridge-show")
    )


EVENTS = (
    event(EpochEnd, 0, loss=0.123456),
    event(BatchEnd, 1, loss=9.0),
    event(EpochEnd, 1, loss=0.1, val_loss=1e-6, per_class=[0.5, 0.5]),
)


@pytest.mark.asyncio
@pytest.mark.parametrize("verbose", ["auto", 1, 2, True])
async def test_without_a_terminal_each_epoch_has_a_line(
    monkeypatch: pytest.MonkeyPatch, verbose: str | int
) -> None:
    """With its metrics; batches have none."""
    assert await shown(monkeypatch, verbose, *EVENTS) == (
        "Epoch 1/3 - 1.2 s - loss: 0.1235\nEpoch 2/3 - 1.2 s - loss: 0.1 - val_loss: 1e-06\n"
    )


@pytest.mark.asyncio
async def test_names_do_not_control_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric may be called anything in the worker."""
    hostile = event(EpochEnd, 0, **{"\x1b]0;title\x07": 1.0, "f₁": 0.5})
    text = await shown(monkeypatch, 2, hostile)
    assert text == "Epoch 1/3 - 1.2 s - '\\x1b]0;title\\x07': 1 - f₁: 0.5\n"


@pytest.mark.asyncio
async def test_lines_also_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """By ``verbose=2``."""
    assert (await shown(monkeypatch, 2, *EVENTS, tty=True)).startswith("Epoch 1/3 - 1.2 s")


@pytest.mark.asyncio
@pytest.mark.parametrize("tty", [False, True])
async def test_zero_shows_nothing(monkeypatch: pytest.MonkeyPatch, tty: bool) -> None:
    """Nor does it start anything."""
    assert await shown(monkeypatch, 0, *EVENTS, tty=tty) == ""


@pytest.mark.asyncio
async def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends full, with the last metrics, and the cursor is there again."""
    monkeypatch.setenv("TERM", "xterm-256color")
    text = await shown(monkeypatch, "auto", *EVENTS, tty=True)
    assert "Epoch 2/3" in text
    assert "val_loss: 1e-06" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


@pytest.mark.asyncio
async def test_a_terminal_that_is_gone_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The training goes on unseen."""

    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(f"{__name__}.Terminal", Gone)
    assert await shown(monkeypatch, 2, *EVENTS) == ""


@pytest.mark.asyncio
async def test_without_standard_output_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service may have none."""
    monkeypatch.setattr(sys, "stdout", None)
    training = Training(loop=asyncio.get_running_loop(), history=TrainingHistory({}))
    show_training(training, "auto")
    assert [task.get_name() for task in asyncio.all_tasks()].count("asyncbridge-show") == 0


class Odd:
    """What may stand in the place of ``sys.stdout``: a log's writer, with no ``isatty``."""

    def write(self, text: str) -> int:
        """Take a text."""
        raise RuntimeError(text)


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["closed", "odd"])
async def test_a_standard_output_of_any_kind_costs_no_training(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """It is not shown."""
    stream: Any = Odd()
    if kind == "closed":
        stream = io.StringIO()
        stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    training = Training(loop=asyncio.get_running_loop(), history=TrainingHistory({}))
    show_training(training, "auto")
    training._show(EVENTS[0])
    training._show(EVENTS[0])
    training.set_result(training.history)
    assert await training is training.history


@pytest.mark.asyncio
async def test_a_name_that_cannot_be_encoded_is_written_with_backslashes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The line is there all the same."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    training = Training(loop=asyncio.get_running_loop(), history=TrainingHistory({}))
    show_training(training, 2)
    training._show(event(EpochEnd, 0, größe=1.0))
    assert b"gr\\xf6\\xdfe: 1" in raw.getvalue()
    training.cancel()
