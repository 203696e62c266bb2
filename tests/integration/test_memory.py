"""What large arrays cost an app in memory of its own, beside themselves and shared memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.limits import HANG_S

ROOT = Path(__file__).resolve().parents[2]
SIZE = 128 * 1024 * 1024
SENT = {"C order": 0.1, "C order, again": 0.1, "Fortran order": 0.1}
PARTS = {
    "shared": {**SENT, "big-endian": 0.1, "strided": 0.1, "result": 0.1},
    # What is made as it leaves takes some chunks of 4 MiB.
    "streamed": {**SENT, "big-endian": 0.35, "strided": 0.35, "result": 1.05},
}


@pytest.mark.slow
@pytest.mark.parametrize("way", PARTS)
def test_memory_of_transfers(way: str) -> None:
    """Sending copies nothing into it, and what is received is there once."""
    options: dict[str, Any] = {} if way == "shared" else {"shared_memory": 0}
    program = (
        "import sys; from benchmarks.memory import PROGRAM\n"
        "exec(compile(PROGRAM, '<memory>', 'exec'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(SIZE), json.dumps(options)],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    added = json.loads(done.stdout.splitlines()[-1])
    assert {name: added[name] for name, most in PARTS[way].items() if added[name] > most} == {}
