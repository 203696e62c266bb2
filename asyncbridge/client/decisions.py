"""Decisions on their way to the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncbridge.client.arguments import check_bindings
from asyncbridge.client.checks import check_code, check_source
from asyncbridge.client.halts import Written
from asyncbridge.codegen import check_identifier, render
from asyncbridge.decisions import DropQueue, Ignore, Raise, Replace, Retry
from asyncbridge.protocol.messages import Buffer, Payload
from asyncbridge.serialization.codec import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.codegen import Node
    from asyncbridge.decisions import Decision

__all__ = ["write_decision"]


def write_decision(decision: Decision | None) -> Written:
    """Return a decision in wire form; nothing in it refers to what the caller may change.

    Raises:
        IdentifierError: A binding's name is refused.
        SerializationError: A value has no wire form; the text says which.
        SyntaxError: The code is no Python.
        TypeError: It is no decision.
    """
    match decision:
        case None | Raise():
            return Written(kind="raise")
        case DropQueue():
            return Written(kind="drop")
        case Ignore(value=None):
            return Written(kind="ignore")
        case Ignore(value=value):
            return Written(kind="ignore", values=frozen(value, "value"))
        case Replace(code=code, bindings=bindings):
            return Written(kind="replace", code=source(code), values=written(bindings))
        case Retry(code=edited, bindings=bindings):
            text = None if edited is None else source(edited)
            return Written(kind="retry", code=text, values=written(bindings))
    raise TypeError(
        "a decision is Ignore(), Replace(...), Retry(...), DropQueue(), Raise() or None, not "
        f"{decision!r:.80}"
    )


def source(code: str | Node) -> str:
    """Return code as text that Python takes."""
    if isinstance(code, str):
        check_source(code)
        return code
    check_code(code)
    return render(code)


def written(bindings: Mapping[str, object] | None) -> Payload | None:
    """Return bindings in wire form; None for none."""
    check_bindings(bindings)
    if not bindings:
        return None
    for name in bindings:
        check_identifier(name)
    return frozen(dict(bindings), "bindings")


def frozen(value: object, path: str) -> Payload:
    """Encode a value, copying its buffers; no file is named in it, for it may come back."""
    payload = encode(value, path=path, files=False)
    buffers = tuple(bytes(part) for part in payload.buffers if isinstance(part, Buffer))
    return Payload(header=payload.header, buffers=buffers, size=payload.size)
