"""Real workers in the foreground, attached to as apps do it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import asyncbridge
from asyncbridge.client.bridge import Bridge
from asyncbridge.errors import AuthenticationError, ConnectError
from asyncbridge.worker.process import SOCKET_FILE, listen, remove_stale
from tests.limits import HANG_S

EXIT_CONFIG = 78
slow = pytest.mark.slow

Start = Callable[..., "Worker"]


class Worker:
    """``python -m asyncbridge.worker`` in a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "asyncbridge.worker", "--folder", str(folder)]
        self.popen = subprocess.Popen(
            [*command, "--backend", "none", *arguments],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def path(self) -> Path:
        return self.folder / SOCKET_FILE

    def await_listening(self, family: int = socket.AF_UNIX, address: Any = None) -> None:
        """Wait until something can be connected to."""
        deadline = time.monotonic() + HANG_S
        while self.popen.poll() is None and time.monotonic() < deadline:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                if probe.connect_ex(address or str(self.path)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError(f"the worker does not listen: {self.end()}")

    def bridge(self) -> Bridge:
        return asyncbridge.connect(f"unix://{self.path}")

    def ended(self) -> str:
        """Wait for the end; return what it said on standard error."""
        _, said = self.popen.communicate(timeout=HANG_S)
        return said

    def end(self, number: int = signal.SIGTERM) -> str:
        """Ask the worker to end, and wait for it."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.ended()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start workers, in folders below ``tmp_path``; none outlives the test."""
    workers: list[Worker] = []

    def start(name: str, *arguments: str) -> Worker:
        folder = tmp_path / name
        folder.mkdir(mode=0o700, exist_ok=True)
        workers.append(Worker(folder, *arguments))
        return workers[-1]

    yield start
    for worker in workers:
        if worker.popen.poll() is None:
            worker.popen.terminate()
        worker.popen.communicate(timeout=HANG_S)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nothing listens on just now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def token_of(worker: Worker) -> str:
    """Return a worker's token."""
    return (worker.folder / "token").read_text().strip()


def command_line(worker: Worker) -> str:
    """Return the supervisor's command line, as every user of the machine sees it."""
    return Path(f"/proc/{worker.popen.pid}/cmdline").read_text()


async def answer(bridge: Bridge, code: str, bindings: dict[str, Any] | None = None) -> Any:
    """Run one command over a bridge of its own."""
    async with bridge:
        return await bridge.send(code, bindings)


async def pid_of(bridge: Bridge) -> int:
    """Return the worker's process id."""
    async with bridge:
        return (await bridge.info()).pid


# --- the socket --------------------------------------------------------------------------


def test_listen(tmp_path: Path) -> None:
    """A worker's socket can be connected to as soon as it is bound."""
    with listen({"folder": str(tmp_path)}), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(tmp_path / SOCKET_FILE))


def test_listen_where_another_listens(tmp_path: Path) -> None:
    """A socket that is in use is named, and is left to whom it belongs."""
    with listen({"folder": str(tmp_path)}):
        with pytest.raises(
            OSError, match=f"cannot listen on {tmp_path}/{SOCKET_FILE}: .* listens there already"
        ):
            listen({"folder": str(tmp_path)})
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(tmp_path / SOCKET_FILE))


