"""``asyncbridge halts`` and ``asyncbridge decide``: the real tool, at a real worker."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from asyncbridge import cli
from asyncbridge.client import Bridge, Halt, connect
from asyncbridge.errors import CommandDropped, RemoteError
from tests.integration.test_decisions import halt, started
from tests.integration.test_reconnecting import REPOSITORY
from tests.limits import HANG_S

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

__all__ = ["started"]

Done = subprocess.CompletedProcess[str]


async def tool(*arguments: str, typed: str = "", **variables: str) -> Done:
    """Run the tool as a person does."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "asyncbridge", *arguments],
        input=typed, capture_output=True, text=True, timeout=HANG_S, check=False,
        env={**os.environ, "PYTHONPATH": REPOSITORY, **variables},
    )  # fmt: skip


async def called(*arguments: str, **variables: str) -> Result:
    """Do what the tool does, in this process: that takes a fraction of the time."""
    return await asyncio.to_thread(
        CliRunner().invoke, cli.app, list(arguments), env={**variables, "COLUMNS": "200"}
    )


async def halted(bridge: Bridge) -> Halt:
    """Return what is halted, once it is."""
    await halt(bridge)
    return bridge.halted[0]


async def test_a_person_finds_an_error_and_decides(started: Path) -> None:
    """Through two halts, by other bindings and then by other code; a session of that name goes on."""
    url = f"unix://{started}/worker.sock"
    async with connect(url, halt_on_error=True, session="nightly") as bridge:
        promise = bridge.send("6 / n", {"n": 0}, name="six")
        error_id = (await halted(bridge)).error_id
        # The variable is the app's: the tool must not take its session over.
        shown = await tool("halts", url, ASYNCBRIDGE_SESSION="nightly")
        assert (shown.returncode, shown.stderr) == (0, "")
        assert shown.stdout.startswith(f"{error_id}  epoch 1: six\n    ZeroDivisionError: ")
        done = await tool("decide", url, error_id, "retry", "--bind", 'n="a"', "--epoch", "1")
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{error_id}: retry\n", "")
        while bridge.halted[0].epoch == 1:
            await bridge.info()
        (told,) = json.loads((await tool("halts", url, "--json")).stdout)
        assert (told["epoch"], told["error"]["type"], told["id"]) == (2, "TypeError", 1)
        done = await tool("decide", url, error_id, "retry", "--code", "-", typed="len(n) + 1\n")
        assert (done.returncode, await promise) == (0, 2)
        assert (await tool("halts", url)).stdout == "nothing is halted\n"


async def test_the_other_decisions(started: Path) -> None:
    """A value in its place, other code in its place, the error, and that with all behind it."""
    url = f"unix://{started}/worker.sock"
    async with connect(url, halt_on_error=True) as bridge:
        for words, value in (
            (["ignore", "--value", '{"so": [1]}'], {"so": [1]}),
            (["replace", "--code", "2 * n", "--bind", "n=3"], 6),
        ):
            promise = bridge.send("1 / 0")
            done = await called("decide", url, (await halted(bridge)).error_id, *words, "--json")
            assert json.loads(done.stdout)["decision"] == words[0]
            assert await promise == value
        for word, behind in (("raise", "done"), ("drop-queue", "dropped")):
            promise, after = bridge.send("1 / 0"), bridge.send("'done'")
            await called("decide", url, (await halted(bridge)).error_id, word)
            with pytest.raises(RemoteError):
                await promise
            try:
                outcome = await after
            except CommandDropped:
                outcome = "dropped"
            assert outcome == behind


async def test_exit_statuses(started: Path, tmp_path: Path) -> None:
    """One line on standard error, and a number for a script, for each way to fail."""
    url = f"unix://{started}/worker.sock"
    token = tmp_path / "token"
    token.write_text("another")
    token.chmod(0o600)
    async with connect(url, halt_on_error=True) as bridge:
        promise = bridge.send("1 / 0")
        error_id = (await halted(bridge)).error_id
        await called("decide", url, error_id, "ignore")
        await promise
    cases: list[tuple[list[str], int, str]] = [
        (["decide", url, error_id, "ignore"], 0, ""),
        (["decide", url, error_id, "raise"], 1, "was decided already: by Ignore()"),
        (["decide", url, error_id, "raise", "--code", "1"], 2, "no use for the field 'code'"),
        (["decide", url, error_id, "replace", "--code", "6 //"], 2, "the code is no Python"),
        (["decide", url, error_id, "retry", "--bind", "n"], 2, "a binding is name=JSON"),
        (["decide", url, error_id, "undo"], 2, "'undo'"),
        (["halts", f"unix://{started}/w/x.sock"], 3, "no worker listens at"),
        (["halts", "ws://localhost:1"], 3, "is no worker's address"),
        (["decide", url, "0-1", "raise"], 5, "nothing is halted by an error '0-1'"),
    ]
    for words, status, told in cases:
        done = await called(*words)
        assert (done.exit_code, told in done.stderr) == (status, True), (words, done.output)
        assert "Traceback" not in done.output
    refused = await tool("halts", url, ASYNCBRIDGE_TOKEN_FILE=str(token))
    assert (refused.returncode, "wrong token" in refused.stderr) == (4, True)
    assert len(refused.stderr.splitlines()) == 1
    missing = await called("halts", url, ASYNCBRIDGE_TOKEN_FILE=str(tmp_path / "none"))
    assert (missing.exit_code, "cannot read the token file" in missing.stderr) == (4, True)
