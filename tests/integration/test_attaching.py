from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import asyncbridge
from asyncbridge.client import connect
from asyncbridge.errors import (
    AuthenticationError,
    ConnectError,
    SerializationError,
    SocketPermissionError,
    TooLarge,
    WorkerLost,
)
from tests.chaos.proxy import Proxy
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]

REPOSITORY = str(Path(__file__).resolve().parents[2])


class Standalone:
    """A worker that somebody started, with the URL that it told."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "asyncbridge.worker", "--backend", "none",
             "--folder", str(folder), *arguments],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={
                **os.environ,
                "PYTHONPATH": REPOSITORY,
                "ASYNCBRIDGE_SHARED_MEMORY_FOLDER": str(folder.parent),
            },
        )  # fmt: skip
        assert self.process.stderr is not None
        self.url = self.process.stderr.readline().split(": ", 1)[1].split(",")[0]

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """End it as a person does; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signum)
        self.process.communicate(timeout=HANG_S)
        return self.process.returncode


@pytest.fixture(scope="module")
def standalone() -> Iterator[Standalone]:
    """Start one worker for all of these tests: they come and go."""
    with tempfile.TemporaryDirectory(prefix="ab-") as folder:
        worker = Standalone(Path(folder, "w"))
        # Where it listens is told before it does: the first client waits for it.
        while not Path(folder, "w", "worker.sock").exists():
            os.sched_yield()
        yield worker
        worker.stop()


async def test_a_client_attaches_and_leaves_the_worker_running(standalone: Standalone) -> None:
    """The token is that of the file beside the socket."""
    async with connect(standalone.url) as bridge:
        pid = (await bridge.info()).pid
        await bridge.send("kept = 1")
    async with connect(standalone.url) as bridge:
        assert (await bridge.info()).pid == pid
        assert await bridge.send("kept") == 1
        assert repr(bridge) == "<Bridge attached [0 pending, 0 in the backlog] open>"


async def test_its_worker_is_not_replaced_from_here(standalone: Standalone) -> None:
    """Whoever has started it does that."""
    async with connect(standalone.url) as bridge:
        with pytest.raises(ValueError, match="for a worker that was started for this bridge"):
            bridge.recycle()


async def test_two_clients_share_the_namespace_and_have_ids_of_their_own(
    standalone: Standalone,
) -> None:
    """What one assigns, the other sees."""
    async with connect(standalone.url) as one, connect(standalone.url) as two:
        await one.send("shared = 'x'")
        assert await two.send("shared") == "x"
        assert (await two.info()).sessions == 2


async def test_output_of_a_command_is_told_to_its_own_client(standalone: Standalone) -> None:
    """The other one hears nothing of it."""
    async with connect(standalone.url) as one, connect(standalone.url) as two:
        mine, theirs = one.output(), two.output()
        await one.send("print('mine')")
        await two.send("print('theirs')")
    assert [line.text async for line in mine if line.command_id] == ["mine"]
    assert [line.text async for line in theirs if line.command_id] == ["theirs"]


