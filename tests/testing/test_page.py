"""docs/testing.md: its examples are tests, and pass as such."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "testing.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.usefixtures("no_leaks")
def test_its_examples_pass(pytester: pytest.Pytester) -> None:
    """The conftest and the suites of the page, with TensorFlow, every warning an error."""
    conftest, *suites = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    pytester.makeini(INI)
    pytester.makeconftest(conftest)
    for number, suite in enumerate(suites):
        pytester.makepyfile(**{f"test_{number}": suite})
    tests = "".join(suites).count("async def test_")
    assert tests >= 6
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=tests)
