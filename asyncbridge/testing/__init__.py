"""For suites of your own: a fake worker, a real one for all tests, faults, a pytest plugin.

``pytest_plugins = ["asyncbridge.testing"]`` in a ``conftest.py`` gives the fixtures ``bridge``,
``sync_bridge``, ``real_worker`` and ``fake_worker``; docs/testing.md shows them at work. The
names below need no pytest.

>>> import asyncio
>>> from asyncbridge.testing import FakeWorker
>>> async def main():
...     async with FakeWorker().connect() as bridge:
...         return await bridge.send("a + 1", {"a": 41})
>>> asyncio.run(main())
42

Everything is imported when it is first used, so a suite may name the plugin at no cost.
PYTEST_DONT_REWRITE: a conftest may have imported this before pytest does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncbridge.testing.clocks import ManualClock as ManualClock
    from asyncbridge.testing.clocks import clock_loop as clock_loop
    from asyncbridge.testing.fakes import FakeWorker as FakeWorker
    from asyncbridge.testing.fakes import StepExecutor as StepExecutor
    from asyncbridge.testing.killing import kill_worker as kill_worker
    from asyncbridge.testing.lending import RealWorker as RealWorker

_HOME_OF = {
    "FakeWorker": "asyncbridge.testing.fakes",
    "ManualClock": "asyncbridge.testing.clocks",
    "RealWorker": "asyncbridge.testing.lending",
    "StepExecutor": "asyncbridge.testing.fakes",
    "clock_loop": "asyncbridge.testing.clocks",
    "kill_worker": "asyncbridge.testing.killing",
}

__all__ = [  # noqa: RUF022 - grouped by what they are
    # a worker in this process
    "FakeWorker",
    "ManualClock",
    "StepExecutor",
    "clock_loop",
    # the suite's real one
    "RealWorker",
    "kill_worker",
]

# Read by pytest, when this module is named as a plugin.
pytest_plugins = ["asyncbridge.testing.plugin"]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'asyncbridge.testing' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
