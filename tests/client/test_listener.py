"""The client's own server: it takes what has its secret, comes from no page, and means a wire."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from asyncbridge.client.listener import Listener
from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Started
from asyncbridge.serialization.envelopes import write_envelopes
from asyncbridge.serialization.frames import Place
from asyncbridge.transport.posts import Poster, PostWire

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]

PLACE = Place(0, 2)
(BODY,) = write_envelopes(0, [Started(id=1)], PLACE, extra={})


@asynccontextmanager
async def listening() -> AsyncGenerator[tuple[Listener, PostWire, aiohttp.ClientSession], None]:
    """Yield a listener, the wire ``w`` that it knows, and a stranger's HTTP client."""
    listener = Listener()
    await listener.start()
    async with aiohttp.ClientSession() as http:
        wire = PostWire(Poster(http, "http://127.0.0.1:1/", {}))
        listener.add("w", wire)
        yield listener, wire, http
        await wire.close()
    await listener.close()


async def test_an_envelope() -> None:
    """Its wire gets it."""
    async with listening() as (listener, wire, http):
        headers = {"Authorization": f"Bearer {listener.token}"}
        async with http.post(listener.address_of("w"), data=BODY, headers=headers) as answer:
            assert answer.status == 204
        assert await wire.receive() == ([Started(id=1)], PLACE)


async def test_strangers() -> None:
    """They are turned away, and the wire notices nothing."""
    async with listening() as (listener, wire, http):
        url, good = listener.address_of("w"), {"Authorization": f"Bearer {listener.token}"}
        assert url.startswith("http://127.0.0.1:")
        for headers, where, status in (
            ({}, url, 403),
            ({"Authorization": "Bearer guessed"}, url, 403),
            ({**good, "Origin": "http://page"}, url, 403),
            ({**good, "Host": "rebound.example"}, url, 403),
            (good, listener.address_of("other"), 410),
        ):
            async with http.post(where, data=BODY, headers=headers) as answer:
                assert answer.status == status
        async with http.post(url, data=BODY, headers=good) as answer:
            assert answer.status == 204
        assert (await wire.receive())[0] == [Started(id=1)]


async def test_what_is_no_envelope() -> None:
    """It ends the wire."""
    async with listening() as (listener, wire, http):
        headers = {"Authorization": f"Bearer {listener.token}"}
        async with http.post(listener.address_of("w"), data=b"{", headers=headers) as answer:
            assert answer.status == 400
        with pytest.raises(DecodeError, match="is no JSON"):
            await wire.receive()


async def test_a_new_wire_takes_the_place_of_the_old() -> None:
    """Nobody posts for that any more."""
    async with listening() as (listener, wire, http):
        listener.add("v", wire)
        headers = {"Authorization": f"Bearer {listener.token}"}
        async with http.post(listener.address_of("w"), data=BODY, headers=headers) as answer:
            assert answer.status == 410
