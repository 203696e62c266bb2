"""Compare bridges: ``python benchmarks/peers/run.py [--install] [--quick] [NAME ...]``.

Each bridge runs in a process of its own, in turn, round by round, so that what else the machine
does meets all of them. The table goes to standard output, what runs to standard error. A peer that
is not installed is left out, with a line that says so; ``--install`` makes the environment
``.venv-peers`` for all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import uuid
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import Figure  # noqa: E402 - run by its path, it has to find itself
from benchmarks.peers.contract import BRIDGES  # noqa: E402
from benchmarks.peers.table import Round, markdown  # noqa: E402

ENVIRONMENT = ROOT / ".venv-peers"
REQUIREMENTS = Path(__file__).parent / "requirements.txt"
ROUNDS = 5
LIMIT = 180
"""Seconds for one bridge in one round."""
IMPORT = """
import json, sys, time
start = time.perf_counter()
exec(sys.argv[1])
seconds = time.perf_counter() - start
status = open("/proc/self/status").read()
mib = int(status.split("VmRSS:")[1].split()[0]) / 1024
print(json.dumps({"import_ms": 1000 * seconds, "import_mib": mib}))
"""
INSTALLED = """
import sys
from importlib.util import find_spec
print(*[name for name in sys.argv[1:] if find_spec(name) is None])
"""


def main() -> int:
    """Install if asked, run the rounds, print the table; return 1 if a bridge failed."""
    parser = argparse.ArgumentParser(description="Compare bridges.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BRIDGES))
    parser.add_argument("--install", action="store_true", help=f"make {ENVIRONMENT.name} first")
    parser.add_argument("--quick", action="store_true", help="one round, fewer repetitions")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--python", type=Path, help="the interpreter that has the peers")
    parser.add_argument("--json", type=Path, help="write what was found there, too")
    given = parser.parse_args()
    if unknown := set(given.names) - set(BRIDGES):
        parser.error(f"no bridge is called {', '.join(sorted(unknown))}")
    if given.install:
        install()
    rounds, failed = compare(
        given.names or list(BRIDGES),
        rounds=1 if given.quick else given.rounds,
        quick=given.quick,
        peers=given.python or ENVIRONMENT / "bin/python",
    )
    print(f"\nPython {platform.python_version()}, {platform.platform()}, {os.cpu_count()} cores\n")
    print(markdown(rounds))
    if given.json is not None:
        given.json.write_text(json.dumps(rounds, indent=2), encoding="utf-8")
    return 1 if failed else 0


def measure(quick: bool) -> list[Figure]:
    """Return the figures that `benchmarks/run.py` shows; nothing here has a bar."""
    peers = ENVIRONMENT / "bin/python"
    rounds, _ = compare(list(BRIDGES), rounds=1 if quick else ROUNDS, quick=quick, peers=peers)
    figures = []
    for name, found in rounds.items():
        trips = tuple(one["trip_us"] for one in found)
        pipelined = tuple(1e6 / one["pipelined_per_s"] for one in found)
        copies = tuple(one["array_s"] / one["copy_s"] for one in found)
        figures += [
            Figure(name=f"{name}, round trip", unit="us", values=trips),
            Figure(name=f"{name}, pipelined", unit="us per command", values=pipelined),
            Figure(name=f"{name}, 64 MiB there and back / copyto", unit="", values=copies),
        ]
    return figures


def install() -> None:
    """Make the environment for the peers, or bring it up to date."""
    venv.create(ENVIRONMENT, with_pip=True)
    subprocess.run(  # noqa: S603 - the environment made above
        [ENVIRONMENT / "bin/python", "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS],
        check=True,
    )


def compare(
    names: list[str], *, rounds: int, quick: bool, peers: Path
) -> tuple[dict[str, list[Round]], list[str]]:
    """Run each bridge once in every round; return what was found, and who failed."""
    here = {name: python_for(name, peers) for name in names}
    found: dict[str, list[Round]] = {name: [] for name, python in here.items() if python}
    failed: list[str] = []
    for index in range(rounds):
        for name, several in found.items():
            print(f"round {index + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            try:
                several.append(one_round(name, here[name], quick=quick))
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"{name} failed: {error}", file=sys.stderr)
                failed.append(name)
    return {name: several for name, several in found.items() if several}, failed


def python_for(name: str, peers: Path) -> str:
    """Return the interpreter that a bridge runs in; say why, and return none, if there is none."""
    if not BRIDGES[name].elsewhere:
        return sys.executable
    if not peers.exists():
        print(
            f"{name}: left out, for there is no {peers}: python benchmarks/peers/run.py --install"
        )
        return ""
    if missing := run(str(peers), "-c", INSTALLED, *BRIDGES[name].needs).strip():
        print(f"{name}: left out, for {missing} is not installed there: {peers}")
        return ""
    return str(peers)


def one_round(name: str, python: str, *, quick: bool) -> Round:
    """Measure one bridge."""
    imported = BRIDGES[name].imported
    run(python, "-c", IMPORT, imported)  # the first import of all fills caches
    found: Round = json.loads(last_line(run(python, "-c", IMPORT, imported)))
    options = ["--quick"] if quick else []
    found |= json.loads(
        last_line(run(python, "-m", "benchmarks.peers.subject", name, *options, timeout=LIMIT))
    )
    return found


def last_line(text: str) -> str:
    """Return what a program printed last."""
    return text.splitlines()[-1]


def run(python: str, *arguments: str, timeout: float = 60) -> str:
    """Run a program; return what it printed.

    Raises:
        RuntimeError: It failed.
        TimeoutExpired: It took too long. It is killed, and so are the processes of its group.
    """
    env: dict[str, Any] = {**os.environ, "PYTHONPATH": str(ROOT), "PEERS_MARK": uuid.uuid4().hex}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    with subprocess.Popen(  # noqa: S603 - programs of this folder
        [python, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the worker that it waits for
            raise
    if process.returncode != 0:
        raise RuntimeError(errors[-2000:])
    return output


if __name__ == "__main__":
    raise SystemExit(main())
