from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncbridge.client import Bridge, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = str(Path(__file__).resolve().parents[2])


class Gate:
    """Code that waits in the worker until the test lets it go on: no sleep, no guess."""

    def __init__(self, folder: Path, name: str) -> None:
        self._entered, self._leave = folder / f"{name}-entered", folder / f"{name}-leave"
        os.mkfifo(self._entered)
        os.mkfifo(self._leave)

    @property
    def code(self) -> str:
        """Says that it has been reached, then waits; its value is ``"passed"``."""
        return f"open({str(self._entered)!r}, 'w').close()\nopen({str(self._leave)!r}).read()"

    async def reached(self) -> None:
        """Wait until the worker stands at the gate."""
        await asyncio.to_thread(self.reached_sync)

    def reached_sync(self) -> None:
        """Wait until the worker stands at the gate, blocking."""
        self._entered.read_text(encoding="utf-8")

    def open(self) -> None:
        """Let the worker go on; it stands at the gate."""
        self._leave.write_text("passed", encoding="utf-8")


@pytest.fixture
def make_gate(tmp_path: Path) -> Callable[[str], Gate]:
    """Return what makes gates by name."""
    return lambda name: Gate(tmp_path, name)


@pytest.fixture
def gate(make_gate: Callable[[str], Gate]) -> Gate:
    """Return one gate."""
    return make_gate("gate")


@pytest.fixture
def connected(no_leaks: None) -> Callable[[], Bridge]:
    """Return what makes bridges to new workers without Keras; nothing may be left of them."""
    return lambda: connect(backend=None)


class Script:
    """A program in a process of its own, whose folders are watched."""

    def __init__(self, code: str, folder: Path) -> None:
        self.folder = folder
        path = folder / "script.py"
        path.write_text(code, encoding="utf-8")
        (folder / "run").mkdir(mode=0o700)
        env = {
            **os.environ,
            "PYTHONPATH": REPOSITORY,
            "TMPDIR": str(folder / "run"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "PYTHONUNBUFFERED": "1",
        }
        # What a shell starts in the background ignores SIGINT, and so would the script.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = subprocess.Popen(
                [sys.executable, str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=env,
            )
        finally:
            signal.signal(signal.SIGINT, before)

    def line(self) -> str:
        """Return the next line of its output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def finish(self, timeout: float = 20) -> tuple[str, str]:
        """Wait for its end; return the rest of what it wrote."""
        return self.process.communicate(timeout=timeout)

    @property
    def folders_left(self) -> list[str]:
        """Return what it left in its runtime folder."""
        return [path.name for path in (self.folder / "run").iterdir()]

    def close(self) -> None:
        """Make sure that nothing of it stays."""
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self.process.wait()


@pytest.fixture
def run_script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Script]]:
    """Return what runs a program in a process of its own."""
    scripts: list[Script] = []

    def run(code: str) -> Script:
        folder = tmp_path_factory.mktemp("s")
        scripts.append(Script(code, folder))
        return scripts[-1]

    yield run
    for script in scripts:
        script.close()
