"""``Promise`` is a perfect asyncio future: CPython's own tests say so."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncbridge import Promise
from tests.conformance.cpython import (
    HOW_TO_GET_THEM,
    PACKAGE,
    TestClass,
    all_tests,
    create_promise,
    module,
    run,
)

ROOT = Path(__file__).resolve().parents[2]


def collected() -> Iterator[Any]:
    """Yield a parameter for each test; for want of them, one that fails."""
    try:
        for test, method in all_tests():
            where = test.__module__.rpartition(".")[2]
            yield pytest.param(test, method, id=f"{where}.{test.__name__}.{method}")
    except ModuleNotFoundError:
        yield pytest.param(None, "", id="not-installed")


@pytest.fixture
def promises_from_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every event loop's ``create_future`` return a ``Promise``."""
    monkeypatch.setattr(asyncio.BaseEventLoop, "create_future", create_promise)


@pytest.mark.usefixtures("promises_from_loops")
@pytest.mark.parametrize(("test", "method"), list(collected()))
def test_cpythons_own(test: TestClass | None, method: str) -> None:
    """The test passes; a Python that has none fails, and says how to get them."""
    if test is None:
        pytest.fail(HOW_TO_GET_THEM, pytrace=False)
    result = run(test, method)
    for _, text in [*result.failures, *result.errors]:
        pytest.fail(text, pytrace=False)
    for _, reason in result.skipped:
        pytest.skip(f"CPython's own test says: {reason}")
    assert result.testsRun == 1


@pytest.mark.parametrize(
    ("name", "test", "method"),
    [
        ("test_locks", "LockTests", "test_cancel_race"),
        ("test_queues", "QueuePutTests", "test_blocking_put_wait"),
        ("test_tasks", "CoroutineGatherTests", "test_cancellation_broadcast"),
    ],
)
def test_asyncio_itself_waits_for_promises(
    monkeypatch: pytest.MonkeyPatch, name: str, test: str, method: str
) -> None:
    """The loops that CPython's tests make do return promises: what passes above is no Future."""
    made: list[Promise[Any]] = []

    def create_future(loop: asyncio.AbstractEventLoop) -> Promise[Any]:
        made.append(create_promise(loop))
        return made[-1]

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_future", create_future)
    assert run(getattr(module(name), test), method).wasSuccessful()
    assert made


def test_a_python_without_them_fails() -> None:
    """Where the distribution left CPython's tests out, nothing is skipped, and the text helps."""
    code = (
        f"import sys, pytest; sys.modules[{PACKAGE!r}] = None;"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-k', 'not-installed', *sys.argv[1:]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "tests/conformance/test_cpython.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "install libpython3-testsuite" in done.stdout
    assert "1 failed" in done.stdout
    assert "skipped" not in done.stdout
