"""A bridge on each of the loops that pytest-asyncio has; a test gets the one of its own loop.

PYTEST_DONT_REWRITE: as in the plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncbridge.client.bridge import Bridge
    from asyncbridge.testing.lending import RealWorker


@pytest_asyncio.fixture(loop_scope="function")
async def _asyncbridge_on_function_loop(real_worker: RealWorker) -> AsyncIterator[Bridge]:
    async with real_worker.connect() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="class")
async def _asyncbridge_on_class_loop(real_worker: RealWorker) -> AsyncIterator[Bridge]:
    async with real_worker.connect() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def _asyncbridge_on_module_loop(real_worker: RealWorker) -> AsyncIterator[Bridge]:
    async with real_worker.connect() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="package")
async def _asyncbridge_on_package_loop(real_worker: RealWorker) -> AsyncIterator[Bridge]:
    async with real_worker.connect() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def _asyncbridge_on_session_loop(real_worker: RealWorker) -> AsyncIterator[Bridge]:
    async with real_worker.connect() as opened:
        yield opened
