"""How a promise looks in a notebook and to rich: its state, its command, its times.

Labels, code, reports and errors may hold anything that a worker has sent: all of it is cut,
stripped of what a terminal would obey, and escaped.
"""

from __future__ import annotations

from html import escape
from reprlib import Repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from asyncbridge.promise.handle import Handle
    from asyncbridge.promise.source import Source

__all__ = ["html_of", "rich_of", "rows_of", "short"]

CODE_LINES = 10
WIDTH = 100
"""Characters that are shown of a line."""
_repr = Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = WIDTH
_repr.maxdict = _repr.maxlist = _repr.maxtuple = _repr.maxset = 12


def rows_of(promise: Handle[Any]) -> dict[str, list[str]]:
    """Return what there is to say, as lines by their title."""
    source = promise._source
    rows = {
        "state": [_state(promise)],
        "command": [] if source is None else [_name(source)],
        "code": [] if source is None else list(_first_lines(source.code)),
        "elapsed": [] if source is None else [_elapsed(source)],
        "progress": [_clean(promise._progress_text())],
        "error": [] if promise._exception is None else [_clean(_text_of(promise._exception))],
    }
    return {title: lines for title, lines in rows.items() if any(lines)}


def html_of(promise: Handle[Any]) -> str:
    """Return a table for a notebook."""
    rows = "".join(
        f'<tr><th style="text-align:left">{title}</th>'
        f'<td style="text-align:left"><pre>{escape(chr(10).join(lines))}</pre></td></tr>'
        for title, lines in rows_of(promise).items()
    )
    return f"<table><caption>{escape(type(promise).__name__)}</caption>{rows}</table>"


def rich_of(promise: Handle[Any]) -> Table:
    """Return a table for rich."""
    from rich.table import Table  # noqa: PLC0415 - for those who look at it this way
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = Table(title=type(promise).__name__, title_justify="left", show_header=False)
    for title, lines in rows_of(promise).items():
        # As text: a label may hold what rich would read as markup.
        table.add_row(title, Text("\n".join(lines)))
    return table


def short(value: object) -> str:
    """Return a bounded repr of any value, whatever its own one does."""
    try:
        return _repr.repr(value)
    except Exception:  # noqa: BLE001 - a repr may raise anything, and one of a long number does
        return f"<{type(value).__name__}>"


def _state(promise: Handle[Any]) -> str:
    position = promise.position
    return promise.state + (f", {position} before it" if position else "")


def _name(source: Source) -> str:
    return _clean(source.label) or f"number {source.id}"


def _elapsed(source: Source) -> str:
    times = source.times
    ran = "" if times.ran_for is None else f", ran {times.ran_for:.1f} s"
    return f"waited {times.queued_for:.1f} s{ran}"


def _first_lines(code: str) -> Iterator[str]:
    lines = code.split("\n", CODE_LINES)
    yield from (_clean(line.expandtabs(4)) for line in lines[:CODE_LINES])
    if len(lines) > CODE_LINES:
        yield "…"


def _text_of(error: BaseException) -> str:
    name = type(error).__qualname__
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - a hostile __str__ may raise anything
        return name
    return f"{name}: {message.partition(chr(10))[0]}" if message else name


def _clean(text: str) -> str:
    cut = text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in cut)
