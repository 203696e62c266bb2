"""Summaries of models: text as Keras prints it, and a table for rich."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from rich.table import Table

__all__ = ["LayerSummary", "Summary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSummary:
    """One layer of a model.

    Attributes:
        name: Its name.
        type: Its class.
        output_shape: The shape of its output, as text; empty for what is not built.
        parameters: Scalars in its weights; None for what is not built.
        trainable: Whether training changes them.
    """

    name: str
    type: str
    output_shape: str
    parameters: int | None
    trainable: bool


class Summary(str):  # noqa: SLOT000 - a str of varying length can have no slots
    """What ``model.summary()`` promises: the text that Keras prints.

    ``rich.print`` shows it as a table.

    Attributes:
        layers: The layers, as data.
    """

    layers: tuple[LayerSummary, ...]

    @classmethod
    def of(cls, raw: tuple[str, Iterable[Mapping[str, Any]]]) -> Self:
        """Make one of the worker's plain data."""
        text, rows = raw
        summary = cls(text)
        summary.layers = tuple(LayerSummary(**row) for row in rows)
        return summary

    def __rich__(self) -> Table:
        from rich.table import Table  # noqa: PLC0415 - for those who look at it this way
        from rich.text import Text  # noqa: PLC0415 - likewise

        first, *rest = self.splitlines() or [""]
        totals = [line.strip() for line in rest if " params: " in line]
        table = Table(title=Text(first), caption=Text("\n".join(totals)), title_justify="left")
        table.add_column("Layer (type)")
        table.add_column("Output shape", style="green")
        table.add_column("Parameters", justify="right", style="cyan")
        for layer in self.layers:
            count = "0 (not built)" if layer.parameters is None else f"{layer.parameters:,}"
            frozen = "" if layer.trainable else ", frozen"
            # As text: a name may hold what rich would read as markup.
            cells = (f"{layer.name} ({layer.type}){frozen}", layer.output_shape, count)
            table.add_row(*map(Text, cells))
        return table
