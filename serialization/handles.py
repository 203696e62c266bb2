"""Handles on the wire: what stands for a value that is, and stays, in the worker.

``there`` goes to the worker, among a command's bindings; ``ref`` comes from there, in a value.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.keeping import Told
from asyncbridge.serialization.walk import TAG, malformed, shown

__all__ = ["KEYS", "TAGS", "Kind", "ref", "ref_of", "there", "there_of"]

Kind = Literal["object", "command", "name", "module"]
"""What a handle names: a kept object by its number; the value of a command, by its place among
those that its user says to use; a binding, or a module, by its name."""
TAGS: Final = ("there", "ref")
KEYS: Final = frozenset((TAG, "v"))
NUMBERED: Final = ("object", "command")
KINDS: Final = frozenset(get_args(Kind))
LONGEST_TEXT: Final = 1024
"""Characters of a class's name and of a repr, together, that are read."""
_TOLD: Final = (int, str, str, int, str)


def there(kind: Kind, what: int | str) -> dict[str, object]:
    """Return the tree of a handle that goes to the worker."""
    return {TAG: "there", "v": (kind, what)}


def there_of(tree: dict[str, object]) -> tuple[Kind, int | str]:
    """Read one.

    Raises:
        DecodeError: It is none.
    """
    parts = tree["v"]
    if tree[TAG] != "there":
        raise DecodeError(f"a handle that goes to the worker is tagged 'there', not {tree[TAG]!r}")
    if type(parts) is list and len(parts) == 2 and type(parts[0]) is str and parts[0] in KINDS:
        kind, what = parts
        if (type(what) is int and what >= 0) if kind in NUMBERED else type(what) is str:
            return kind, what
    return malformed("there", "its kind, and a number or a name")


def ref(told: Told) -> dict[str, object]:
    """Return the tree of a reference."""
    return {TAG: "ref", "v": tuple(told)}


def ref_of(tree: dict[str, object]) -> Told:
    """Read one.

    Raises:
        DecodeError: It is none.
    """
    parts = tree["v"]
    if tree[TAG] != "ref":
        raise DecodeError(f"a handle that comes from the worker is tagged 'ref', not {tree[TAG]!r}")
    if type(parts) is not list or tuple(map(type, parts)) != _TOLD:
        malformed("ref", f"a number, a class, a text, a size and a device, not {shown(parts)}")
    told = Told._make(parts)
    if (
        told.number < 1
        or told.size < 0
        or len(told.kind) + len(told.text) + len(told.device) > LONGEST_TEXT
    ):
        malformed("ref", "a number from 1 up, a size that is not negative, and short texts")
    return told
