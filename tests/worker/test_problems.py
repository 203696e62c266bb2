"""Refusals as problem documents."""

from __future__ import annotations

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from asyncbridge.worker.problems import Problem, as_problems


async def answer_to(path: str, error: Exception | None) -> web.StreamResponse:
    """Return what a handler that raises, or does not, is made of."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if error is not None:
            raise error
        return web.Response(text="fine")

    return await as_problems(make_mocked_request("GET", path), handler)


def body_of(response: web.StreamResponse) -> object:
    """Return a response's document."""
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    assert response.content_type == "application/problem+json"
    return orjson.loads(response.body)


@pytest.mark.asyncio
async def test_a_problem() -> None:
    """It has HTTP's title, a text for people and a word for programs."""
    problem = Problem(429, "QueueFull", "wait", headers={"Retry-After": "1"})
    response = await answer_to("/v1/commands", problem)
    assert (response.status, response.headers["Retry-After"]) == (429, "1")
    assert body_of(response) == {
        "type": "about:blank", "title": "Too Many Requests", "status": 429, "detail": "wait",
        "code": "QueueFull",
    }  # fmt: skip


@pytest.mark.asyncio
async def test_what_the_server_refuses() -> None:
    """It becomes one, too, and keeps the headers that say why."""
    refused = web.HTTPForbidden(text="wrong token", headers={"Asyncbridge-Refused": "wrong token"})
    response = await answer_to("/v1/commands", refused)
    assert response.headers["Asyncbridge-Refused"] == "wrong token"
    assert body_of(response) == {
        "type": "about:blank", "title": "Forbidden", "status": 403, "detail": "wrong token",
        "code": "Forbidden",
    }  # fmt: skip


@pytest.mark.asyncio
async def test_the_other_routes() -> None:
    """Their answers stay as they are; so does whatever goes well."""
    with pytest.raises(web.HTTPNotFound):
        await answer_to("/v1/bulk/s", web.HTTPNotFound())
    response = await answer_to("/v1/commands", None)
    assert isinstance(response, web.Response)
    assert response.text == "fine"
