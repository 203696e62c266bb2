"""The fixtures and hooks that every test relies on."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from blockbuster import BlockingError

import asyncbridge

ROOT = Path(__file__).resolve().parents[2]
CONFTEST = ROOT / "tests" / "conftest.py"

LEAKS = """
import os, subprocess, sys, tempfile, threading, asyncio
import pytest

KEPT = []

def test_thread(no_leaks):
    threading.Thread(target=threading.Event().wait, name="kept", daemon=True).start()

def test_child(no_leaks):
    KEPT.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))

def test_descriptor(no_leaks):
    KEPT.append(os.pipe())

def test_folder(no_leaks):
    KEPT.append(tempfile.mkdtemp(prefix="asyncbridge-"))

def test_nothing(no_leaks):
    thread = threading.Thread(target=sum, args=([],))
    thread.start()
    with tempfile.TemporaryDirectory(prefix="asyncbridge-"), open(os.devnull):
        subprocess.run([sys.executable, "-c", ""], check=True)

@pytest.mark.asyncio
async def test_loop(no_leaks):
    await asyncio.to_thread(sum, [])

def teardown_module():
    for kept in KEPT:
        if isinstance(kept, subprocess.Popen):
            kept.kill()
            kept.wait()
"""

ORDER = """
import pytest

@pytest.mark.tensorflow
@pytest.mark.slow
def test_3(): pass

@pytest.mark.slow
def test_2(): pass

def test_0(): pass

def test_1(): pass
"""


def run_pytest(folder: Path, source: str, *arguments: str) -> str:
    """Run a file of tests under a copy of the conftest, with a temporary folder of its own."""
    shutil.copy(CONFTEST, folder / "conftest.py")
    (folder / "test_it.py").write_text(source)
    ini = "[pytest]\nmarkers =\n    slow\n    tensorflow\n"
    (folder / "pytest.ini").write_text(ini)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={"COLUMNS": "400", "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.slow
def test_a_leak_of_each_kind_is_named(tmp_path: Path) -> None:
    """no_leaks names the thread, child, descriptor and folder, and lets clean tests pass."""
    output = run_pytest(tmp_path, LEAKS, "-rA")
    assert "ERROR test_it.py::test_thread - Failed: left open: thread 'kept'" in output
    assert "ERROR test_it.py::test_child - Failed: left open: child process" in output
    assert "ERROR test_it.py::test_descriptor - Failed: left open: descriptor" in output
    assert f"ERROR test_it.py::test_folder - Failed: left open: folder {tmp_path}" in output
    assert "6 passed, 4 errors" in output


@pytest.mark.slow
def test_fast_tests_run_first(tmp_path: Path) -> None:
    """The unmarked come first, then slow, then TensorFlow's; among equals the file's order."""
    output = run_pytest(tmp_path, ORDER, "-v")
    ran = [line.split("::")[1][:6] for line in output.splitlines() if "PASSED" in line]
    assert ran == ["test_0", "test_1", "test_2", "test_3"]


@pytest.mark.asyncio
async def test_blocking_on_the_loop_raises(no_blocking: None) -> None:
    """no_blocking fails code of asyncbridge that sleeps on the loop, and nobody else's."""
    time.sleep(0)  # noqa: ASYNC251 - not asyncbridge's
    of_asyncbridge = Path(str(asyncbridge.__file__)).with_name("nap.py")
    with pytest.raises(BlockingError, match=r"time\.sleep"):
        exec(compile("time.sleep(0)", str(of_asyncbridge), "exec"), {"time": time})
