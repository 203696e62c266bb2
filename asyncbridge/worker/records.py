"""Records, of which a table is made that moves from one worker to the next.

A record is a dict. Each tuple of one number in it names another record by its place in the table,
but for what stands under the names in ``CONTENTS``: that is data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeGuard

from asyncbridge.worker.guards import LINE_LIMIT, attempt, cut, type_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["INLINE", "Record", "Ref", "Unmovable", "is_ref", "reached", "refs", "told"]

Record = dict[str, Any]
Ref = tuple[int]

INLINE: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
"""What stands in a record itself: nobody tells one of these from its equal."""
CONTENTS: Final = frozenset({"plain", "value", "config", "arrays"})


class Unmovable(Exception):
    """An object that cannot be made anew elsewhere; the text says why, and what to do."""


def told(error: Exception) -> str:
    """Return an error as a reason.

    Raises:
        MemoryError: It is one, which is no fault of the object's.
    """
    if isinstance(error, MemoryError):
        raise error
    text = cut(attempt(lambda: str(error), ""), LINE_LIMIT)
    return text if isinstance(error, Unmovable) else f"{type_name(type(error))}: {text}"


def is_ref(item: object) -> TypeGuard[Ref]:
    """Tell whether an item of a record stands for another record."""
    return type(item) is tuple


def reached(records: Sequence[Record | None], items: Iterable[object]) -> set[int]:
    """Return the numbers of the records that these items lead to."""
    found: set[int] = set()
    pending = [item[0] for item in items if is_ref(item)]
    while pending:
        number = pending.pop()
        if number not in found:
            found.add(number)
            pending += refs(records[number])
    return found


def refs(record: Record | None) -> Iterator[int]:
    """Yield the numbers that a record refers to, its own and those of its state."""
    for name, part in (record or {}).items():
        if name in CONTENTS:
            continue
        if is_ref(part):
            yield part[0]
        elif type(part) is list:
            yield from (item[0] for item in part if is_ref(item))
        elif type(part) is dict:
            yield from refs(part)
