"""What a training left behind, or has brought so far: its metrics per epoch, as a mapping."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args, overload

from asyncbridge.models.mirrors import charts, figures, tables
from asyncbridge.models.mirrors.curves import text_of
from asyncbridge.models.mirrors.epoch import Epoch, Mode, best_epoch, known, last_epoch
from asyncbridge.models.mirrors.records import Record, State, plain, without_null

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from rich.table import Table

    from asyncbridge.models.mirrors.mirror import Mirror

__all__ = ["Epoch", "TrainingHistory", "compare"]


@overload
def compare(
    *histories: TrainingHistory | Mapping[str, TrainingHistory],
    labels: Sequence[str] | None = None,
    metrics: Sequence[str] | str | None = None,
    log: bool = False,
    path: None = None,
) -> Figure: ...
@overload
def compare(
    *histories: TrainingHistory | Mapping[str, TrainingHistory],
    labels: Sequence[str] | None = None,
    metrics: Sequence[str] | str | None = None,
    log: bool = False,
    path: str | os.PathLike[str],
) -> Path: ...
def compare(
    *histories: TrainingHistory | Mapping[str, TrainingHistory],
    labels: Sequence[str] | None = None,
    metrics: Sequence[str] | str | None = None,
    log: bool = False,
    path: str | os.PathLike[str] | None = None,
) -> Figure | Path:
    """Draw several trainings in one figure: a frame for each metric, a colour for each training.

    Validation is dashed. A training that is not complete is marked in the legend.

    Args:
        histories: The trainings, or one dict of names to trainings.
        labels: Their names; ``run 1``, ``run 2`` and so on if None. The dict has its own.
        metrics: What to draw; None for all, and for training and validation together.
        log: Whether the values stand on a logarithmic scale.
        path: Where to write the picture, in the format of its suffix, PNG without one; None to
            get the figure.

    Returns:
        The path written, or the figure.

    Raises:
        ImportError: matplotlib is not installed.
        KeyError: None of the trainings has one of the metrics.
        ValueError: There are no trainings, or not as many labels.
    """
    runs = [(label, history._now()) for label, history in _labelled(histories, labels)]
    figure = figures.draw_runs(runs, metrics=metrics, log=log)
    return figure if path is None else figures.save(figure, path)


class TrainingHistory(Mapping[str, list[Any]]):
    """The metrics of one ``fit``, by name (the paper's section 3; Keras's ``History``).

    ``history["loss"]`` is a list with one float per epoch; a metric that has one value per
    class gives a list of floats per epoch. That of a training under way grows with each epoch;
    any thread may read it. A notebook shows it as charts, ``rich.print`` as a table.

    Args:
        history: The values of each metric.
        model: The model that was trained.
        epochs: Index of each epoch; counted from 0 if None.
        params: What Keras trained with.
        validation_epochs: The epochs that ended with a validation; all of them if None.
        state: Whether the training has ended, and how.

    Attributes:
        model: The model that was trained.

    https://keras.io/api/models/model_training_apis/#fit-method
    """

    def __init__(
        self,
        history: Mapping[str, list[Any]],
        *,
        model: Mirror | None = None,
        epochs: list[int] | None = None,
        params: Mapping[str, object] | None = None,
        validation_epochs: list[int] | None = None,
        state: State = "complete",
    ) -> None:
        if state not in get_args(State):
            raise ValueError(f"state={state!r} is none of {', '.join(get_args(State))}")
        longest = max(map(len, history.values()), default=0)
        counted = list(range(longest)) if epochs is None else list(epochs)
        self.model = model
        # One object, so that the end of a training replaces all of it at once for other threads.
        self._record = Record(
            history={name: list(values) for name, values in history.items()},
            epochs=counted,
            validation_epochs=list(counted if validation_epochs is None else validation_epochs),
            params=dict(params or {}),
            state=state,
        )

    def _hand_over(self, bridge: object) -> dict[str, list[Any]]:
        """Return what stands for it among the bindings of a command: the lists by metric."""
        return {name: list(values) for name, values in self.history.items()}

    @property
    def history(self) -> dict[str, list[Any]]:
        """The dict of metric names to values that Keras's ``History`` holds."""
        return self._record.history

    @property
    def epochs(self) -> list[int]:
        """Index of each epoch, from 0 (or from ``initial_epoch``)."""
        return self._record.epochs

    @property
    def epoch(self) -> list[int]:
        """The same as ``epochs``, under Keras's name."""
        return self.epochs

    @property
    def params(self) -> dict[str, Any]:
        """What Keras trained with: ``verbose``, ``epochs`` and ``steps``."""
        return self._record.params

    @property
    def validation_epochs(self) -> list[int]:
        """The epochs that ended with a validation; with ``validation_freq`` not all of them."""
        return self._record.validation_epochs

    @property
    def state(self) -> State:
        """Whether the training is ``"running"``, ``"complete"``, ``"stopped"`` or ``"failed"``.

        One that a callback stopped early is complete; one that ``cancel`` ended after a batch is
        stopped; one that was interrupted has failed.
        """
        return self._record.state

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics, in Keras's order."""
        return list(self.history)

    def __getitem__(self, metric: str) -> list[Any]:
        history = self.history
        try:
            return history[metric]
        except KeyError:
            if not self.epochs:
                raise KeyError(
                    f"{metric!r}: no epoch has ended in this training; its state is {self.state!r}"
                ) from None
            raise KeyError(f"no metric {metric!r} was recorded; {known(metric, self)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)  # a copy: the first epoch may end meanwhile

    def __len__(self) -> int:
        return len(self.history)

    def __repr__(self) -> str:
        record = self._now()
        state = "" if record.state == "complete" else f" ({record.state})"
        last = (
            f" {name if name.isprintable() else ascii(name)}={text_of(values[-1])}"
            for name, values in record.history.items()
            if values and isinstance(values[-1], (int, float))
        )
        return f"<TrainingHistory epochs={record.extent}{state}{''.join(last)}>"

    def __rich__(self) -> Table:
        record = self._now()

        def best(metric: str) -> tuple[int, Any] | None:
            try:
                found = best_epoch(record, metric, "auto")
            except ValueError:  # no numbers, or a name that tells no direction
                return None
            return found.epoch, found[metric]

        return tables.rich_table(record, best)

    def _repr_html_(self) -> str:
        return charts.html(self._now())

    # --- single epochs -----------------------------------------------------------------------

    def best(self, metric: str = "val_loss", mode: Mode = "auto") -> Epoch:
        """Return the epoch in which a metric was best; of several such epochs the first.

        Args:
            metric: Its name. That of the validation data begins with ``val_``.
            mode: Whether the least or the largest value is the best. ``"auto"`` goes by the
                name: less of a loss or error and more of an accuracy, for the names of Keras's
                metrics. Keras's ``EarlyStopping`` and ``ModelCheckpoint`` do it like this, but
                by the metric's object (``keras/src/callbacks/monitor_callback.py``).

        Raises:
            KeyError: There is no such metric.
            ValueError: No epoch has ended, no value is a number, the metric has one value for
                each class, or its name does not tell which way is better.
        """
        return best_epoch(self._now(), metric, mode)

    def last(self) -> Epoch:
        """Return the last epoch that has ended.

        Raises:
            ValueError: None has.
        """
        return last_epoch(self._now())

    # --- pictures ----------------------------------------------------------------------------

    @overload
    def plot(
        self, path: None = None, *, metrics: Sequence[str] | str | None = None, log: bool = False
    ) -> Figure: ...
    @overload
    def plot(
        self,
        path: str | os.PathLike[str],
        *,
        metrics: Sequence[str] | str | None = None,
        log: bool = False,
    ) -> Path: ...
    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        metrics: Sequence[str] | str | None = None,
        log: bool = False,
    ) -> Figure | Path:
        """Draw each metric over the epochs, training and validation in one frame.

        No window is opened and no global state is touched: any thread may call it. The title
        says when a training is not complete.

        Args:
            path: Where to write the picture, in the format of its suffix, PNG without one; None to
            get the figure.
            metrics: What to draw; None for all. ``"loss"`` brings ``"val_loss"`` with it.
            log: Whether the values stand on a logarithmic scale. A metric that is nowhere above
                0 stays on a linear one.

        Returns:
            The path written, or the figure.

        Raises:
            ImportError: matplotlib is not installed.
            KeyError: There is no such metric.
        """
        figure = figures.draw(self._now(), metrics=metrics, log=log)
        return figure if path is None else figures.save(figure, path)

    # A method, too: ``first.compare(second)`` draws both.
    compare = compare

    # --- other forms -------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return a deep copy of dicts, lists, text and numbers, without the model.

        ``history``, ``epochs``, ``validation_epochs``, ``params`` and ``state`` are in it; and
        ``metric_epochs``, if there are metrics that were missing in some epochs.
        """
        record = self._now()
        fields = ("history", "epochs", "validation_epochs", "params", "state")
        data: dict[str, Any] = {name: plain(getattr(record, name)) for name in fields}
        unusual = record.unusual()
        return {**data, "metric_epochs": unusual} if unusual else data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, model: Mirror | None = None) -> Self:
        """Make a history of what ``to_dict`` returned, also after JSON, where NaN is null.

        Raises:
            ValueError: The data are of another form.
        """
        history = data.get("history") if isinstance(data, Mapping) else None
        if not isinstance(history, Mapping) or not all(
            isinstance(values, list) for values in history.values()
        ):
            raise ValueError(
                "from_dict() takes what to_dict() returns: a dict whose 'history' is a dict of "
                f"metrics to lists; this is {data!r:.80}"
            )
        others = ("epochs", "params", "validation_epochs", "state")
        made = cls(
            {name: without_null(values) for name, values in plain(history).items()},
            model=model,
            **{name: plain(data[name]) for name in others if name in data},
        )
        made._record.noted.update(plain(data.get("metric_epochs", {})))
        return made

    @overload
    def to_csv(self, path: None = None) -> str: ...
    @overload
    def to_csv(self, path: str | os.PathLike[str]) -> Path: ...
    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str | Path:
        """Write a line for each epoch, and a column for each metric behind ``epoch``.

        A cell is empty where there is no value. A metric with one value for each class has the
        columns ``name[0]``, ``name[1]`` and so on.

        Args:
            path: Where to write it, in UTF-8; None to get the text.

        Returns:
            The path written, or the text.
        """
        text = tables.csv_text(self._now())
        if path is None:
            return text
        target = Path(path)
        target.write_text(text, encoding="utf-8", newline="")
        return target

    def to_pandas(self) -> DataFrame:
        """Return a data frame with a row for each epoch, and the columns of ``to_csv``.

        Raises:
            ImportError: pandas is not installed.
        """
        return tables.data_frame(self._now())

    # --- for the training, on the loop's thread ----------------------------------------------

    def _now(self) -> Record:
        return self._record.copy()

    def _note(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Append an epoch that has ended."""
        self._record.note(epoch, logs)

    def _complete(self, whole: TrainingHistory) -> None:
        """Put Keras's own record in the place of what was noted."""
        record = whole._record
        record.noted = {
            name: seen
            for name, seen in self._record.noted.items()
            if len(seen) == len(record.history.get(name, ()))
        }
        self._record = record

    def _fail(self) -> None:
        """Say that there will be no more epochs."""
        self._record.state = "failed"


def _labelled(
    histories: Sequence[TrainingHistory | Mapping[str, TrainingHistory]],
    labels: Sequence[str] | None,
) -> list[tuple[str, TrainingHistory]]:
    """Return the trainings that are to be compared, with their names."""
    first = histories[0] if histories else None
    if isinstance(first, Mapping) and not isinstance(first, TrainingHistory):
        if len(histories) > 1 or labels is not None:
            raise TypeError(
                "compare() takes one dict of names to trainings, and no labels= with it"
            )
        return _checked(list(first.items()))
    names = [f"run {at}" for at in range(1, len(histories) + 1)] if labels is None else list(labels)
    if len(names) != len(histories):
        raise ValueError(f"{len(names)} labels for {len(histories)} trainings")
    return _checked(list(zip(names, histories, strict=True)))


def _checked(runs: list[tuple[str, Any]]) -> list[tuple[str, TrainingHistory]]:
    if not runs:
        raise ValueError("there is no training to compare")
    for label, history in runs:
        if not isinstance(history, TrainingHistory):
            raise TypeError(
                f"{label} is no TrainingHistory, but of the class {type(history).__name__}; "
                "await what fit returned, or take its .history"
            )
    return runs
