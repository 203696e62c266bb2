"""The examples stand at the repository's root, which nothing else here needs on the path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.limits import HANG_S

ROOT = Path(__file__).resolve().parents[2]

sys.path.insert(0, str(ROOT))

AS_A_PROGRAM = """
import json, runpy, sys
runpy.run_path(sys.argv[1], run_name="__main__")
print(json.dumps(sorted({"keras", "tensorflow", "jax", "torch"} & set(sys.modules))))
"""


@pytest.fixture
def run_example(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """Return what runs an example as its reader does; it gives the lines that were printed.

    The program must end well, say nothing on its standard error, import nothing of Keras, and
    leave nothing in its folder for temporary files, whose path is short enough for a socket.
    """
    folder = tmp_path_factory.mktemp("e")

    def run(name: str) -> list[str]:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
        done = subprocess.run(
            [sys.executable, "-c", AS_A_PROGRAM, str(ROOT / "examples" / name)],
            capture_output=True, text=True, env=env, check=False, timeout=HANG_S,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        *lines, heavy = done.stdout.splitlines()
        assert json.loads(heavy) == []
        assert list(folder.iterdir()) == []
        return lines

    return run
