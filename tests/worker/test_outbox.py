"""The worker's HTTP client."""

from __future__ import annotations

import pytest

from asyncbridge.worker.outbox import Outbox


@pytest.mark.asyncio
async def test_it_is_made_when_it_is_needed() -> None:
    """Once; it trusts nothing of the environment, and closing one that was never used is fine."""
    outbox = Outbox()
    await outbox.close()
    http = outbox.http
    assert outbox.http is http
    assert not http.trust_env
    await outbox.close()
    assert http.closed