@pytest.mark.parametrize("shared", [False, True])
async def test_files_are_for_a_worker_that_has_shown_that_it_is_here(
    standalone: Standalone, shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By sharing memory; to any other one no path is told."""
    if shared:
        monkeypatch.setenv("ASYNCBRIDGE_SHARED_MEMORY_FOLDER", str(standalone.folder.parent))
    np.save(tmp_path / "x.npy", np.arange(10))
    given = {"x": asyncbridge.by_path(np.load(tmp_path / "x.npy", mmap_mode="r"))}
    async with connect(standalone.url) as bridge:
        if shared:
            assert await bridge.send("int(x.sum())", given) == 45
            return
        with pytest.raises(SerializationError, match="on this machine alone.*numpy.asarray"):
            bridge.send("int(x.sum())", given)


async def test_a_limit_of_the_worker_holds_for_its_clients() -> None:
    """It is told in the welcome, and the client refuses before it sends anything."""
    with tempfile.TemporaryDirectory(prefix="ab-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASYNCBRIDGE_LARGEST_VALUE", "1000000")
        worker = Standalone(Path(folder, "w"))
        patch.undo()
        try:
            while not Path(folder, "w", "worker.sock").exists():
                os.sched_yield()
            async with connect(worker.url) as bridge:
                with pytest.raises(TooLarge, match="the limit is 1000000"):
                    bridge.send("x", {"x": bytes(1_000_001)})
                assert await bridge.send("len(x)", {"x": bytes(900_000)}) == 900_000
        finally:
            worker.stop()


async def test_a_wrong_token_is_refused(standalone: Standalone) -> None:
    """The worker's own reason reaches the user; the token is in no text."""
    with pytest.raises(AuthenticationError, match="wrong token") as caught:
        await connect(standalone.url, token="guessed-token").__aenter__()
    assert "guessed-token" not in str(caught.value)


async def test_the_token_may_come_from_a_file(
    standalone: Standalone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``ASYNCBRIDGE_TOKEN_FILE`` and ``ASYNCBRIDGE_URL`` are enough."""
    monkeypatch.setenv("ASYNCBRIDGE_URL", standalone.url)
    monkeypatch.setenv("ASYNCBRIDGE_TOKEN_FILE", str(standalone.folder / "token"))
    async with connect() as bridge:
        assert await bridge.send("1") == 1


async def test_a_token_file_that_cannot_be_read_is_named(
    standalone: Standalone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So is one that others can read, with the command that mends it."""
    monkeypatch.setenv("ASYNCBRIDGE_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(AuthenticationError, match="none: No such file"):
        connect(standalone.url)
    (tmp_path / "open").write_text("x", encoding="utf-8")
    (tmp_path / "open").chmod(0o644)
    monkeypatch.setenv("ASYNCBRIDGE_TOKEN_FILE", str(tmp_path / "open"))
    with pytest.raises(AuthenticationError, match="chmod 600"):
        connect(standalone.url)


async def test_a_socket_folder_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    """Whoever can put a socket there could stand in for the worker."""
    tmp_path.chmod(0o755)
    with pytest.raises(SocketPermissionError, match=r"mode 755.*folder of its own"):
        await connect(f"unix://{tmp_path}/worker.sock", token="t").__aenter__()


async def test_where_nobody_listens_the_address_is_named(tmp_path: Path) -> None:
    """At entering, as ConnectError."""
    tmp_path.chmod(0o700)
    with pytest.raises(ConnectError, match=r"no worker listens at unix://.*worker\.sock"):
        await connect(f"unix://{tmp_path}/worker.sock", token="t").__aenter__()


async def test_what_answers_and_is_no_worker_is_told(tmp_path: Path) -> None:
    """Some other HTTP server, or none at all."""
    tmp_path.chmod(0o700)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    with tempfile.TemporaryDirectory(prefix="ab-") as folder:
        path = Path(folder, "worker.sock")
        async with await asyncio.start_unix_server(answer, path):
            with pytest.raises(ConnectError, match="no asyncbridge worker answers"):
                await connect(f"unix://{path}", token="t").__aenter__()


async def test_a_server_that_never_answers_is_given_up_in_time(tmp_path: Path) -> None:
    """It is no local worker, so no process is blamed."""
    with tempfile.TemporaryDirectory(prefix="ab-") as folder:
        path = Path(folder, "worker.sock")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            with pytest.raises((ConnectError, TimeoutError), match=r"0\.2 s"):
                await connect(f"unix://{path}", token="t", connect_timeout=0.2).__aenter__()


@pytest.mark.parametrize("url", ["worker.sock", "unix://", "ftp://host/", "https://"])
async def test_an_address_of_no_known_kind_is_refused(url: str) -> None:
    """The text shows the forms."""
    with pytest.raises(ConnectError, match=r"unix:///absolute/path, https://host:port, or on"):
        await connect(url, token="t").__aenter__()


async def test_a_worker_on_the_network_needs_a_token() -> None:
    """The text names both ways to give it."""
    with pytest.raises(AuthenticationError, match=r"token=.*ASYNCBRIDGE_TOKEN_FILE"):
        await connect("https://localhost:1").__aenter__()


async def test_a_worker_on_loopback_is_reached_by_its_port() -> None:
    """With the token of its folder's file, and arrays by the bulk lane."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="ab-") as folder:
        worker = Standalone(Path(folder, "w"), "--host", "127.0.0.1", "--port", str(port))
        try:
            token = await asyncio.to_thread(Path(folder, "w", "token").read_text, "utf-8")
            while True:
                try:
                    bridge = await connect(worker.url, token=token.strip()).__aenter__()
                except ConnectError:  # not listening yet
                    continue
                break
            assert worker.url == f"http://127.0.0.1:{port}"
            assert await bridge.send("len(a)", {"a": bytes(5_000_000)}) == 5_000_000
            assert await bridge.send("bytes(300_000)") == bytes(300_000)
            await bridge.close()
        finally:
            await asyncio.to_thread(worker.stop)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("over", ["tcp", "unix"])
async def test_a_tunnel_on_a_port_of_its_own(over: str, tmp_path: Path) -> None:
    """The worker is reached through it by its own name, or by one that it was given."""
    port, front = free_port(), free_port()
    options = (
        ["--host", "127.0.0.1", "--port", str(port)] if over == "tcp" else ["--name", "localhost"]
    )
    with tempfile.TemporaryDirectory(prefix="ab-") as folder:
        worker = Standalone(Path(folder, "w"), *options)
        socket_path = Path(folder, "w", "worker.sock")
        proxy = Proxy(("127.0.0.1", front), ("127.0.0.1", port) if over == "tcp" else socket_path)
        await proxy.start()
        try:
            token = (socket_path.parent / "token").read_text().strip()
            for url in (f"http://localhost:{front}", f"http://127.0.0.1:{front}"):
                async with connect(url, token=token) as bridge:
                    assert await bridge.send("len(a)", {"a": bytes(300_000)}) == 300_000
        finally:
            await proxy.close()
            await asyncio.to_thread(worker.stop)


async def test_a_connection_that_ends_rejects_with_what_is_known() -> None:
    """Of an attached worker's process nothing is known: the phase is no guess."""
    with tempfile.TemporaryDirectory(prefix="ab-") as folder:
        worker = Standalone(Path(folder, "w"))
        while not Path(folder, "w", "worker.sock").exists():
            os.sched_yield()
        async with connect(worker.url) as bridge:
            promise = bridge.send("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
            with pytest.raises(WorkerLost, match=r"the connection.*ended") as caught:
                await promise
            assert caught.value.phase in {"started", "unknown"}
        await asyncio.to_thread(worker.stop)
