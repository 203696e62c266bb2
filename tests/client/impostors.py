"""Servers on a Unix socket that answer as no worker should."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["serving"]


@asynccontextmanager
async def serving(handler: Any) -> AsyncGenerator[Path]:
    """Serve every request with the handler; yield the socket."""
    with tempfile.TemporaryDirectory(prefix="ab-") as folder:
        path = Path(folder, "worker.sock")
        # A handler that never answers is not waited for.
        runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.01)
        await runner.setup()
        await web.UnixSite(runner, path).start()
        try:
            yield path
        finally:
            await runner.cleanup()
