from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.slow


def test_each_error_is_decided_upon(run_example: Callable[[str], list[str]]) -> None:
    """By the handler first, and by hand then."""
    assert run_example("decisions.py") == [
        "[1, 2, 3]: 2.0 2 [-0.5, 0.0, 0.5]",
        "  halted at 'scale': ZeroDivisionError",
        "[5, 5, 5]: 5.0 0 [0.0, 0.0, 0.0]",
        "  halted at 'mean': ZeroDivisionError",
        "[]: ZeroDivisionError CommandDropped CommandDropped",
        "  attempt 1 failed: NameError: name 'lines' is not defined",
        "  attempt 2 failed: TypeError: unsupported operand type(s) for -: 'str' and 'int'",
        "scaled: [-1.0, 1.0]",
        "unit: metres",
    ]
