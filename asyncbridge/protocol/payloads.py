"""What messages carry: values in wire form, and exceptions as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asyncbridge.protocol.records import record

__all__ = ["Buffer", "BulkRef", "Fault", "Payload"]

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRef:
    """A buffer that does not ride the control socket: it is fetched or posted by its id."""

    id: str
    size: int


@record
class Payload:
    """A value in wire form.

    Attributes:
        header: The value's JSON tree; on the way out already dumped (an ``orjson.Fragment``).
        buffers: The raw buffers that the tree refers to by index.
        size: Bytes of the dumped header and of all buffers, bulk ones included.
    """

    header: Any
    buffers: tuple[Buffer | BulkRef, ...] = ()
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An exception as data: nothing in it is ever turned back into a class.

    Attributes:
        type: Qualified type name, without ``builtins.``.
        message: ``str()`` of the exception, cut to a bounded size.
        frames: ``(filename, line number, function, source line)`` each, outermost first.
        notes: Its ``__notes__``.
        cause: Its cause, or its context where that is not suppressed.
        subjects: Names of the namespace's objects that it was raised in, innermost first.
        text: The whole remote traceback as Python prints it, cut to a bounded size.
        base: The listed type that its class is derived from; empty if it is one itself.
        details: Attributes of a listed type's own by name, such as ``("errno", "2")``.
        folds: Lines of the text that a short one leaves out: the first, how many, what they are.
        locals: For each frame its variables by name, in short, if they were asked for.
    """

    type: str
    message: str
    frames: tuple[tuple[str, int, str, str], ...] = ()
    notes: tuple[str, ...] = ()
    cause: Fault | None = None
    subjects: tuple[str, ...] = ()
    text: str = ""
    base: str = ""
    details: tuple[tuple[str, str], ...] = ()
    folds: tuple[tuple[int, int, str], ...] = ()
    locals: tuple[tuple[tuple[str, str], ...], ...] = ()