def test_listen_on_a_port_in_use() -> None:
    """A port that is in use is named."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            OSError, match=rf"cannot listen on .*127.0.0.1.*{port}.* listens there already"
        ):
            listen({"host": "127.0.0.1", "port": port})


def test_listen_on_tcp() -> None:
    """Over TCP the address that was asked for is bound, of either family."""
    with listen({"host": "127.0.0.1", "port": 0}) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_a_stale_socket_is_removed(tmp_path: Path) -> None:
    """A socket that nobody listens on any more makes room."""
    path = tmp_path / SOCKET_FILE
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listen({"folder": str(tmp_path)}), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))


def test_no_socket_is_removed(tmp_path: Path) -> None:
    """Where there is nothing, nothing is done."""
    remove_stale(str(tmp_path / SOCKET_FILE))


def test_a_file_is_not_removed(tmp_path: Path) -> None:
    """Only sockets are taken for stale: a file of that name stays."""
    path = tmp_path / SOCKET_FILE
    path.write_text("mine")
    remove_stale(str(path))
    assert path.read_text() == "mine"


# --- a worker in the foreground ----------------------------------------------------------


@slow
@pytest.mark.asyncio
async def test_the_address_is_told_once_it_can_be_used(start: Start) -> None:
    """Who reads the line may connect at once; the token is in a file and not in the line."""
    worker = start("w")
    assert worker.popen.stderr is not None
    line = await asyncio.to_thread(worker.popen.stderr.readline)
    assert f"unix://{worker.path}, token in {worker.folder}/token" in line
    async with worker.bridge() as bridge:
        assert await bridge.send("1 + 1") == 2
    assert token_of(worker) not in line


@slow
@pytest.mark.asyncio
async def test_attached_to(start: Start) -> None:
    """Apps attach one after another; the worker and its namespace outlive each of them."""
    worker = start("w")
    worker.await_listening()
    assert await answer(worker.bridge(), "kept = a + 1; kept", {"a": 41}) == 42
    assert await answer(worker.bridge(), "kept") == 42
    assert worker.popen.poll() is None
    said = worker.end()
    assert worker.popen.returncode == 0
    assert f"unix://{worker.path}" in said
    assert "Traceback" not in said


@slow
@pytest.mark.asyncio
async def test_large_values(start: Start) -> None:
    """Large buffers go both ways over the real bulk lane."""
    worker = start("w")
    worker.await_listening()
    data = os.urandom(3_000_000)
    assert await answer(worker.bridge(), "x[::-1]", {"x": data}) == data[::-1]


@slow
@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_ends_cleanly(start: Start, number: signal.Signals) -> None:
    """A signal ends the worker with status 0; its socket goes, its token stays."""
    worker = start("w")
    worker.await_listening()
    await answer(worker.bridge(), "1")  # it serves
    assert stat.S_IMODE((worker.folder / "token").stat().st_mode) == 0o600
    worker.end(number)
    assert worker.popen.returncode == 0
    assert not worker.path.exists()
    assert (worker.folder / "token").exists()


@slow
def test_ended_while_it_starts(start: Start) -> None:
    """A worker that is told to end before it serves does so too, and leaves no socket."""
    worker = start("w")
    worker.await_listening()
    said = worker.end()
    assert "Traceback" not in said
    assert worker.popen.returncode == 0
    assert not worker.path.exists()


@slow
@pytest.mark.asyncio
async def test_the_token_stays_hidden(start: Start) -> None:
    """The token stands in no command line and no environment, and commands do not see it."""
    worker = start("w")
    worker.await_listening()
    token = token_of(worker)
    seen = await answer(
        worker.bridge(),
        "import os, sys; repr((sys.argv, dict(os.environ), "
        "open('/proc/self/cmdline').read(), open('/proc/self/environ').read()))",
    )
    assert token not in seen
    assert token not in command_line(worker)
    assert token not in worker.end()


@slow
@pytest.mark.asyncio
async def test_a_wrong_token(start: Start) -> None:
    """A client with another token is told so, and the worker goes on."""
    worker = start("w")
    worker.await_listening()
    with pytest.raises(AuthenticationError, match="wrong token"):
        async with asyncbridge.connect(f"unix://{worker.path}", token="guess"):
            pass
    assert await answer(worker.bridge(), "1") == 1


@slow
@pytest.mark.asyncio
async def test_a_stale_socket_is_taken_over(start: Start) -> None:
    """After a worker that was killed, the next one on its folder takes the socket over."""
    first = start("w")
    first.await_listening()
    os.kill(await pid_of(first.bridge()), signal.SIGKILL)
    first.ended()
    assert first.popen.returncode == 128 + signal.SIGKILL
    assert first.path.exists()
    second = start("w")
    second.await_listening()
    assert await answer(second.bridge(), "2") == 2


@slow
@pytest.mark.asyncio
async def test_a_second_worker(start: Start) -> None:
    """A second worker on a folder is refused in words, and leaves the first one's socket alone."""
    first = start("w")
    first.await_listening()
    second = start("w")
    said = second.ended()
    assert second.popen.returncode == EXIT_CONFIG
    assert (
        f"cannot listen on {first.path}: a worker, or another program, listens there already"
        in said
    )
    assert "Traceback" not in said
    assert await answer(first.bridge(), "1") == 1


