"""Commands as the HTTP pair's JSON has them: read, and checked field by field."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.limits import LONGEST_S
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.envelopes import read_base64
from asyncbridge.serialization.unique_keys import loads
from asyncbridge.worker.callback_urls import read_callback
from asyncbridge.worker.problems import Problem

if TYPE_CHECKING:
    from yarl import URL

__all__ = [
    "OWN_MARK",
    "CommandId",
    "Kinds",
    "Order",
    "bad",
    "check_fields",
    "check_name",
    "read_json",
    "read_orders",
    "read_payload",
]

Kinds = dict[str, tuple[tuple[type, ...], str]]
"""An object's fields: their types, and how these are called."""

MOST: Final = 10_000
"""Commands in one request."""
_NAME: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")
OWN_MARK: Final = "~"
"""Begins the ids that a worker chooses, and no others: none of them can come a second time."""
HALT_SECONDS: Final = 300.0
"""How long a command waits for a decision, unless it says so itself."""
HIGHEST: Final = 2**31
"""Priorities lie between this and its negative."""
_KINDS: Final[Kinds] = {
    "id": ((int, str), "a whole number or text"),
    "code": ((str,), "text"),
    "bindings": ((dict,), "an object"),
    "buffers": ((list,), "a list of base64 text"),
    "lifetime": ((str,), "'command' or 'eternal'"),
    "after": ((list,), "a list of ids"),
    "label": ((str,), "text"),
    "priority": ((int,), "a whole number between -2**31 and 2**31"),
    "run_timeout": ((int, float), "a positive number of seconds"),
    "halt_on_error": ((bool,), "true or false"),
    "halt_timeout": ((int, float), "a positive number of seconds"),
    "callback": ((str,), "a URL"),
    "callback_token": ((str,), "text"),
    "callback_batch": ((bool,), "true or false"),
}
_LIFETIMES: Final = ("command", "eternal")
_SECONDS: Final = ("run_timeout", "halt_timeout")
_NOT_THE_WORK: Final = frozenset({
    "id", "priority", "run_timeout", "halt_on_error", "halt_timeout", "callback", "callback_token",
    "callback_batch",
})  # fmt: skip

