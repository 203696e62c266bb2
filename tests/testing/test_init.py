from __future__ import annotations

import subprocess
import sys

import pytest

from asyncbridge import testing
from tests.limits import HANG_S

PUBLIC = {"FakeWorker", "ManualClock", "RealWorker", "StepExecutor", "clock_loop", "kill_worker"}


def fresh(code: str) -> str:
    """Run code in an interpreter of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG_S
    )
    return done.stdout.strip()


def test_the_public_names_are_these() -> None:
    """What is added or taken away is added or taken away here as well."""
    assert set(testing.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(testing, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As with any module: pytest asks this one for hooks and fixtures by name."""
    assert not hasattr(testing, "pytest_addoption")
    with pytest.raises(AttributeError, match=r"asyncbridge\.testing.*nothing_of_the_kind"):
        testing.nothing_of_the_kind  # noqa: B018


def test_naming_the_plugin_costs_nothing() -> None:
    """Neither aiohttp nor numpy is loaded before a fixture is used, and Keras never is."""
    code = (
        "import sys\nimport asyncbridge.testing, asyncbridge.testing.plugin\n"
        "import asyncbridge.testing.on_loops\n"
        "print([m for m in ('aiohttp', 'numpy', 'orjson', 'keras') if m in sys.modules])"
    )
    assert fresh(code) == "[]"


def test_the_fakes_need_no_pytest() -> None:
    """They are of use in any suite, and in a REPL."""
    code = (
        "import sys\nsys.modules['pytest'] = None\nsys.modules['pytest_asyncio'] = None\n"
        "from asyncbridge.testing import *\nprint(FakeWorker.kind, RealWorker.__name__)"
    )
    assert fresh(code) == "fake RealWorker"
