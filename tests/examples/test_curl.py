"""The shell example: a worker that curl alone drives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.limits import HANG_S

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_drives_a_worker(tmp_path: Path) -> None:
    """Each answer is as its line says, and nothing is left behind."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        ["/bin/sh", str(ROOT / "examples" / "curl.sh")],
        capture_output=True, text=True, env=env, check=False, timeout=HANG_S,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    queued, value, known, several, total, error, halted, errors, retried, cancelled = (
        json.loads(line) for line in done.stdout.splitlines() if not line.startswith("#")
    )
    assert queued == {"session": "default", "id": 1, "state": "queued", "position": 0}
    assert value == known == {"session": "default", "id": 1, "state": "completed", "value": 42}
    assert [each["position"] for each in several] == [0, 1]
    assert total["value"] == 30
    assert (error["state"], error["error"]["type"]) == ("failed", "ZeroDivisionError")
    assert (halted["state"], halted["epoch"]) == ("halted", 1)
    assert [each["error_id"] for each in errors] == [halted["error_id"]]
    assert (retried["state"], retried["value"]) == ("completed", 3.0)
    assert (cancelled["id"], cancelled["state"]) == (7, "cancelled")
    assert list(tmp_path.iterdir()) == []
