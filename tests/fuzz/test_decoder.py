from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("decoder.py")
ROOT = PROGRAM.parents[2]
MIB = 2**20
NIGHTLY = [pytest.mark.nightly, pytest.mark.timeout(3 * 3600)]


@pytest.mark.slow
@pytest.mark.parametrize("count", [100_000, pytest.param(10_000_000, marks=NIGHTLY)])
def test_damaged_input_is_a_value_or_a_decode_error(count: int) -> None:
    """No crash, no other error, nothing over a second, and memory within bounds."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(count), "7"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    told = json.loads(done.stdout)
    assert told["sound"] + told["refused"] == count
    assert min(told["sound"], told["refused"], told["frames"]) > count // 20
    assert told["slowest"] <= 1.0
    assert told["peak"] <= 256 * MIB
