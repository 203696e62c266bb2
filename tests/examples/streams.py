"""What a browser makes of server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import ClientResponse

Event = tuple[str, dict[str, Any]]


async def events_of(response: ClientResponse) -> AsyncIterator[Event]:
    """Yield name and data of each event, to the end of the stream."""
    name = ""
    async for line in response.content:
        field, _, text = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = text
        elif field == "data":
            yield name, json.loads(text)


async def until(response: ClientResponse, *names: str) -> list[Event]:
    """Return the events up to the first that has one of these names, that one included."""
    seen: list[Event] = []
    async for name, data in events_of(response):
        seen.append((name, data))
        if name in names:
            break
    return seen
