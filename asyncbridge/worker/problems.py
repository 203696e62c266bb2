"""Refusals of the HTTP pair, as RFC 9457 has them: ``application/problem+json``."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import orjson
from aiohttp import web

from asyncbridge.errors import AsyncBridgeError

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

__all__ = ["Problem", "as_problems"]

_OTHERS: Final = ("/v1/session", "/v1/bulk/")
"""What answers in ways of its own."""
_KEPT: Final = ("Allow", "Asyncbridge-Refused", "Retry-After")


class Problem(AsyncBridgeError):
    """A request that is not met.

    Args:
        status: HTTP's number for it.
        code: A word for programs.
        detail: For people: what is wrong, and what to do.
        headers: Of the answer.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = headers or {}

    def answer(self) -> web.Response:
        """Return what the client gets."""
        body = {
            "type": "about:blank",  # the title is HTTP's own; `code` tells kinds apart
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": str(self),
            "code": self.code,
        }
        return web.Response(
            status=self.status,
            body=orjson.dumps(body),
            content_type="application/problem+json",
            headers=self.headers,
        )


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer whatever a request is refused for."""
    if request.path.startswith(_OTHERS):
        return await handler(request)
    try:
        return await handler(request)
    except Problem as problem:
        return problem.answer()
    except web.HTTPError as error:
        headers = {name: error.headers[name] for name in _KEPT if name in error.headers}
        detail = error.text if error.text is not None else error.reason
        code = HTTPStatus(error.status).phrase.title().replace(" ", "").replace("-", "")
        return Problem(error.status, code, detail, headers=headers).answer()
