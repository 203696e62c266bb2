from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers import run
from benchmarks.peers.contract import BRIDGES


@pytest.mark.slow
@pytest.mark.usefixtures("no_leaks")
def test_asyncbridge_runs() -> None:
    """Its part of the comparison is measured for real, and says what the table says of it."""
    rounds, failed = run.compare(["asyncbridge"], rounds=1, quick=True, peers=Path("none"))
    assert failed == []
    (found,) = rounds["asyncbridge"]
    assert set(found["values"].values()) == {"same"}
    assert found["reports"]["came"] == 100
    assert found["cancelled"]["error"] == "CancelledError"
    assert found["killed"]["error"] == "WorkerLost"
    assert "phase: started" in found["killed"]["said"]
    assert min(found["trip_us"], found["pipelined_per_s"], found["array_s"], found["copy_s"]) > 0
    assert found["processes"] == 3


def test_without_their_environment_the_peers_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each one with a line that says what to do."""
    elsewhere = [name for name, peer in BRIDGES.items() if peer.elsewhere]
    assert run.compare(elsewhere, rounds=1, quick=True, peers=tmp_path / "python") == ({}, [])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == elsewhere
    assert all(line.endswith("run.py --install") for line in lines)


@pytest.mark.slow
def test_a_peer_that_is_not_installed_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line says what its environment lacks."""
    peer = BRIDGES["rpyc"]
    lacking = type(peer)(
        module=peer.module, imported=peer.imported, needs=("no_such",), elsewhere=True, pipelined=1
    )
    monkeypatch.setitem(BRIDGES, "rpyc", lacking)
    assert run.python_for("rpyc", Path(sys.executable)) == ""
    assert "no_such is not installed" in capsys.readouterr().out


def test_an_unknown_bridge_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its name, before anything runs."""
    monkeypatch.setattr(sys, "argv", ["run.py", "no-such"])
    with pytest.raises(SystemExit):
        run.main()
    assert "no bridge is called no-such" in capsys.readouterr().err


def test_the_requirements_name_every_peer() -> None:
    """Each distribution that a bridge needs, with a range of releases."""
    listed = {
        line.split(">=")[0]: line
        for line in run.REQUIREMENTS.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    }
    needed = {need for peer in BRIDGES.values() if peer.elsewhere for need in peer.needs}
    assert needed <= set(listed)
    assert all(",<" in line for line in listed.values())


def test_a_program_that_fails_is_told() -> None:
    """The error holds what it said."""
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        run.run(sys.executable, "-c", "1 / 0")
    assert json.loads(run.last_line(run.run(sys.executable, "-c", "print('[1]')"))) == [1]


HANGING = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with open(sys.argv[1], "w") as told:
    told.write(str(child.pid))
time.sleep(60)
"""


@pytest.mark.slow
def test_a_program_that_hangs_takes_its_children_along(tmp_path: Path) -> None:
    """When its time is over, no worker of it is left."""
    told = tmp_path / "child"
    with pytest.raises(subprocess.TimeoutExpired):
        run.run(sys.executable, "-c", HANGING, str(told), timeout=3)
    assert ends(int(told.read_text(encoding="utf-8")))


def ends(pid: int) -> bool:
    """Wait for the end of a process that is not our child."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 10)[0])
    finally:
        os.close(process)
