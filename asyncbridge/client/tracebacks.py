"""The one text of a remote error: the client's line, the generated code, the worker's frames."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Fault

__all__ = ["FULL_VARIABLE", "plain", "whole_wanted", "written"]

FULL_VARIABLE: Final = "ASYNCBRIDGE_FULL_TRACEBACK"
"""Set to anything but ``0``, it has ``str(error)`` show every frame."""

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
# All control characters but tab and newline, and those that turn the direction of writing.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def whole_wanted() -> bool:
    """Tell whether the person wants to see every frame."""
    return os.environ.get(FULL_VARIABLE, "") not in ("", "0")


def plain(text: str) -> str:
    """Return a text that steers no terminal: colours are left out, other controls escaped."""
    return _CONTROLS.sub(_escaped, _COLOURS.sub("", text))


def _escaped(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]


def written(fault: Fault, *, origin: str, label: str, whole: bool) -> str:
    """Return the text of an error.

    Args:
        fault: What the worker tells.
        origin: Where in the client the command was sent; empty for a cause.
        label: What a person would call the command.
        whole: Whether frames inside of Keras and its kin are shown.
    """
    lines = [plain(f"{fault.type}: {fault.message}")]
    if origin:
        lines.append(f"  {label or 'a command'} was sent from {origin}")
    if fault.text:
        lines.append("  and raised in the worker:")
        # Not splitlines(): the worker has counted newlines.
        told = fault.text.rstrip().split("\n")
        if not whole:
            told = _folded(told, fault.folds)
        lines.extend(f"    {plain(line)}" for line in told)
    return "\n".join(lines)


def _folded(lines: list[str], folds: tuple[tuple[int, int, str], ...]) -> list[str]:
    """Return the lines with one line in the place of each fold; what fits no line is ignored."""
    kept: list[str] = []
    place = 0
    for first, count, label in folds:
        if count > 0 and place <= first and first + count <= len(lines):
            kept += [*lines[place:first], label]
            place = first + count
    return [*kept, *lines[place:]]
