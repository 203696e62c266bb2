"""Sessions by name in a real worker: client processes are killed, and others go on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge import EpochEnd
from asyncbridge import models as keras
from asyncbridge.client import connect
from asyncbridge.decisions import DropQueue, Ignore, Retry
from asyncbridge.errors import (
    BridgeClosed,
    CommandDropped,
    Detached,
    RemoteError,
    ResultExpired,
    SentCommand,
    SessionTaken,
    UnknownCommand,
)
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from asyncbridge.promise import Promise
    from tests.integration.conftest import Gate

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

REPOSITORY = str(Path(__file__).resolve().parents[2])
CLIENT = """
import asyncio, sys
import numpy as np
import asyncbridge

LEDGER = '''
import os
def ran(number):
    with open({path!r}, "a") as file:
        file.write(f"{{number}}\\\\n"); file.flush(); os.fsync(file.fileno())
    return number
'''

async def main(url, ledger):
    async with asyncbridge.connect(url, session="nightly") as bridge:
        {work}
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            print(bridge.state, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(params=["none"])
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Start a worker; return its folder."""
    with tempfile.TemporaryDirectory(prefix="ab-") as name:
        path = Path(name, "w")
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "asyncbridge.worker",
                "--backend",
                request.param,
                "--folder",
                path,
            ],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        while not (path / "worker.sock").exists():
            os.sched_yield()
        yield path
        process.terminate()
        process.wait(timeout=HANG_S)


def environment() -> dict[str, str]:
    """Return a child's environment."""
    return {**os.environ, "PYTHONPATH": REPOSITORY}


def url_of(folder: Path) -> str:
    """Return the worker's address."""
    return f"unix://{folder}/worker.sock"


@contextlib.contextmanager
def client(folder: Path, work: str) -> Generator[subprocess.Popen[str], None, None]:
    """Run a client's process, which does some work and then waits; it is killed at the end."""
    code = CLIENT.replace("{work}", work.replace("\n", "\n        "))
    with subprocess.Popen(
        [sys.executable, "-c", code, url_of(folder), str(folder.parent / "ledger")],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def said(process: subprocess.Popen[str]) -> str:
    """Return the next line that a client prints."""
    assert process.stdout is not None
    async with asyncio.timeout(HANG_S):
        return (await asyncio.to_thread(process.stdout.readline)).strip()


def ledger_of(folder: Path) -> list[str]:
    """Return what ran."""
    path = folder.parent / "ledger"
    return path.read_text().split() if path.exists() else []


async def outcomes(bridge: Any, ids: list[int]) -> list[object]:
    """Claim commands, and return their values."""
    async with asyncio.timeout(HANG_S):
        return list(await asyncio.gather(*[bridge.promise(number) for number in ids]))


SEND = """
bridge.send(LEDGER.format(path=ledger))
gate = ledger + ".gate"
running = bridge.send("import os, time\\nwhile not os.path.exists(gate): time.sleep(0.01)\\nran(2)", {"gate": gate})
last = [bridge.send(f"ran({number})") for number in range(3, 53)][-1]
"""
POINTS = {
    "queued": SEND + "await bridge.drain(); await bridge.info(); print('there', flush=True)",
    "running": SEND
    + """
while running.state != "running": await asyncio.sleep(0.01)
print("there", flush=True)""",
    "finished": SEND
    + """
await bridge.drain()
await bridge.info()
print("there", flush=True)
open(gate, "w").close()
import time; time.sleep(60)""",
    "acknowledged": SEND
    + """
open(gate, "w").close()
await last
await bridge.info()
print("there", flush=True)""",
}


@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_client(folder: Path, point: str) -> None:
    """Wherever its commands were: each has run once, and each outcome is had once."""
    with client(folder, POINTS[point]) as first:
        assert await said(first) == "there"
        while point == "finished" and len(ledger_of(folder)) < 51:
            await asyncio.sleep(0.01)
        first.kill()
        first.wait()
    (folder.parent / "ledger.gate").touch()
    async with connect(url_of(folder), session="nightly") as bridge:
        ids = [held.id for held in bridge.held() if 1 < held.id < 53]
        if point == "acknowledged":
            assert ids == []
            with pytest.raises(ResultExpired) as caught:
                await bridge.promise(52)
            assert (caught.value.command, caught.value.reason) == (52, "delivered")
        else:
            assert ids == list(range(2, 53))
            assert await outcomes(bridge, ids) == ids
            with pytest.raises(
                ResultExpired, match="this process has had the outcome of command 2"
            ):
                await bridge.promise(2)
        assert await bridge.send("ran(99)") == 99
    assert ledger_of(folder) == [*map(str, range(2, 53)), "99"]


@pytest.mark.parametrize("memory", [0, None])
async def test_a_large_result_after_a_kill(folder: Path, memory: int | None) -> None:
    """Ten megabytes that lay in memory which the dead client shared, or that it was fetching."""
    work = """
value = bridge.send("import numpy; numpy.arange(1_250_000.0)")
bridge.send("2")
await value
bridge.send("import numpy; numpy.arange(1_250_000.0) + 1")
await bridge.send("'done'")
print("there", flush=True)
import time; time.sleep(60)"""
    with client(folder, work) as first:
        assert await said(first) == "there"
        first.kill()
        first.wait()
    async with connect(url_of(folder), session="nightly", shared_memory=memory) as bridge:
        held = {command.id for command in bridge.held()}
        assert 3 in held or 1 not in held
        for number in sorted(held & {1, 3}):
            value = await bridge.promise(number)
            assert np.array_equal(value, np.arange(1_250_000.0) + (number == 3))


async def test_results_of_before_and_after_the_kill(folder: Path) -> None:
    """A large one that came about while nobody was there comes through shared memory's absence."""
    work = """
bridge.send("import time; time.sleep(0.5)")
bridge.send("import numpy; numpy.arange(1_250_000.0)", name="large")
await bridge.info()
print("there", flush=True)"""
    with client(folder, work) as first:
        assert await said(first) == "there"
        first.kill()
        first.wait()
    async with connect(url_of(folder), session="nightly") as bridge:
        (large,) = [held for held in bridge.held() if held.label == "large"]
        async with asyncio.timeout(HANG_S):
            value = await bridge.promise(large.id, transform=np.sum)
        assert value == np.arange(1_250_000.0).sum()


async def test_who_comes_last_has_the_session(folder: Path, gate: Gate) -> None:
    """The other's promises are rejected and it stays away; commands and ids go on."""
    url = url_of(folder)
    async with connect(url, session="n") as first:
        waiting = first.send(gate.code)
        await gate.reached()
        async with connect(url, session="n") as second:
            with pytest.raises(SessionTaken, match="taken over session 'n'"):
                await waiting
            assert first.state == "lost"
            with pytest.raises(SessionTaken):
                first.send("1")
            gate.open()
            assert await second.promise(1) == "passed"
            promise = second.send("2")
            assert (await promise, promise.command_id) == (2, 2)
            assert second.held() == ()


async def test_one_that_was_stopped_does_not_come_back(folder: Path) -> None:
    """A process that hangs while another takes over hears so when it goes on."""
    with client(folder, "await bridge.info(); print('there', flush=True)\n"
                        "while bridge.state == 'open': await asyncio.sleep(0.01)\n"
                        "print(bridge.state, flush=True)") as first:  # fmt: skip
        assert await said(first) == "there"
        first.send_signal(signal.SIGSTOP)
        async with connect(url_of(folder), session="nightly") as bridge:
            first.send_signal(signal.SIGCONT)
            assert await said(first) == "lost"
            assert await bridge.send("1") == 1
            assert bridge.state == "open"


async def test_detach(folder: Path, gate: Gate) -> None:
    """Promises say how to get the outcome, large arrays have come, and closing does no more."""
    url = url_of(folder)
    async with connect(url, session="n", shared_memory=0) as bridge:
        assert bridge.session == "n"
        bridge.send(gate.code)
        await gate.reached()
        promise = bridge.send("x.sum()", {"x": np.ones(3_000_000)}, name="the sum")
        await bridge.detach()
        with pytest.raises(
            Detached, match=r"the sum goes on in session 'n' as command 2"
        ) as caught:
            await promise
        assert caught.value.command == 2
        assert bridge.state == "closed"
        with pytest.raises(BridgeClosed):
            bridge.send("1")
    gate.open()
    async with connect(url, session="n") as bridge:
        assert [held.label for held in bridge.held()] == ["", "the sum"]
        assert await bridge.promise(2) == 3_000_000


async def test_closing_ends_what_is_ones_own(folder: Path) -> None:
    """And nothing that was only looked at."""
    url = url_of(folder)
    async with connect(url, session="n") as bridge:
        bridge.send("import time; time.sleep(0.5); 'old'")
        await bridge.detach()
    async with connect(url, session="n") as bridge:
        own = bridge.send("'own'")
        with pytest.warns(ResourceWarning, match="unfinished commands"):
            await bridge.close(timeout=0.05)
    with pytest.raises(BridgeClosed):
        await own
    async with connect(url, session="n") as bridge:
        assert [held.id for held in bridge.held()] == [1]
        assert await bridge.promise(1) == "old"
        with pytest.raises(ResultExpired):
            await bridge.promise(2)


@pytest.mark.parametrize("fails", [True, False])
async def test_the_end_of_the_block_leaves_what_goes_on(
    folder: Path, fails: bool, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """After an exception at once, else after the time limit; the log says how to go on."""
    url = url_of(folder)
    left: list[Promise[object]] = []
    with contextlib.suppress(ZeroDivisionError):
        async with connect(url, session="n", close_timeout=0.05) as bridge:
            left.append(bridge.send(gate.code))
            left.append(bridge.send("'waited'"))
            await gate.reached()
            if fails:
                raise ZeroDivisionError
    assert "session 'n' keeps them" in caplog.text
    for promise in left:
        with pytest.raises(Detached):
            await promise
    gate.open()
    async with connect(url, session="n") as bridge:
        assert await bridge.promise(1) == "passed"
        assert await bridge.promise(2) == "waited"


async def test_a_block_that_ends_with_nothing_unfinished_says_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its outcomes are here."""
    async with connect(url_of(folder), session="n") as bridge:
        promise = bridge.send("3")
    assert await promise == 3
    assert caplog.text == ""


@pytest.mark.parametrize("fails", [True, False])
async def test_without_a_name_what_runs_is_stopped(folder: Path, fails: bool) -> None:
    """Nobody could have its value, or stop it, once its bridge has gone."""
    with contextlib.suppress(ZeroDivisionError, ResourceWarning):
        async with connect(url_of(folder), close_timeout=0.05) as bridge:
            endless = bridge.send("n = 0\nwhile True: n += 1")
            while endless.state != "running":
                await bridge.info()
            if fails:
                raise ZeroDivisionError
    async with connect(url_of(folder)) as bridge:
        assert await bridge.send("n > 0") is True


async def leave_halted(folder: Path, *, then: str = "'behind'") -> None:
    """Leave a session whose command 1 is halted, and another one that stands behind it."""
    async with connect(url_of(folder), session="n", halt_on_error=True) as bridge:
        bridge.send("6 / n", {"n": 0}, name="six")
        bridge.send(then)
        while not bridge.halted:
            await asyncio.sleep(0)
        await bridge.detach()


async def test_a_halt_is_taken_over(folder: Path) -> None:
    """Who comes next sees it at once, and decides about it, in its epoch."""
    await leave_halted(folder)
    async with asyncio.timeout(HANG_S), connect(url_of(folder), session="n") as bridge:
        (halted,) = bridge.halted
        assert (halted.command_id, halted.command, halted.epoch) == (1, "six", 1)
        assert isinstance(halted.error, ZeroDivisionError)
        assert [held.state for held in bridge.held()] == ["halted", "queued"]
        six, behind = bridge.promise(1), bridge.promise(2)
        assert six.state == "halted"
        await bridge.decide(halted, Retry(bindings={"n": 2}))
        assert (await six, await behind, bridge.halted) == (3, "behind", ())


@pytest.mark.parametrize("fails", [True, False])
async def test_the_end_of_the_block_leaves_what_is_halted(folder: Path, fails: bool) -> None:
    """Somebody else may decide; what has not run by then halts, too, if it fails."""
    url = url_of(folder)
    left: list[Promise[Any]] = []
    with contextlib.suppress(KeyError):
        async with connect(url, session="n", halt_on_error=True, close_timeout=0.05) as bridge:
            left += [bridge.send("1 / 0"), bridge.send("1 / 0")]
            while not bridge.halted:
                await asyncio.sleep(0)
            if fails:
                raise KeyError
    for promise in left:
        with pytest.raises(Detached):
            await promise
    async with asyncio.timeout(HANG_S), connect(url, session="n", halt_on_error=True) as bridge:
        for number in (1, 2):
            while [halt.command_id for halt in bridge.halted] != [number]:
                await asyncio.sleep(0)
            await bridge.decide(bridge.halted[0], Ignore(number))
            assert await bridge.promise(number) == number


async def test_a_handler_is_asked_of_a_halt_that_is_taken_over(folder: Path) -> None:
    """Though nobody here has claimed the command: the rest stands behind it."""
    url = url_of(folder)
    async with (
        asyncio.timeout(HANG_S),
        connect(url, session="n", halt_on_error=True) as first,
    ):
        waiting = first.send("1 / 0", name="zero")
        while not first.halted:
            await asyncio.sleep(0)
        async with connect(url, session="n") as second:
            with pytest.raises(SessionTaken):
                await waiting
            assert first.halted == ()
            errors: list[RemoteError] = []

            @second.on_error
            async def ignore(error: RemoteError) -> Ignore:
                errors.append(error)
                return Ignore("instead")

            assert await second.send("2") == 2
            assert second.halted == ()
            assert [held.state for held in second.held()] == ["completed"]
            assert await second.promise(1) == "instead"
            assert [str(error.command) for error in errors] == [str(SentCommand(id=1, name="zero"))]


async def test_a_halt_that_nobody_decides_is_left_to_the_next(folder: Path) -> None:
    """A bridge that closes ends the halts of its own commands; each next one sees the others."""
    await leave_halted(folder, then="ran = True")
    url = url_of(folder)
    for _ in range(2):
        async with connect(url, session="n") as bridge:
            assert len(bridge.halted) == 1
    async with connect(url, session="n") as bridge, connect(url) as other:
        behind = bridge.send("1")
        await other.decide(bridge.halted[0].error_id, DropQueue())
        with pytest.raises(CommandDropped):
            await behind
        while bridge.halted:
            await asyncio.sleep(0)
        assert [held.state for held in bridge.held()] == ["failed", "failed"]
        assert await bridge.send("'ran' in globals()") is False


async def test_who_takes_over_says_whether_errors_halt(folder: Path) -> None:
    """What an earlier client has wanted is over then; what was halted meanwhile stays so."""
    url = url_of(folder)
    async with connect(url, session="n", halt_on_error=True) as bridge:
        bridge.send("1")
        await bridge.detach()
    async with connect(url, session="n") as bridge:
        await bridge.info()
        with pytest.raises(RemoteError):
            await bridge.send("1 / 0")


async def test_promises_of_a_session(folder: Path) -> None:
    """Also those of commands that this process has sent; errors come as errors."""
    async with connect(url_of(folder), session="n") as bridge:
        sent = bridge.send("import time; time.sleep(0.1); 20")
        again = bridge.promise(1, transform=lambda value: value + 1)
        assert (await sent, await again) == (20, 21)
        failing = bridge.send("1 / 0")
        second = bridge.promise(2)
        for promise in (failing, second):
            with pytest.raises(RemoteError, match="ZeroDivisionError"):
                await promise
        with pytest.raises(UnknownCommand, match="no command 3"):
            await bridge.promise(3)
        with pytest.raises(TypeError, match="a command's id is a number"):
            bridge.promise("1")  # type: ignore[call-overload]  # that is the test


WAIT = "import os, time\nwhile not os.path.exists(gate): time.sleep(0.01)\n'one'"


async def leave_three(folder: Path) -> None:
    """Leave a session in which one command runs, until a file is there, and two are queued."""
    async with connect(url_of(folder), session="n") as bridge:
        running = bridge.send(WAIT, {"gate": f"{folder.parent}/gate"}, name="one")
        bridge.send("'two'", name="two")
        bridge.send("'three'", name="three")
        while running.state != "running":
            await asyncio.sleep(0.01)
        await bridge.detach()


async def test_what_is_left_stands_in_the_queue(folder: Path) -> None:
    """It is told, moved and cancelled by its id, whether anybody has claimed it or not."""
    await leave_three(folder)
    async with connect(url_of(folder), session="n") as bridge:
        claimed = bridge.promise(3)
        own = bridge.send("'own'")
        infos = await bridge.queue()
        assert [(info.id, info.name, info.state, info.position) for info in infos] == [
            (1, "one", "running", None), (2, "two", "queued", 0), (3, "three", "queued", 1),
            (4, "", "queued", 2),
        ]  # fmt: skip
        assert infos[0].seconds > 0
        assert [info.size for info in infos[1:]] == [5, 7, 5]
        assert (claimed.state, claimed.position, own.position) == ("queued", 2, 3)
        assert [await bridge.prioritize(number, 9) for number in (1, 2, 3)] == [False, True, True]
        assert await bridge.prioritize(2, -1)
        assert [info.id for info in await bridge.queue()] == [1, 3, 4, 2]
        assert (await bridge.command(2)).priority == -1
        with pytest.raises(ValueError, match="started by somebody else"):
            await bridge.cancel(1, mode="kill")
        assert [await bridge.cancel(number) for number in (2, 1)] == [True, True]
        assert (await claimed, await own) == ("three", "own")
        for number, phase in ((1, "running"), (2, "queued")):
            info = await bridge.command(number)
            assert (info.state, info.outcome) == ("done", "cancelled")
            assert not await bridge.cancel(number)
            promise = bridge.promise(number)
            with pytest.raises(asyncio.CancelledError):
                await promise
            assert promise.cancelled_phase == phase
        assert bridge.held() == ()


async def test_a_running_command_that_is_claimed(folder: Path) -> None:
    """Its promise says for how long it has run; cancelled, that it has."""
    await leave_three(folder)
    async with connect(url_of(folder), session="n") as bridge:
        promise = bridge.promise(1)
        assert (promise.state, promise.position) == ("running", None)
        assert (promise.ran_for or 0.0) > 0
        assert promise.cancel()
        with pytest.raises(asyncio.CancelledError):
            await promise
        assert promise.cancelled_phase == "running"
        with pytest.raises(ResultExpired, match="command 1 was cancelled: it has no outcome"):
            await bridge.promise(1)
    async with connect(url_of(folder), session="n") as bridge:
        assert (await bridge.command(1)).outcome == ""
        with pytest.raises(ResultExpired, match="an earlier process has had it"):
            await bridge.promise(1)


async def test_a_script(folder: Path) -> None:
    """Without a loop it is the same."""

    def script() -> object:
        with connect(url_of(folder), session="n") as bridge:
            bridge.send("40 + 2")
            bridge.detach().wait_for_value(timeout=HANG_S)
        with connect(url_of(folder), session="n") as bridge:
            return bridge.promise(1).wait_for_value(timeout=HANG_S)

    assert await asyncio.to_thread(script) == 42


async def test_without_a_name(folder: Path) -> None:
    """There is nothing to detach from, and nothing is held."""
    async with connect(url_of(folder)) as bridge:
        assert (bridge.session, bridge.held()) == ("", ())
        with pytest.raises(ValueError, match="a session with a name"):
            bridge.detach()


@pytest.mark.tensorflow
@pytest.mark.parametrize("folder", ["tensorflow"], indirect=True)
async def test_a_fit_outlives_its_client(folder: Path) -> None:
    """The process is killed in the middle; the next one sees the rest, and gets the whole."""
    work = """
from asyncbridge import models as keras
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
model.compile(optimizer="adam", loss="mse")
await bridge.send(f"night = {model.binding}")
x, y = np.zeros((64, 4), "float32"), np.zeros((64, 3), "float32")
fit = model.fit(x, y, epochs=40, batch_size=1, verbose=0)
while fit.state != "running": await asyncio.sleep(0.01)
print(fit.command_id, flush=True)"""
    with client(folder, work) as first:
        number = int(await said(first))
        first.kill()
        first.wait()
    async with connect(url_of(folder), session="nightly") as bridge:
        (held,) = [command for command in bridge.held() if command.id == number]
        assert held.state == "running"
        training = bridge.promise(number, promise_factory=keras.Training)
        async with asyncio.timeout(HANG_S):
            ends = [e.epoch async for e in training.progress() if isinstance(e, EpochEnd)]
            history = await training
            model = keras.Model.from_binding(bridge.binding("night"))
            weights = await model.get_weights()
    assert len(history["loss"]) == 40
    assert ends == list(range(40))[-len(ends) :]
    assert len(ends) > 1
    assert [array.shape for array in weights] == [(4, 3), (3,)]
