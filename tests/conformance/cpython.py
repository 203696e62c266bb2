"""CPython's own tests of asyncio, made to run on ``Promise``: what they are, and one's outcome.

The classes are the installed Python's, in ``test.test_asyncio``, so each version brings its own.
"""

from __future__ import annotations

import asyncio
import sys
import unittest
from asyncio import tasks
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

from asyncbridge import Promise

PACKAGE = "test.test_asyncio"
HOW_TO_GET_THEM = (
    f"this Python ({sys.executable}) has no {PACKAGE}, CPython's own tests, which Promise must "
    "pass. Debian and Ubuntu: install libpython3-testsuite. Fedora: install python3-test. pyenv "
    "and the installers of python.org bring them; Docker's python images and uv's builds leave "
    "them out"
)
SUITES = (
    "test_tasks",
    "test_futures2",
    "test_waitfor",
    "test_taskgroups",
    "test_timeouts",
    "test_locks",
    "test_queues",
    "test_pep492",
    *(("test_eager_task_factory",) if sys.version_info >= (3, 12) else ()),
)
"""The modules that run whole, on loops whose ``create_future`` returns a ``Promise``."""

TestClass = type[unittest.TestCase]


def module(name: str) -> ModuleType:
    """Import one of CPython's own."""
    return import_module(f"{PACKAGE}.{name}")


def future_tests() -> Iterator[TestClass]:
    """Yield the tests of ``Future``, each with a ``Promise`` in its place."""

    def new_future(self: Any) -> Promise[Any]:
        return Promise(loop=self.loop)

    futures = module("test_futures")
    for base, namespace in (
        (futures.CFutureTests, {"cls": Promise}),  # BaseFutureTests, and those for C
        (futures.CFutureDoneCallbackTests, {"_new_future": new_future}),
        (futures.CFutureInheritanceTests, {"_get_future_cls": lambda _: Promise}),
    ):
        yield type(f"Promise_{base.__name__}", (base,), namespace)


def task_tests() -> Iterator[TestClass]:
    """Yield the tests of ``Task``, both kinds, that wait for promises and for a subclass's."""
    base = module("test_tasks")
    with_c, with_python = base.CTask_CFuture_Tests, base.PyTask_CFuture_Tests
    for kind, parent in (("CTask", with_c), ("PyTask", with_python)):
        yield type(f"{kind}_Promise_Tests", (parent,), {"Future": Promise})
    for kind, parent in (("CTask", tasks._CTask), ("PyTask", tasks._PyTask)):  # type: ignore[attr-defined] # pyright: ignore - not public
        bases = (base.BaseTaskTests, module("utils").TestCase)
        namespace = {"Task": parent, "Future": Promise}
        yield base.add_subclass_tests(type(f"{kind}_Promise_SubclassTests", bases, namespace))


def suite_tests(name: str) -> Iterator[TestClass]:
    """Yield a module's own test classes, but for those of tasks with a future of their own."""
    own = module(name)
    for found in vars(own).values():
        if (
            isinstance(found, type)
            and issubclass(found, unittest.TestCase)
            and found.__module__ == own.__name__
            and not hasattr(found, "Future")
        ):
            yield found


def all_tests() -> Iterator[tuple[TestClass, str]]:
    """Yield every test that Promise must pass: its class, and its method's name.

    Raises:
        ModuleNotFoundError: This Python came without its tests.
    """
    classes = [*future_tests(), *task_tests()]
    for name in SUITES:
        classes += suite_tests(name)
    for each in classes:
        for method in unittest.defaultTestLoader.getTestCaseNames(each):
            yield each, method


def run(test: TestClass, method: str) -> unittest.TestResult:
    """Run one test and return what came of it."""
    result = unittest.TestResult()
    try:
        test(method).run(result)
    finally:
        asyncio.set_event_loop_policy(None)  # pyright: ignore - what each of the modules does
    return result


def create_promise(loop: asyncio.AbstractEventLoop) -> Promise[Any]:
    """Stand in for a loop's ``create_future``."""
    return Promise(loop=loop)
