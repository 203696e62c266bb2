from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

CONFTEST = """
from asyncbridge.testing import kill_worker  # before pytest imports it as a plugin

pytest_plugins = ["asyncbridge.testing"]
"""

SUITE = """
import asyncio, sys
import pytest, pytest_asyncio
import asyncbridge

PIDS = set()


@pytest_asyncio.fixture
async def service(bridge):
    yield await bridge.send("21 * 2")


@pytest.mark.parametrize("nth", range(2))
async def test_it_is_open_current_and_clean(bridge, nth):
    assert asyncbridge.current_bridge() is bridge
    assert await bridge.send("[name for name in dir() if name[:2] != '__']") == []
    await bridge.put(1, name="left", lifetime="eternal")
    PIDS.add((await bridge.info()).pid)
    assert len(PIDS) == 1


async def test_fixtures_may_use_it(service):
    assert service == 42


class TestClass:
    async def test_in_a_class(self, bridge):
        PIDS.add((await bridge.info()).pid)
        assert len(PIDS) == 1


def test_without_a_loop(sync_bridge):
    assert sync_bridge.send("6 * 7").wait_for_value(10) == 42
    PIDS.add(sync_bridge.info().wait_for_value(10).pid)
    assert len(PIDS) == 1


async def test_a_fake_one(fake_worker):
    fake_worker.fail("ValueError", "no")
    async with fake_worker.connect() as bridge:
        with pytest.raises(asyncbridge.RemoteError, match="ValueError: no"):
            await bridge.send("1")
        assert await bridge.send("1") == 1


async def test_a_crash(bridge, real_worker):
    real_worker.crash()
    with pytest.raises(asyncbridge.WorkerLost):
        await bridge.send("1")


async def test_after_a_crash(bridge):
    PIDS.add((await bridge.info()).pid)
    assert len(PIDS) == 2
"""
TESTS = 8

WRONG = """
import pytest, pytest_asyncio

LEFT = []


def test_plain(bridge):
    pass


async def test_unmarked(bridge):
    pass


@pytest_asyncio.fixture(loop_scope="session")
async def service(bridge):
    await bridge.send("1")


@pytest.mark.asyncio
async def test_loops(service):
    pass


@pytest.mark.asyncio
async def test_keeps(bridge):
    LEFT.append(bridge)


@pytest.mark.asyncio
async def test_late(bridge):
    await LEFT[0].send("1")
"""


def run(pytester: pytest.Pytester, suite: str, *arguments: str, **ini: str) -> pytest.RunResult:
    """Run a suite in a process of its own, in which every warning is an error."""
    settings = {
        "asyncio_default_fixture_loop_scope": "function",
        "asyncio_debug": "true",
        "asyncbridge_backend": "none",
        "filterwarnings": "error",
        **ini,
    }
    lines = [f"{key} = {value}" for key, value in settings.items()]
    pytester.makeini("\n".join(["[pytest]", *lines]))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(suite)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


@pytest.mark.parametrize("scope", ["function", "session"])
@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_every_mode_and_loop(pytester: pytest.Pytester, mode: str, scope: str) -> None:
    """One worker for the session, a bridge on the loop of each test, and of its fixtures."""
    suite = SUITE
    if mode == "strict":
        asynchronous = "@pytest.mark.asyncio\nasync def test"
        suite = SUITE.replace("\nasync def test", "\n" + asynchronous).replace(
            "    async def test", "    @pytest.mark.asyncio\n    async def test"
        )
    result = run(
        pytester,
        suite,
        asyncio_mode=mode,
        asyncio_default_test_loop_scope=scope,
        asyncio_default_fixture_loop_scope=scope,
    )
    result.assert_outcomes(passed=TESTS)


def test_loops_of_every_scope_in_one_session(pytester: pytest.Pytester) -> None:
    """The marker says it, test by test; the worker is one."""
    scopes = ("session", "function", "module", "package", "function", "session")
    tests = [
        f"""
@pytest.mark.asyncio(loop_scope="{scope}")
async def test_{number}(bridge):
    assert await bridge.send("1") == 1
    PIDS.add((await bridge.info()).pid)
    assert len(PIDS) == 1
"""
        for number, scope in enumerate(scopes)
    ]
    suite = "import pytest\nPIDS = set()\n" + "".join(tests)
    suite += """
class TestClass:
    @pytest.mark.asyncio(loop_scope="class")
    async def test_class(self, bridge):
        assert await bridge.send("1") == 1
"""
    run(pytester, suite).assert_outcomes(passed=len(scopes) + 1)


