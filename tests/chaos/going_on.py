"""What an app does when its worker was killed; the one place that knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncbridge.client import connect

if TYPE_CHECKING:
    from asyncbridge.client import Bridge

__all__ = ["go_on"]


async def go_on(bridge: Bridge, **options: Any) -> Bridge:
    """Return the open bridge to go on with: another one, with a worker of its own.

    Args:
        bridge: The one whose worker was killed.
        **options: Of ``connect``.
    """
    await bridge.close(timeout=0)
    return await connect(**options)
