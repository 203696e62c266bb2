from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from asyncbridge import cli
from asyncbridge.client import connect
from tests.limits import HANG_S

runner = CliRunner()


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Run no worker; note what would be run."""
    calls: list[dict[str, Any]] = []

    def run(**given: Any) -> int:
        calls.append(given)
        return 0

    monkeypatch.setattr(cli, "run", run)
    return calls


def test_without_a_command_the_help_is_shown() -> None:
    """It names the commands there are."""
    result = runner.invoke(cli.app, [])
    for command in ("worker", "halts", "decide"):
        assert command in result.output


def test_the_help_of_decide_names_every_exit_status() -> None:
    """And every decision, and every option."""
    result = runner.invoke(cli.app, ["decide", "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for word in ("retry", "ignore", "raise", "drop-queue", "replace", "--code", "--bind",
                 "--value", "--epoch", "--json", "--timeout", "5 nothing has halted"):  # fmt: skip
        assert word in result.output


@pytest.mark.parametrize("command", ["halts", "decide"])
def test_where_no_worker_listens(command: str, tmp_path: Path) -> None:
    """In one line, with the status for it."""
    words = [f"unix://{tmp_path}/none/worker.sock", *(["0-1", "raise"] * (command == "decide"))]
    result = runner.invoke(cli.app, [command, *words])
    assert result.exit_code == 3
    assert result.output.startswith(f"asyncbridge {command}: no worker listens at unix://")


def test_a_workers_start_imports_nothing_of_clients() -> None:
    """It would wait for that."""
    code = "import sys, asyncbridge.cli; print('aiohttp' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_the_package_runs_as_the_command() -> None:
    """``python -m asyncbridge`` does what the script does."""
    done = subprocess.run(
        [sys.executable, "-m", "asyncbridge", "--help"], capture_output=True, text=True, check=True
    )
    assert "worker" in done.stdout


def test_the_workers_help_names_every_option() -> None:
    """As typed."""
    result = runner.invoke(cli.app, ["worker", "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for option in ("--folder", "--host", "--port", "--tls-cert", "--tls-key", "--token-file",
                   "--backend", "--results-limit", "--lease", "--callback-hosts"):  # fmt: skip
        assert option in result.output


def test_options_reach_the_worker_as_they_are(ran: list[dict[str, Any]], tmp_path: Path) -> None:
    """Paths as paths, the port as a number."""
    arguments = ["worker", "--folder", str(tmp_path), "--host", "127.0.0.1", "--port", "8799",
                 "--tls-cert", "c.pem", "--tls-key", "k.pem", "--token-file", "t",
                 "--backend", "jax", "--results-limit", "5", "--lease", "60",
                 "--callback-hosts", "example.org"]  # fmt: skip
    assert runner.invoke(cli.app, arguments).exit_code == 0
    assert ran == [{
        "folder": tmp_path, "host": "127.0.0.1", "port": 8799, "names": [], "tls_cert": Path("c.pem"),
        "tls_key": Path("k.pem"), "token_file": Path("t"), "backend": "jax",
        "results_limit": 5, "lease": 60.0,
        "callback_hosts": ["example.org"],
    }]  # fmt: skip


def test_the_default_is_tensorflow_on_a_unix_socket(ran: list[dict[str, Any]]) -> None:
    """Nothing has to be given."""
    assert runner.invoke(cli.app, ["worker"]).exit_code == 0
    assert ran[0]["backend"] == "tensorflow"
    assert ran[0]["host"] is None


def test_the_workers_exit_status_is_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell sees how it ended."""
    monkeypatch.setattr(cli, "run", lambda **_: 78)
    assert runner.invoke(cli.app, ["worker"]).exit_code == 78


def test_an_address_beyond_loopback_without_tls_is_refused(tmp_path: Path) -> None:
    """In one line, with status 2 and no traceback."""
    result = runner.invoke(cli.app, ["worker", "--folder", str(tmp_path), "--host", "0.0.0.0"])
    assert result.exit_code == 2
    assert "without TLS" in result.output
    assert "Traceback" not in result.output


def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Likewise, with the command that mends it."""
    token = tmp_path / "token"
    token.write_text("x", encoding="utf-8")
    token.chmod(0o644)
    result = runner.invoke(
        cli.app, ["worker", "--folder", str(tmp_path / "w"), "--token-file", str(token)]
    )
    assert result.exit_code == 2
    assert "chmod 600" in result.output


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_serves_until_it_is_told_to_stop(signum: signal.Signals) -> None:
    """A client attaches by the URL that it prints; Ctrl-C ends it and removes its socket."""
    with tempfile.TemporaryDirectory(prefix="ab-") as parent:
        folder = Path(parent, "w")
        process = subprocess.Popen(
            [sys.executable, "-c", "from asyncbridge.cli import main; main()", "worker",
             "--backend", "none", "--folder", str(folder)],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )  # fmt: skip
        try:
            assert process.stderr is not None
            told = process.stderr.readline()
            assert f"unix://{folder}/worker.sock" in told
            while not (folder / "worker.sock").exists():
                assert process.poll() is None
                os.sched_yield()
            assert folder.stat().st_mode & 0o777 == 0o700
            assert asyncio.run(ask(f"unix://{folder}/worker.sock")) == 42
            process.send_signal(signum)
            _, errors = process.communicate(timeout=HANG_S)
            assert process.returncode == 0, errors
            assert "Traceback" not in errors
            assert not (folder / "worker.sock").exists()
        finally:
            process.kill()
            process.communicate()


async def ask(url: str) -> object:
    """Attach, and ask for one value."""
    async with connect(url) as bridge:
        return await bridge.send("6 * 7")