CommandId = int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command that a client of the HTTP pair wants run.

    Attributes:
        id: The client's for it, or one of the worker's choice.
        key: The same as text, as it stands in URLs.
        code: Python source.
        bindings: Names and values, in wire form.
        lifetime: How long the bindings stay.
        after: Keys of commands whose failure fails this one.
        label: What a person would call it.
        priority: Higher ones of the session go first.
        run_ms: Milliseconds that it may run; 0 for any.
        halt_timeout: Seconds that it waits for a decision if it fails; 0 if it does not halt.
        callback: Where its outcome is posted, if anywhere.
        callback_token: The secret that this carries.
        callback_batch: Whether several outcomes may be posted at once, as a list.
        digest: Tells this command from another one of the same id.
    """

    id: CommandId
    key: str
    code: str
    bindings: Payload | None
    lifetime: str
    after: tuple[str, ...]
    label: str
    priority: int
    run_ms: int
    halt_timeout: float
    callback: URL | None
    callback_token: str
    callback_batch: bool
    digest: bytes


def read_orders(body: bytes) -> tuple[list[Order], bool]:
    """Return the commands of a request, and whether it is a list of them.

    Raises:
        Problem: It holds none; the text names the command and the field.
    """
    tree = read_json(body)
    if type(tree) is not list:
        return [_read(tree, "the command")], False
    if not 0 < len(tree) <= MOST:
        raise bad(f"a list of commands has 1 to {MOST} of them; this one has {len(tree)}")
    return [_read(item, f"command {place} of the list") for place, item in enumerate(tree)], True


def read_json(body: bytes) -> Any:
    """Return the tree of a request.

    Raises:
        Problem: It is no JSON.
    """
    try:
        return loads(body, "the request")
    except DecodeError as error:
        raise Problem(400, "DecodeError", str(error)) from None


def check_fields(item: object, kinds: Kinds, what: str) -> dict[str, Any]:
    """Return an object all of whose fields are known, and of their types.

    Raises:
        Problem: It is none; the text names the field.
    """
    if type(item) is not dict:
        raise bad(f"{what} is no JSON object")
    for name, value in item.items():
        if name not in kinds:
            raise bad(f"{what} has a field {name!r:.80}; known are {', '.join(kinds)}")
        types, told = kinds[name]
        if type(value) not in types and object not in types:
            raise bad(f"the field {name!r} of {what} is not {told}")
    return item


def read_payload(fields: dict[str, Any], name: str, what: str) -> Payload | None:
    """Return the values of one field, with what they refer to; None if it is not there.

    Raises:
        Problem: The buffers are no base64, or nothing uses them.
    """
    if name not in fields:
        if "buffers" in fields:
            raise bad(f"{what} has 'buffers' and no {name!r} that use them")
        return None
    try:
        buffers = tuple(
            read_base64(text, f"buffer {number} of {what}")
            for number, text in enumerate(fields.get("buffers", ()))
        )
    except DecodeError as error:
        raise Problem(400, "DecodeError", str(error)) from None
    return Payload(header=fields[name], buffers=buffers, size=sum(map(len, buffers)))


def bad(text: str) -> Problem:
    """Return the problem of a request that is not as it should be."""
    return Problem(400, "BadRequest", text)


def check_name(text: str, what: str) -> str:
    """Return an id or a session's name.

    Raises:
        Problem: It is none.
    """
    if not _NAME.fullmatch(text):
        raise bad(f"{what} {text!r:.100} has 1 to 128 letters, digits, or any of . _ ~ -")
    return text


def _read(item: object, what: str) -> Order:
    fields = _checked(item, what)
    identity = _identity(fields, what)
    return Order(
        id=identity,
        key=str(identity),
        code=fields["code"],
        bindings=read_payload(fields, "bindings", what),
        lifetime=fields.get("lifetime", "command"),
        after=tuple(check_name(str(each), f"an id in 'after' of {what}")
                    for each in fields.get("after", ())),
        label=fields.get("label", ""),
        priority=fields.get("priority", 0),
        run_ms=max(1, round(fields["run_timeout"] * 1000)) if "run_timeout" in fields else 0,
        halt_timeout=_halt_timeout(fields, what),
        callback=read_callback(fields["callback"]) if fields.get("callback") else None,
        callback_token=_token(fields, what),
        callback_batch=fields.get("callback_batch", False),
        digest=_digest(fields, what),
    )  # fmt: skip


def _identity(fields: dict[str, Any], what: str) -> CommandId:
    """Return the client's id, or one of the worker's choice."""
    if "id" not in fields:
        return OWN_MARK + secrets.token_hex(8)
    identity: CommandId = fields["id"]
    key = check_name(str(identity), f"the id of {what}")
    if key.startswith(OWN_MARK):
        raise bad(f"the id {key!r} of {what} begins with {OWN_MARK}: such ids are the worker's own")
    return identity


def _checked(item: object, what: str) -> dict[str, Any]:
    fields = check_fields(item, _KINDS, what)
    if "code" not in fields:
        raise bad(f"{what} has no field 'code'")
    good = {
        "lifetime": fields.get("lifetime", "command") in _LIFETIMES,
        "priority": -HIGHEST < fields.get("priority", 0) < HIGHEST,
        **{name: 0 < fields.get(name, 1) <= LONGEST_S for name in _SECONDS},
    }
    for name, is_good in good.items():
        if not is_good:
            raise bad(f"the field {name!r} of {what} is not {_KINDS[name][1]}")
    if not all(type(each) in (int, str) for each in fields.get("after", ())):
        raise bad(f"the field 'after' of {what} is not a list of ids")
    return fields


def _halt_timeout(fields: dict[str, Any], what: str) -> float:
    if fields.get("halt_on_error", False):
        return float(fields.get("halt_timeout", HALT_SECONDS))
    if "halt_timeout" in fields:
        raise bad(f"{what} has 'halt_timeout', and no 'halt_on_error' that is true")
    return 0.0


def _token(fields: dict[str, Any], what: str) -> str:
    token: str = fields.get("callback_token", "")
    if not token.isascii() or (token and not token.isprintable()):
        raise bad(f"the field 'callback_token' of {what} is not printable ASCII text")
    return token


def _digest(fields: dict[str, Any], what: str) -> bytes:
    work = {name: value for name, value in fields.items() if name not in _NOT_THE_WORK}
    try:
        return hashlib.sha256(orjson.dumps(work, option=orjson.OPT_SORT_KEYS)).digest()
    except orjson.JSONEncodeError:
        raise bad(f"{what} is nested too deeply") from None
