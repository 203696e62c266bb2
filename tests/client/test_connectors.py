from __future__ import annotations

import asyncio
import ssl
import subprocess
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from asyncbridge.client import connect, connectors
from asyncbridge.client.connectors import (
    AttachedWorker,
    LocalWorker,
    http_session,
    open_link,
    untrusted,
)
from asyncbridge.client.launcher import Ending
from asyncbridge.client.pair import HttpPair
from asyncbridge.errors import (
    AuthenticationError,
    ConnectError,
    RemoteProtocolError,
    SocketPermissionError,
)
from tests.client.impostors import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]


async def link_to(path: Path) -> None:
    """Open a link, as a worker's client does."""
    async with http_session(path) as http:
        await open_link(http, "http://asyncbridge", "secret", "s1", "the one of the test")


async def test_a_refusal_is_an_authentication_error_with_the_reason() -> None:
    """The worker's own; the token is in no text."""

    async def refuse(_: web.BaseRequest) -> web.Response:
        return web.Response(status=403, headers={"Asyncbridge-Refused": "wrong token"})

    async with serving(refuse) as path:
        with pytest.raises(AuthenticationError, match="the one of the test.*wrong token") as caught:
            await link_to(path)
    assert "secret" not in str(caught.value)


async def test_what_is_no_worker_is_a_connect_error() -> None:
    """Whatever else answers there."""

    async def other(_: web.BaseRequest) -> web.Response:
        return web.Response(status=404)

    async with serving(other) as path:
        with pytest.raises(ConnectError, match="no asyncbridge worker answers"):
            await link_to(path)


@pytest.mark.parametrize("where", ["/v1/session", "ftp://elsewhere/", "http://"])
async def test_what_redirects_is_no_worker(where: str) -> None:
    """Round in a circle, or to what is no place at all."""

    async def redirect(_: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": where})

    async with serving(redirect) as path:
        with pytest.raises(ConnectError, match="no asyncbridge worker answers.*it redirects"):
            await link_to(path)


async def test_a_server_that_sends_text_breaks_the_protocol() -> None:
    """Its connection is closed, though it does not take part in that."""

    async def text(request: web.BaseRequest) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("hello")
        await socket.receive()
        return socket

    async with serving(text) as path:
        path.parent.chmod(0o700)
        bridge = connect(f"unix://{path}", token="secret")
        with pytest.raises(RemoteProtocolError, match="broke the protocol: the peer sent text"):
            async with bridge:
                pass


async def test_a_refusal_is_told_in_short() -> None:
    """Whoever answers there may say as much as it likes."""

    async def refuse(_: web.BaseRequest) -> web.Response:
        return web.Response(status=403, headers={"Asyncbridge-Refused": "z" * 7000})

    async with serving(refuse) as path:
        with pytest.raises(AuthenticationError) as caught:
            await link_to(path)
    assert len(str(caught.value)) < 400


async def test_the_token_travels_in_a_header_and_not_in_the_url() -> None:
    """And the route is versioned."""
    seen: list[web.BaseRequest] = []

    async def note(request: web.BaseRequest) -> web.Response:
        seen.append(request)
        return web.Response(status=403)

    async with serving(note) as path:
        with pytest.raises(AuthenticationError, match="no reason given"):
            await link_to(path)
    (request,) = seen
    assert request.path_qs == "/v1/session"
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["Host"] == "asyncbridge"
    assert "Origin" not in request.headers


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's traffic goes to the worker."""
    monkeypatch.setenv("http_proxy", "http://localhost:1")
    async with http_session(None) as http:
        assert not http.trust_env


@pytest.mark.parametrize(
    "url",
    ["", "worker.sock", "/run/worker.sock", "unix://", "unix:", "ftp://h/", "ws://h:1", "http://"],
)
async def test_an_address_of_no_known_kind_is_refused(url: str) -> None:
    """The text shows what it could be."""
    with pytest.raises(ConnectError, match="https://host:port, or on this machine http://127.0"):
        AttachedWorker(url, "t")


async def test_the_token_of_a_unix_socket_stands_beside_it(tmp_path: Path) -> None:
    """Unless one is given."""
    tmp_path.chmod(0o700)
    with pytest.raises(ConnectError, match="no worker listens at.*`asyncbridge worker --folder"):
        AttachedWorker(f"unix://{tmp_path}/worker.sock", None)
    (tmp_path / "worker.sock").touch()
    with pytest.raises(AuthenticationError, match="cannot read the token file"):
        AttachedWorker(f"unix://{tmp_path}/worker.sock", None)
    token = tmp_path / "token"
    token.write_text("beside\n", encoding="utf-8")
    token.chmod(0o600)
    assert AttachedWorker(f"unix://{tmp_path}/worker.sock", None)._address.token == "beside"
    assert AttachedWorker(f"unix://{tmp_path}/worker.sock", "given")._address.token == "given"


async def test_a_unix_sockets_folder_is_checked_first(tmp_path: Path) -> None:
    """Before any token is sent there."""
    tmp_path.chmod(0o755)
    with pytest.raises(SocketPermissionError):
        AttachedWorker(f"unix://{tmp_path}/worker.sock", "t")


async def test_a_socket_that_nobody_listens_on_is_named(tmp_path: Path) -> None:
    """It reads as one that is not there."""
    tmp_path.chmod(0o700)
    worker = AttachedWorker(f"unix://{tmp_path}/worker.sock", "t")
    with pytest.raises(ConnectError, match=f"no worker listens at unix://{tmp_path}/worker.sock"):
        await worker.dial("s")
    await worker.close()


async def test_a_network_address_needs_a_token() -> None:
    """An empty one is none."""
    for token in (None, ""):
        with pytest.raises(AuthenticationError, match="token="):
            AttachedWorker("https://localhost:1", token)


async def test_the_http_pair_is_for_this_machine() -> None:
    """Elsewhere the worker's own posts would be there for all to read."""
    for url in ("https://10.0.0.7:1", "https://example.org"):
        with pytest.raises(ConnectError, match="in clear text"):
            AttachedWorker(url, "t", HttpPair())
    for url in ("http://127.0.0.1:1", "https://localhost:1", "http://[::1]:1"):
        AttachedWorker(url, "t", HttpPair())


async def test_an_address_where_nobody_listens_is_named() -> None:
    """As the user gave it."""
    worker = AttachedWorker("http://127.0.0.1:1", "t")
    try:
        with pytest.raises(
            ConnectError, match=r"no worker can be reached at http://127\.0\.0\.1:1"
        ):
            await worker.dial("s")
    finally:
        await worker.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1 that nobody has signed, and its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-addext", "keyUsage=digitalSignature,keyCertSign"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl")
    return cert, key


