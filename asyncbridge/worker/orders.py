"""Commands as the HTTP pair's JSON has them: read, and checked field by field."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

import orjson

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.envelopes import read_base64
from asyncbridge.serialization.unique_keys import loads
from asyncbridge.worker.problems import Problem

__all__ = ["CommandId", "Order", "check_name", "read_orders"]

MOST: Final = 10_000
"""Commands in one request."""
_NAME: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_KINDS: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "id": ((int, str), "a whole number or text"),
    "code": ((str,), "text"),
    "bindings": ((dict,), "an object"),
    "buffers": ((list,), "a list of base64 text"),
    "lifetime": ((str,), "'command' or 'eternal'"),
    "after": ((list,), "a list of ids"),
    "label": ((str,), "text"),
    "callback": ((str,), "a URL"),
    "callback_token": ((str,), "text"),
    "callback_batch": ((bool,), "true or false"),
}
_LIFETIMES: Final = ("command", "eternal")
_NOT_THE_WORK: Final = ("id", "callback", "callback_token", "callback_batch")

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
        callback: Where its outcome is posted; empty for nowhere.
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
    callback: str
    callback_token: str
    callback_batch: bool
    digest: bytes


def read_orders(body: bytes) -> tuple[list[Order], bool]:
    """Return the commands of a request, and whether it is a list of them.

    Raises:
        Problem: It holds none; the text names the command and the field.
    """
    try:
        tree = loads(body, "the request")
    except DecodeError as error:
        raise Problem(400, "DecodeError", str(error)) from None
    if type(tree) is not list:
        return [_read(tree, "the command")], False
    if not 0 < len(tree) <= MOST:
        raise _bad(f"a list of commands has 1 to {MOST} of them; this one has {len(tree)}")
    return [_read(item, f"command {place} of the list") for place, item in enumerate(tree)], True


def check_name(text: str, what: str) -> str:
    """Return an id or a session's name.

    Raises:
        Problem: It is none.
    """
    if not _NAME.fullmatch(text):
        raise _bad(f"{what} {text!r:.100} has 1 to 128 letters, digits, or any of . _ ~ -")
    return text


def _read(item: object, what: str) -> Order:
    fields = _checked(item, what)
    identity = fields.get("id", None)
    if identity is None:
        identity = secrets.token_hex(8)
    return Order(
        id=identity,
        key=check_name(str(identity), f"the id of {what}"),
        code=fields["code"],
        bindings=_bindings(fields, what),
        lifetime=fields.get("lifetime", "command"),
        after=tuple(check_name(str(each), f"an id in 'after' of {what}")
                    for each in fields.get("after", ())),
        label=fields.get("label", ""),
        callback=fields.get("callback", ""),
        callback_token=_token(fields, what),
        callback_batch=fields.get("callback_batch", False),
        digest=_digest(fields, what),
    )  # fmt: skip


def _checked(item: object, what: str) -> dict[str, Any]:
    if type(item) is not dict:
        raise _bad(f"{what} is no JSON object")
    for name, value in item.items():
        if name not in _KINDS:
            raise _bad(f"{what} has a field {name!r:.80}; known are {', '.join(_KINDS)}")
        kinds, told = _KINDS[name]
        if type(value) not in kinds:
            raise _bad(f"the field {name!r} of {what} is not {told}")
    if "code" not in item:
        raise _bad(f"{what} has no field 'code'")
    if item.get("lifetime", "command") not in _LIFETIMES:
        raise _bad(f"the field 'lifetime' of {what} is not {_KINDS['lifetime'][1]}")
    if not all(type(each) in (int, str) for each in item.get("after", ())):
        raise _bad(f"the field 'after' of {what} is not a list of ids")
    return item


def _bindings(fields: dict[str, Any], what: str) -> Payload | None:
    if "bindings" not in fields:
        if "buffers" in fields:
            raise _bad(f"{what} has 'buffers' and no 'bindings' that use them")
        return None
    try:
        buffers = tuple(
            read_base64(text, f"buffer {number} of {what}")
            for number, text in enumerate(fields.get("buffers", ()))
        )
    except DecodeError as error:
        raise Problem(400, "DecodeError", str(error)) from None
    return Payload(header=fields["bindings"], buffers=buffers, size=sum(map(len, buffers)))


def _token(fields: dict[str, Any], what: str) -> str:
    token: str = fields.get("callback_token", "")
    if not token.isascii() or (token and not token.isprintable()):
        raise _bad(f"the field 'callback_token' of {what} is not printable ASCII text")
    return token


def _digest(fields: dict[str, Any], what: str) -> bytes:
    work = {name: value for name, value in fields.items() if name not in _NOT_THE_WORK}
    try:
        return hashlib.sha256(orjson.dumps(work, option=orjson.OPT_SORT_KEYS)).digest()
    except orjson.JSONEncodeError:
        raise _bad(f"{what} is nested too deeply") from None


def _bad(text: str) -> Problem:
    return Problem(400, "BadRequest", text)