def test_wrong_uses_are_told_apart(pytester: pytest.Pytester) -> None:
    """No coroutine, one that nobody runs, another loop, after the test: each says what to do."""
    result = run(pytester, WRONG)
    result.assert_outcomes(passed=1, failed=1, errors=3)
    result.stdout.fnmatch_lines_random([
        "test_plain is no coroutine,*ask for `sync_bridge`, or make the test `async def`",
        "test_unmarked is a coroutine that pytest-asyncio does not run: mark it with*",
        "*WrongLoopError: this bridge belongs to the event loop of *::test_loops (loop_scope='fu*",
        "*BridgeClosed: this bridge was that of *::test_keeps, and ended with it*",
    ])  # fmt: skip


def test_without_pytest_asyncio_there_is_the_sync_one(pytester: pytest.Pytester) -> None:
    """And ``bridge`` says what it needs."""
    pytester.makeini("[pytest]\nasyncbridge_backend = none\nfilterwarnings = error\n")
    pytester.makepyfile(
        "def test_sync(sync_bridge):\n    assert sync_bridge.send('1').wait_for_value(10) == 1\n"
        "def test_async(bridge): pass\n"
    )
    result = pytester.runpytest_subprocess("-p", "no:asyncio", "-p", "asyncbridge.testing")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines("*needs pytest-asyncio: pip install pytest-asyncio")


@pytest.mark.parametrize(
    ("option", "ini", "variable"),
    [(["--asyncbridge-backend=none"], "one", "two"), ([], "none", "two"), ([], "", "none")],
)
def test_the_backend_is_chosen(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    option: list[str],
    ini: str,
    variable: str,
) -> None:
    """By the option, else by the ini value, else as ``connect()`` does."""
    monkeypatch.setenv("ASYNCBRIDGE_BACKEND", variable)
    suite = (
        "def test_it(sync_bridge):\n    assert sync_bridge.info().wait_for_value(9).backend is None"
    )
    run(pytester, suite, *option, asyncbridge_backend=ini).assert_outcomes(passed=1)


def test_a_backend_that_there_is_not_is_named(pytester: pytest.Pytester) -> None:
    """Each test that would use it says so."""
    result = run(pytester, "def test_it(sync_bridge): pass\n", asyncbridge_backend="theano")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*no backend is called 'theano': use one of tensorflow*")


def test_a_worker_of_others_is_left_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the app's settings name: the suite has a worker of its own."""
    monkeypatch.setenv("ASYNCBRIDGE_URL", "https://gpu.example:8750")
    monkeypatch.setenv("ASYNCBRIDGE_TOKEN_FILE", "/no/such/file")
    run(
        pytester,
        "def test_it(sync_bridge): assert sync_bridge.send('1').wait_for_value(10) == 1\n",
    ).assert_outcomes(passed=1)


def test_what_is_left_running_is_told(pytester: pytest.Pytester) -> None:
    """Where it was left; the next test has a worker that is not busy."""
    suite = """
import pytest
import asyncbridge.testing.plugin as plugin

plugin.CLOSE_SECONDS = 0.1
pytestmark = pytest.mark.asyncio

async def test_leaves(bridge):
    bridge.send("import threading\\nthreading.Event().wait()")

async def test_next(bridge):
    assert await bridge.send("1") == 1
"""
    result = run(pytester, suite)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines([
        "*ERROR at teardown of test_leaves*",
        "*had unfinished commands after 0.1 s*",
    ])  # fmt: skip


KERAS = """
import pytest
from asyncbridge import models as keras

pytestmark = pytest.mark.asyncio
PIDS = set()

LEAVE = '''
import keras

@keras.saving.register_keras_serializable("left")
class Left(keras.layers.Layer):
    pass

keras.config.set_dtype_policy("mixed_float16")
'''
LOOK = '''
import keras
[name for name in dir() if name[:2] != "__"], [*keras.saving.get_custom_objects()], keras.config.dtype_policy().name
'''


@pytest.mark.parametrize("nth", range(2))
async def test_nothing_of_another_test_is_left(bridge, nth):
    assert await bridge.send(LOOK) == (["keras"], [], "float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    await model.predict([[1.0, 2.0, 3.0, 4.0]])
    assert [layer.name for layer in model.layers] == ["dense"]
    await bridge.put(1, name="left", lifetime="eternal")
    await bridge.send(LEAVE)
    PIDS.add((await bridge.info()).pid)
    assert len(PIDS) == 1
"""


@pytest.mark.tensorflow
def test_keras_is_cleared_between_tests(pytester: pytest.Pytester) -> None:
    """Its names, its registered classes and its settings, in one worker for both tests."""
    run(pytester, KERAS, asyncbridge_backend="tensorflow").assert_outcomes(passed=2)
