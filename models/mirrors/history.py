"""What a training left behind: its metrics per epoch, as a mapping that can plot itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from matplotlib.figure import Figure

    from asyncbridge.models.mirrors.mirror import Mirror

__all__ = ["TrainingHistory"]

_VALIDATION = "val_"


class TrainingHistory(Mapping[str, list[Any]]):
    """The metrics of one ``fit``, by name (the paper's section 3; Keras's ``History``).

    ``history["loss"]`` is a list with one float per epoch; a metric that has one value per
    class gives a list of floats per epoch.

    Attributes:
        model: The model that was trained.
        history: The dict of metric names to values that Keras's ``History`` holds.
        epochs: Index of each epoch, from 0 (or from ``initial_epoch``).
        params: What Keras trained with: ``verbose``, ``epochs`` and ``steps``.
        validation_epochs: The epochs that ended with a validation; all of them, unless
            ``validation_freq`` said otherwise.

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
    ) -> None:
        self.history = dict(history)
        self.model = model
        longest = max(map(len, self.history.values()), default=0)
        self.epochs = list(range(longest)) if epochs is None else list(epochs)
        self.params = dict(params or {})
        self.validation_epochs = (
            self.epochs if validation_epochs is None else list(validation_epochs)
        )

    @property
    def epoch(self) -> list[int]:
        """The same as ``epochs``, under Keras's name."""
        return self.epochs

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics, in Keras's order."""
        return list(self.history)

    def __getitem__(self, metric: str) -> list[Any]:
        try:
            return self.history[metric]
        except KeyError:
            names = ", ".join(map(repr, self.history)) or "none"
            raise KeyError(f"no metric {metric!r} was recorded; there are: {names}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.history)

    def __len__(self) -> int:
        return len(self.history)

    def __repr__(self) -> str:
        last = (
            f" {name}={values[-1]:.4g}"
            for name, values in self.history.items()
            if values and isinstance(values[-1], (int, float))
        )
        return f"<TrainingHistory epochs={len(self.epochs)}{''.join(last)}>"

    @overload
    def plot(self, path: None = None) -> Figure: ...
    @overload
    def plot(self, path: str | os.PathLike[str]) -> Path: ...
    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure | Path:
        """Draw each metric over the epochs, training and validation in one frame.

        No window is opened and no global state is touched: any thread may call it.

        Args:
            path: Where to write the picture as PNG; None to get the figure.

        Returns:
            The path written, or the figure.

        Raises:
            ImportError: matplotlib is not installed.
        """
        figure = self._draw()
        if path is None:
            return figure
        from pathlib import Path  # noqa: PLC0415 - needed by this branch alone

        figure.savefig(path, format="png")
        return Path(path)

    def _draw(self) -> Figure:
        try:
            from matplotlib.figure import Figure  # noqa: PLC0415 - an extra of the package
        except ImportError as error:
            raise ImportError(
                "plot() draws with matplotlib: pip install 'asyncbridge-keras[plot]'"
            ) from error
        names = [name for name in self.history if not self._is_validation(name)]
        figure = Figure(figsize=(6.4, 2.4 * max(1, len(names))), layout="constrained")
        frames = figure.subplots(max(1, len(names)), 1, sharex=True, squeeze=False)[:, 0]
        for frame, name in zip(frames, names, strict=False):
            self._draw_metric(frame, name)
        frames[-1].set_xlabel("epoch")
        return figure

    def _draw_metric(self, frame: Any, name: str) -> None:
        frame.plot(self.epochs, self.history[name], label="training")
        if validation := self.history.get(_VALIDATION + name):
            frame.plot(self.validation_epochs, validation, label="validation")
        frame.set_ylabel(name)
        frame.legend()

    def _is_validation(self, name: str) -> bool:
        return name.startswith(_VALIDATION) and name.removeprefix(_VALIDATION) in self.history
