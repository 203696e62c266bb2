"""The table: a row for each thing measured, a column for each bridge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Round", "markdown"]

Round: TypeAlias = "dict[str, Any]"
"""What `subject.measure` found in one process, and the import's figures beside it."""
GIGABYTE = 1e9
ARRAY = 2**26
"""Bytes of the array."""


def markdown(rounds: Mapping[str, Sequence[Round]]) -> str:
    """Return the table; a bridge has at least one round.

    Times and rates are of the best round: other work on a machine only adds to a time.
    """
    lines = [["", *rounds], ["---"] * (1 + len(rounds))]
    lines += [[title, *(cell(found) for found in rounds.values())] for title, cell in ROWS.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def least(key: str, unit: str, scale: float = 1.0) -> Callable[[Sequence[Round]], str]:
    """Return what writes the least of the rounds, and the greatest behind it."""

    def cell(found: Sequence[Round]) -> str:
        values = [one[key] * scale for one in found]
        return spread(min(values), max(values), unit)

    return cell


def spread(best: float, worst: float, unit: str) -> str:
    """Write a figure, and in brackets the one of the worst round where it differs."""
    first, last = number(best), number(worst)
    return f"{first} {unit}" if first == last else f"{first} {unit} ({last})"


def number(value: float) -> str:
    """Write three digits that count."""
    if value >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def rate(found: Sequence[Round]) -> str:
    """Write the commands of a second."""
    rates = [one["pipelined_per_s"] for one in found]
    return spread(max(rates), min(rates), "/s")


def array(found: Sequence[Round]) -> str:
    """Write how fast the array went, both ways counted, and how many copies that would have been."""
    rates = [2 * ARRAY / one["array_s"] / GIGABYTE for one in found]
    copies = min(one["array_s"] for one in found) / min(one["copy_s"] for one in found)
    return f"{spread(max(rates), min(rates), 'GB/s')}, {number(copies)} copies"


def reports(found: Sequence[Round]) -> str:
    """Write how late a report is."""
    told = [one["reports"] for one in found]
    if "unsupported" in told[0]:
        return str(told[0]["unsupported"])
    late = [one["median_us"] for one in told]
    came = min(one["came"] for one in told)
    return spread(min(late), max(late), "µs") + ("" if came == 100 else f", {came} of 100 came")


def ending(key: str) -> Callable[[Sequence[Round]], str]:
    """Return what writes how soon a command's end was told, and by which error."""

    def cell(found: Sequence[Round]) -> str:
        ends = [one[key] for one in found]
        if "unsupported" in ends[0]:
            return str(ends[0]["unsupported"])
        times = [1000 * one["seconds"] for one in ends]
        errors = ", ".join(sorted({f"`{one['error']}`" for one in ends}))
        return f"{spread(min(times), max(times), 'ms')}, {errors}"

    return cell


def values(found: Sequence[Round]) -> str:
    """Name the values that do not come back the same, and what comes."""
    wrong = {
        name: became for one in found for name, became in one["values"].items() if became != "same"
    }
    if not wrong:
        return "all the same"
    return "; ".join(f"{name}: `{became}`" for name, became in wrong.items())


def processes(found: Sequence[Round]) -> str:
    """Write how many processes there are, and their memory together."""
    return f"{found[0]['processes']}, {number(min(one['all_mib'] for one in found))} MiB"


def versions(found: Sequence[Round]) -> str:
    """Name the releases."""
    return ", ".join(f"{name} {release}" for name, release in found[0]["versions"].items())


ROWS: dict[str, Callable[[Sequence[Round]], str]] = {
    "release": versions,
    "import in the client": least("import_ms", "ms"),
    "client's memory after the import": least("import_mib", "MiB"),
    "start, until the first answer": least("open_s", "ms", 1000),
    "processes, client included, and their memory": processes,
    "round trip of a trivial command, median": least("trip_us", "µs"),
    "pipelined commands": rate,
    "64 MiB array there and back": array,
    "a report of progress is here after, median": reports,
    "a running command that is cancelled ends after": ending("cancelled"),
    "worker killed in mid-command, told after": ending("killed"),
    "values that come back": values,
}
