"""Decisions about errors as the HTTP pair's JSON has them: read, and checked field by field."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast, get_args

import orjson

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.decisions import DecisionKind
from asyncbridge.serialization.codec import decode
from asyncbridge.worker.orders import bad, check_fields, read_json, read_payload
from asyncbridge.worker.problems import Problem

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Payload
    from asyncbridge.worker.orders import Kinds

__all__ = ["Verdict", "read_verdict"]

WHAT: Final = "the decision"
_DECISIONS: Final = get_args(DecisionKind)
_KINDS: Final[Kinds] = {
    "error_id": ((str,), "text"),
    "decision": ((str,), f"one of {', '.join(_DECISIONS)}"),
    "epoch": ((int,), "a whole number"),
    "code": ((str,), "text"),
    "bindings": ((dict,), "an object"),
    "value": ((object,), "any JSON"),
    "buffers": ((list,), "a list of base64 text"),
}
_ALWAYS: Final = frozenset({"error_id", "decision", "epoch"})
_OF_KIND: Final[dict[DecisionKind, frozenset[str]]] = {
    "raise": frozenset(),
    "drop": frozenset(),
    "ignore": frozenset({"value", "buffers"}),
    "replace": frozenset({"code", "bindings", "buffers"}),
    "retry": frozenset({"code", "bindings", "buffers"}),
}
"""What a decision of each kind may say besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a client has decided.

    Attributes:
        error: The error's id.
        kind: What is decided.
        epoch: Which halt of it is meant; 0 for the present one.
        code: What runs, for ``replace`` and ``retry``.
        values: Bindings, or for ``ignore`` the command's value, in wire form.
    """

    error: str
    kind: DecisionKind
    epoch: int = 0
    code: str | None = None
    values: Payload | None = None


def read_verdict(body: bytes, largest: int = 0) -> Verdict:
    """Return the decision of a request.

    Args:
        body: The request's.
        largest: Bytes of the largest values, 0 for any.

    Raises:
        Problem: It holds none; the text names the field.
    """
    fields = check_fields(read_json(body), _KINDS, WHAT)
    kind = _kind(fields)
    epoch: int = fields.get("epoch", 0)
    if not 0 <= epoch < 2**63:
        raise bad(f"the field 'epoch' of {WHAT} is not {_KINDS['epoch'][1]} from 0 on")
    return Verdict(
        error=fields["error_id"],
        kind=kind,
        epoch=epoch,
        code=fields.get("code"),
        values=_values(fields, kind, largest),
    )


def _kind(fields: dict[str, Any]) -> DecisionKind:
    for name in ("error_id", "decision"):
        if name not in fields:
            raise bad(f"{WHAT} has no field {name!r}")
    kind = cast("DecisionKind", fields["decision"])
    if kind not in _DECISIONS:
        raise bad(f"the field 'decision' of {WHAT} is not {_KINDS['decision'][1]}")
    for name in fields:
        if name not in _ALWAYS and name not in _OF_KIND[kind]:
            raise bad(f"{WHAT} to {kind} has no use for the field {name!r}")
    if kind == "replace" and "code" not in fields:
        raise bad(f"{WHAT} to replace has no field 'code'")
    return kind


def _values(fields: dict[str, Any], kind: DecisionKind, largest: int) -> Payload | None:
    values = read_payload(fields, "value" if kind == "ignore" else "bindings", WHAT)
    if values is None:
        return None
    try:
        header = orjson.dumps(values.header)
    except orjson.JSONEncodeError:
        raise bad(f"{WHAT} is nested too deeply") from None
    values = replace(values, size=values.size + len(header))
    if largest and values.size > largest:
        raise Problem(
            413, "TooLarge", f"{WHAT} has values of {values.size} bytes; the limit is {largest}"
        )
    if kind == "ignore":
        _check_value(values)
    return values


def _check_value(value: Payload) -> None:
    """Refuse what stands for no value: the command's client would have to read it."""
    try:
        decode(value, path="value")
    except DecodeError as error:
        raise Problem(400, "DecodeError", str(error)) from None