@slow
def test_an_open_folder(start: Start, tmp_path: Path) -> None:
    """A folder that others can enter is refused, with what mends it."""
    (tmp_path / "w").mkdir()
    (tmp_path / "w").chmod(0o755)
    worker = start("w")
    said = worker.ended()
    assert worker.popen.returncode != 0
    assert "chmod 700" in said
    assert not worker.path.exists()


@slow
def test_a_backend_that_is_not_there(tmp_path: Path) -> None:
    """A backend that cannot be imported ends the start with status 78 and what mends it."""
    folder = tmp_path / "w"
    done = subprocess.run(
        [sys.executable, "-m", "asyncbridge.worker", "--folder", folder, "--backend", "mxnet"],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode == EXIT_CONFIG
    assert "no backend is called 'mxnet'" in done.stderr
    assert "Traceback" not in done.stderr


# --- TCP ---------------------------------------------------------------------------------


@slow
@pytest.mark.asyncio
async def test_on_loopback(start: Start) -> None:
    """On loopback a worker is reached by its URL and token, without TLS."""
    port = free_port()
    worker = start("w", "--host", "127.0.0.1", "--port", str(port))
    worker.await_listening(socket.AF_INET, ("127.0.0.1", port))
    bridge = asyncbridge.connect(f"http://127.0.0.1:{port}", token=token_of(worker))
    assert await answer(bridge, "1 + 1") == 2
    assert not worker.path.exists()


@slow
@pytest.mark.asyncio
@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
async def test_on_loopback_of_ipv6(start: Start) -> None:
    """So is one at an address of IPv6, which stands in brackets in a URL and in the Host."""
    port = free_port("::1")
    worker = start("w", "--host", "::1", "--port", str(port))
    worker.await_listening(socket.AF_INET6, ("::1", port))
    bridge = asyncbridge.connect(f"http://[::1]:{port}", token=token_of(worker))
    assert await answer(bridge, "1 + 1") == 2


@slow
def test_a_port_in_use(start: Start) -> None:
    """A port that is in use ends the start with status 78, and is named."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        worker = start("w", "--host", "127.0.0.1", "--port", str(port))
        said = worker.ended()
    assert worker.popen.returncode == EXIT_CONFIG
    assert str(port) in said
    assert "a worker, or another program, listens there already" in said
    assert "Traceback" not in said


@slow
def test_beyond_loopback_without_tls(start: Start) -> None:
    """A worker that others could reach without TLS does not start."""
    worker = start("w", "--host", "0.0.0.0", "--port", str(free_port()))
    said = worker.ended()
    assert worker.popen.returncode == 2
    assert "refusing to listen on 0.0.0.0 without TLS" in said
    assert not (worker.folder / "token").exists()


@slow
@pytest.mark.asyncio
async def test_nobody_there(tmp_path: Path) -> None:
    """An address that nothing listens on is an error of the connection."""
    with pytest.raises(ConnectError, match="no worker can be reached"):
        async with asyncbridge.connect(f"http://127.0.0.1:{free_port()}", token="t"):
            pass


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command += ["-addext", "keyUsage=digitalSignature,keyCertSign"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl")
    return cert, key


async def status(url: str, certificate: Path, token: str | None) -> tuple[int, str]:
    """Ask a worker for a session that is no WebSocket; return the answer."""
    context = await asyncio.to_thread(ssl.create_default_context, cafile=str(certificate))
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{url}/v1/session", ssl=context, headers=headers) as response,
    ):
        return response.status, await response.text()


@slow
@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_with_tls(start: Start, certificate: tuple[Path, Path], host: str) -> None:
    """With TLS a worker speaks nothing else, and is reached with its token alone."""
    cert, key = certificate
    port = free_port()
    arguments = ["--tls-cert", str(cert), "--tls-key", str(key), "--port", str(port)]
    worker = start("w", "--host", host, *arguments)
    worker.await_listening(socket.AF_INET, ("127.0.0.1", port))
    url = f"https://127.0.0.1:{port}"
    assert await status(url, cert, "guess") == (403, "wrong token")
    code, _ = await status(url, cert, token_of(worker))
    assert code == 400  # let through, and no WebSocket
    with pytest.raises(aiohttp.ClientError):
        await status(f"http://127.0.0.1:{port}", cert, token_of(worker))
