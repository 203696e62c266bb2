"""Errors that halt, for a person at a terminal: which there are in a worker, and decisions.

All of it goes by single requests: no session is begun, and none of anybody's is touched.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson

from asyncbridge.client.addresses import address_of
from asyncbridge.client.asking import ask
from asyncbridge.client.checks import check_source
from asyncbridge.client.options import read_token_file
from asyncbridge.client.tracebacks import plain
from asyncbridge.codegen import check_identifier
from asyncbridge.errors import ConnectError, DecisionError
from asyncbridge.serialization.unique_keys import loads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncbridge.client.asking import Answer

__all__ = ["UnknownHalt", "bindings_of", "decide", "document_of", "list_halts", "text_of"]

SHOWN: Final = 72
"""Characters of a line of code, or of an error's message, that a list shows."""
_USAGE: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
_REFUSED: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


class UnknownHalt(DecisionError):
    """A decision about an error that the worker knows nothing of."""


async def list_halts(url: str, *, timeout: float) -> list[dict[str, Any]]:
    """Return what is halted in a worker, as ``GET /v1/errors`` tells it.

    Args:
        url: The worker's, as ``connect`` takes it; its token is found as there.
        timeout: Seconds until it has to answer.

    Raises:
        ConnectError: No worker is there, or it lets this client not in.
    """
    address = address_of(url, read_token_file())
    answer = await ask(address, "GET", "/v1/errors", timeout=timeout)
    if answer.status != HTTPStatus.OK or not isinstance(answer.document, list):
        raise unexpected(url, answer)
    return answer.document


async def decide(url: str, document: Mapping[str, Any], *, timeout: float) -> dict[str, Any]:
    """Decide about an error; return what the worker says.

    Args:
        url: The worker's.
        document: The decision, as ``document_of`` writes it.
        timeout: Seconds until the worker has to answer.

    Raises:
        ConnectError: No worker is there, or it lets this client not in.
        DecisionError: It was decided otherwise already, or cannot be decided so.
        UnknownHalt: Nothing has halted by that error.
        ValueError: The worker cannot read the decision.
    """
    address = address_of(url, read_token_file())
    answer = await ask(address, "POST", "/v1/decisions", document, timeout=timeout)
    told = answer.document if isinstance(answer.document, dict) else {}
    if answer.status in _REFUSED and told.get("code") == "DecisionError":
        unknown = answer.status == HTTPStatus.NOT_FOUND
        raise (UnknownHalt if unknown else DecisionError)(plain(str(told.get("detail"))))
    if answer.status in _USAGE:
        raise ValueError(plain(str(told.get("detail"))))
    if answer.status != HTTPStatus.OK:
        raise unexpected(url, answer)
    return told


def unexpected(url: str, answer: Answer) -> ConnectError:
    """Return the error of an answer that no worker of this version gives."""
    told = answer.document.get("detail") if isinstance(answer.document, dict) else None
    more = f": {plain(str(told))}" if told else ""
    return ConnectError(f"the worker at {url} answers with status {answer.status}{more}")


def document_of(
    error_id: str,
    kind: str,
    *,
    epoch: int = 0,
    code: str | None = None,
    bindings: Mapping[str, orjson.Fragment] | None = None,
    value: str | None = None,
) -> dict[str, Any]:
    """Return a decision as ``POST /v1/decisions`` takes it.

    Args:
        error_id: The error's.
        kind: What is decided.
        epoch: Which halt of it is meant; 0 for the present one.
        code: What runs.
        bindings: Other bindings, by name.
        value: The command's value, as JSON.

    Raises:
        DecodeError: The value is no JSON.
        SyntaxError: The code is no Python.
        ValueError: The id is none.
    """
    if not error_id.isprintable():
        raise ValueError(f"{error_id!r:.100} is no error's id: `asyncbridge halts` lists them")
    document: dict[str, Any] = {"error_id": error_id, "decision": kind, "epoch": epoch}
    if code is not None:
        check_source(code)
        document["code"] = code
    if bindings:
        document["bindings"] = dict(bindings)
    if value is not None:
        document["value"] = fragment(value, "the value")
    return document


def bindings_of(given: Sequence[str]) -> dict[str, orjson.Fragment]:
    """Return bindings that stand as ``name=JSON``.

    Raises:
        DecodeError: What stands behind a name is no JSON.
        IdentifierError: A name is none.
        ValueError: A name is missing, or stands twice.
    """
    bindings: dict[str, orjson.Fragment] = {}
    for each in given:
        name, sign, value = each.partition("=")
        if not sign:
            raise ValueError(f"a binding is name=JSON, such as n=2, not {each!r:.100}")
        check_identifier(name)
        if name in bindings:
            raise ValueError(f"the binding {name!r} is given twice")
        bindings[name] = fragment(value, f"the value of {name!r}")
    return bindings


def fragment(text: str, what: str) -> orjson.Fragment:
    """Return JSON that goes as it was typed.

    Raises:
        DecodeError: It is none.
    """
    data = text.encode("utf-8", "surrogateescape")
    loads(data, f"{what}, {text[:SHOWN]!r},")
    return orjson.Fragment(data)


def text_of(halted: Sequence[Mapping[str, Any]]) -> str:
    """Return what people read of what is halted."""
    return "\n".join(map(_entry, halted)) or "nothing is halted"


def _entry(halt: Mapping[str, Any]) -> str:
    code = str(halt["code"]).strip()
    error = halt["error"]
    names = ", ".join(halt["bindings"]) or "none"
    ends = "it stays so until somebody decides"
    if halt["remaining"] is not None:
        ends = f"by itself the error stands ({halt['default']}) in {_time(halt['remaining'])}"
    return plain(
        f"{halt['error_id']}  epoch {halt['epoch']}: {_line(halt['label'] or code)}\n"
        f"    {_line(error['type'])}: {_line(error['message'])}\n"
        f"    command {halt['id']} of the {halt['client']} session {_line(halt['session'])}, "
        f"bindings: {names}\n"
        f"    halted for {_time(halt['seconds'])}; {ends}"
    )


def _line(text: str) -> str:
    first = text.partition("\n")[0]
    return first if first == text and len(text) <= SHOWN else f"{first[:SHOWN]}..."


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
