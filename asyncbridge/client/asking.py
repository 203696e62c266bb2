"""Single requests to a worker's HTTP pair, for those who need no bridge to it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import orjson

from asyncbridge.client.connectors import http_session, unreachable
from asyncbridge.errors import AuthenticationError, ConnectError

if TYPE_CHECKING:
    from asyncbridge.client.addresses import Address

__all__ = ["Answer", "ask"]


class Answer(NamedTuple):
    """What a worker has answered.

    Attributes:
        status: HTTP's number.
        document: The JSON.
    """

    status: int
    document: Any


async def ask(
    address: Address, method: str, path: str, body: object = None, *, timeout: float
) -> Answer:
    """Make a request.

    Args:
        address: The worker's.
        method: HTTP's.
        path: Of the route.
        body: What is posted, as JSON; None for nothing.
        timeout: Seconds until an answer has to be here.

    Raises:
        AuthenticationError: The worker refuses this client.
        ConnectError: No worker is there, or none that answers.
    """
    try:
        async with asyncio.timeout(timeout), http_session(address.socket) as http:
            status, data = await _exchange(http, address, method, path, body)
    except TimeoutError:
        raise ConnectError(
            f"the worker at {address.url} does not answer within {timeout:g} s: a command's C code "
            "may hold its interpreter. Try again later, or end it: SIGTERM to `asyncbridge worker`"
        ) from None
    except aiohttp.ClientConnectionError as error:
        raise unreachable(address, error) from error
    except aiohttp.ClientError as error:
        raise ConnectError(f"no asyncbridge worker answers at {address.url}: {error}") from error
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise ConnectError(
            f"no asyncbridge worker answers at {address.url}: status {status}, and no JSON"
        ) from None
    if status == HTTPStatus.FORBIDDEN:
        told = document.get("detail") if isinstance(document, dict) else None
        raise AuthenticationError(
            f"the worker at {address.url} refused this client: {told or 'no reason given'}"
        )
    return Answer(status, document)


async def _exchange(
    http: aiohttp.ClientSession, address: Address, method: str, path: str, body: object
) -> tuple[int, bytes]:
    async with http.request(
        method,
        f"{address.base}{path}",
        data=None if body is None else orjson.dumps(body),
        headers={"Authorization": f"Bearer {address.token}", "Content-Type": "application/json"},
        allow_redirects=False,
    ) as answer:
        return answer.status, await answer.read()
