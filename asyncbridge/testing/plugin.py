"""The pytest plugin: the fixtures, and the backend that the suite runs on.

Nothing of the client is imported before a fixture is used.
PYTEST_DONT_REWRITE: there is nothing to rewrite, and it may have been imported before.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncbridge.client.bridge import Bridge
    from asyncbridge.client.options import Auto, Options
    from asyncbridge.testing.fakes import FakeWorker
    from asyncbridge.testing.lending import Holder, RealWorker

CLOSE_SECONDS = 5.0
"""How long what a test has left unfinished is waited for."""
BACKENDS = "tensorflow, jax, torch, or none for a worker without Keras"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the ini value that name the backend."""
    parser.getgroup("asyncbridge").addoption(
        "--asyncbridge-backend", metavar="NAME", help=f"backend of the suite's worker: {BACKENDS}"
    )
    parser.addini("asyncbridge_backend", f"backend of the suite's worker: {BACKENDS}", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Add the fixtures for the loops of pytest-asyncio, where that is in use."""
    if config.pluginmanager.hasplugin("asyncio"):
        config.pluginmanager.import_plugin("asyncbridge.testing.on_loops")


@pytest.fixture(scope="session")
def _asyncbridge_holder(pytestconfig: pytest.Config) -> Iterator[Holder]:
    from asyncbridge.testing.lending import Holder  # noqa: PLC0415 - aiohttp, once it is needed

    holder = Holder(options_of(pytestconfig))
    try:
        yield holder
    finally:
        holder.close()


@pytest.fixture
def real_worker(
    request: pytest.FixtureRequest, _asyncbridge_holder: Holder
) -> Iterator[RealWorker]:
    """The session's worker, started on first use; its namespace is clean, its faults are yours."""
    from asyncbridge.testing.lending import Borrower, RealWorker  # noqa: PLC0415 - as above

    item = request.node
    worker = RealWorker(
        _asyncbridge_holder, Borrower(test=item.nodeid, loop_scope=loop_scope_of(item))
    )
    try:
        yield worker
    finally:
        worker.ended = True


@pytest.fixture
def bridge(request: pytest.FixtureRequest) -> Bridge:
    """An open bridge to the session's worker, on the loop of the test."""
    item = request.node
    scope = loop_scope_of(item)
    if scope is None:
        pytest.fail(no_loop(item), pytrace=False)
    return cast("Bridge", request.getfixturevalue(f"_asyncbridge_on_{scope}_loop"))


@pytest.fixture
def sync_bridge(real_worker: RealWorker) -> Iterator[Bridge]:
    """An open bridge to the session's worker for a test that is no coroutine."""
    with real_worker.connect() as opened:
        yield opened


@pytest.fixture
def fake_worker() -> Iterator[FakeWorker]:
    """A worker in this process, without Keras; after the test it takes no more bridges."""
    from asyncbridge.testing.fakes import FakeWorker  # noqa: PLC0415 - aiohttp, as above

    worker = FakeWorker()
    try:
        yield worker
    finally:
        worker.stop()


def options_of(config: pytest.Config) -> Options:
    """Return what the suite's worker is started with.

    It is always one of the suite's own: to empty the namespace of one that ``ASYNCBRIDGE_URL``
    names would take the names of its other clients away.
    """
    from asyncbridge.client.connect import connect  # noqa: PLC0415 - as above

    asked = connect(
        token="unused",  # noqa: S106 - so that no file is read for it
        backend=backend_of(config),
        close_timeout=CLOSE_SECONDS,
    )
    return replace(asked._options, url=None, token=None)


def backend_of(config: pytest.Config) -> str | Auto | None:
    """Return the backend: of the command line, else of the ini file, else as ``connect()``."""
    from asyncbridge.client.options import AUTO  # noqa: PLC0415 - as above

    name = config.getoption("--asyncbridge-backend", None) or config.getini("asyncbridge_backend")
    return None if name == "none" else name or AUTO


def loop_scope_of(item: pytest.Item) -> str | None:
    """Return the scope of the loop that a test runs in; None where pytest-asyncio runs it not."""
    if not item.config.pluginmanager.hasplugin("asyncio"):
        return None
    from pytest_asyncio import is_async_test  # noqa: PLC0415 - it is installed

    if not is_async_test(item):
        return None
    marker = item.get_closest_marker("asyncio")
    told = {} if marker is None else marker.kwargs
    default = item.config.getini("asyncio_default_test_loop_scope")
    return cast("str", told.get("loop_scope") or told.get("scope") or default)


def no_loop(item: pytest.Item) -> str:
    """Say why a test cannot have the fixture ``bridge``."""
    if not item.config.pluginmanager.hasplugin("asyncio"):
        return "the fixture `bridge` needs pytest-asyncio: pip install pytest-asyncio"
    if inspect.iscoroutinefunction(getattr(item, "obj", None)):
        return (
            f"{item.name} is a coroutine that pytest-asyncio does not run: mark it with "
            "@pytest.mark.asyncio, or set asyncio_mode = auto"
        )
    return (
        f"{item.name} is no coroutine, and the fixture `bridge` belongs to an event loop: ask for "
        "`sync_bridge`, or make the test `async def`"
    )