@asynccontextmanager
async def listening(certificate: tuple[Path, Path]) -> AsyncGenerator[int]:
    """Listen with a certificate; give the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = await asyncio.start_server(lambda _, out: out.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_certificate_that_nobody_has_signed(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the variable that makes it trusted, and what that says now."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    async with listening(certificate) as port:
        url = f"https://127.0.0.1:{port}"
        for now in ("", ", which is 'other.pem' now"):
            worker = AttachedWorker(url, "secret")
            text = f"{url} is not trusted: self.signed certificate.*SSL_CERT_FILE.* name it{now}:"
            with pytest.raises(ConnectError, match=text) as caught:
                await worker.dial("s")
            await worker.close()
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
            monkeypatch.setenv("SSL_CERT_FILE", "other.pem")


async def test_a_certificate_for_another_host(certificate: tuple[Path, Path]) -> None:
    """To trust it would not help: the variable is not named."""
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    async with listening(certificate) as port:
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            await asyncio.open_connection(
                "127.0.0.1", port, ssl=trusting, server_hostname="gpu.example"
            )
    text = untrusted("https://gpu.example:1", caught.value)
    assert text.startswith("the certificate of the worker at https://gpu.example:1 is not trusted")
    assert "gpu.example" in text.partition("trusted: ")[2]
    assert "SSL_CERT_FILE" not in text


async def test_a_password_in_the_address_is_in_no_error() -> None:
    """People paste such things."""
    with pytest.raises(ConnectError, match="token=") as caught:
        AttachedWorker("http://user:hunter2@127.0.0.1:1", "t")
    assert "hunter2" not in str(caught.value)


async def test_of_an_attached_workers_end_only_the_connections_is_known() -> None:
    """``ended`` waits for ever, ``kill`` harms nobody."""
    worker = AttachedWorker("http://127.0.0.1:1", "t")
    loss = await worker.verdict("code 1006")
    assert "http://127.0.0.1:1 ended: code 1006" in str(loss)
    assert loss.phase == "unknown"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await worker.ended()
    worker.kill()
    await worker.close()


class FakeProcess:
    """A process as the launcher shows it."""

    pid = 7
    token = "t"
    socket_path = Path()

    def __init__(self) -> None:
        self.ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.calls: list[str] = []

    async def stop(self, grace: float) -> None:
        self.calls.append(f"stop {grace}")

    async def close(self) -> None:
        self.calls.append("close")

    def kill(self) -> None:
        self.calls.append("kill")


async def test_a_local_workers_end_is_what_its_supervisor_saw() -> None:
    """All of it."""
    process = FakeProcess()
    worker = LocalWorker(process)  # type: ignore[arg-type]
    process.ended.set_result(Ending(signal="SIGKILL", stderr_tail="words", journal=b"j"))
    for loss in (await worker.ended(), await worker.verdict("reset")):
        assert loss.reason == "the worker (pid 7) ended: killed by SIGKILL"
        assert (loss.exit_code, loss.signal) == (None, "SIGKILL")
        assert (loss.stderr_tail, loss.journal) == ("words", b"j")


async def test_a_connection_that_ends_while_the_process_lives_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After the time that the supervisor had."""
    monkeypatch.setattr(connectors, "VERDICT_SECONDS", 0.0)
    worker = LocalWorker(FakeProcess())  # type: ignore[arg-type]
    loss = await worker.verdict("reset")
    assert "while its process lives: reset" in str(loss)


async def test_closing_a_local_worker_stops_its_process_first() -> None:
    """Then lets go of it; ``kill`` is at once."""
    process = FakeProcess()
    worker = LocalWorker(process)  # type: ignore[arg-type]
    await worker.close()
    worker.kill()
    assert process.calls == [f"stop {connectors.STOP_SECONDS}", "close", "kill"]


async def test_a_local_worker_that_hangs_up_is_told_so() -> None:
    """It listens already, and ends before it answers: its supervisor will say why."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    with tempfile.TemporaryDirectory(prefix="ab-") as folder:
        process = FakeProcess()
        process.socket_path = Path(folder, "worker.sock")
        server = await asyncio.start_unix_server(hang_up, process.socket_path)
        worker = LocalWorker(process)  # type: ignore[arg-type]
        with pytest.raises(ConnectError, match=r"pid 7\) hung up"):
            await worker.dial("s")
        await worker.close()
        server.close()
        await server.wait_closed()
