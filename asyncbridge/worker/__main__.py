"""``python -m asyncbridge.worker``: a worker that clients attach to, in the foreground."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import re
import secrets
import socket
import stat
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.worker.supervisor import run_foreground

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "run"]

TOKEN_FILE = "token"  # noqa: S105 - a file's name
DEFAULT_PORT = 8750
LONGEST_LEASE_S: Final = 86_400
POLL_SECONDS = 0.02
CALLBACK_HELP = (
    "a host that callbacks of the HTTP pair may lead to, beside the client's own; may be repeated"
)
NAME_HELP = "a host name that clients use for this worker, beside its address, without a port; may be repeated"
LEASE_HELP = "seconds for which a client that has gone is waited for; 30 by default"
RESULTS_HELP = "bytes of results that may wait in files for clients that are away; 4 GiB by default"
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m asyncbridge.worker", description="Run a worker that clients attach to."
    )
    parser.add_argument("--folder", type=Path, help="of the Unix socket and the token; mode 0700")
    parser.add_argument("--host", help="listen on TCP instead; TLS is needed beyond loopback")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--name", action="append", dest="names", default=[], help=NAME_HELP)
    parser.add_argument("--tls-cert", type=Path, help="certificate chain, PEM")
    parser.add_argument("--tls-key", type=Path, help="its private key, PEM")
    parser.add_argument("--token-file", type=Path, help="of mode 0600; made if it is not there")
    parser.add_argument("--backend", default="tensorflow", help="tensorflow, jax, torch or none")
    parser.add_argument("--results-limit", type=int, help=RESULTS_HELP)
    parser.add_argument("--lease", type=float, help=LEASE_HELP)
    parser.add_argument(
        "--callback-hosts", action="append", default=[], metavar="HOST", help=CALLBACK_HELP
    )
    given = parser.parse_args(arguments)
    try:
        return run(**vars(given))
    except (OSError, ValueError) as error:
        print(f"asyncbridge worker: {error}", file=sys.stderr)
        return 2


def run(
    *,
    folder: Path | None = None,
    host: str | None = None,
    port: int = DEFAULT_PORT,
    names: Sequence[str] = (),
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    token_file: Path | None = None,
    backend: str = "tensorflow",
    results_limit: int | None = None,
    lease: float | None = None,
    callback_hosts: Sequence[str] = (),
) -> int:
    """Run a worker until SIGINT or SIGTERM; return its exit status.

    Raises:
        OSError: The folder or the token file cannot be used.
        ValueError: An address beyond loopback without TLS, half of what TLS needs, a name that is
            none, or a limit that is none.
    """
    if results_limit is not None and results_limit < 1:
        raise ValueError(f"--results-limit is a number of bytes from 1 up, got {results_limit}")
    if lease is not None and not 0 < lease <= LONGEST_LEASE_S:
        raise ValueError(
            f"--lease is a number of seconds above 0, {LONGEST_LEASE_S} at most, got {lease:g}"
        )
    check_names(names)
    check_certificate(host, tls_cert, tls_key)
    if host is not None:
        check_address(host, tls=tls_cert is not None and tls_key is not None)
        if not 0 < port < 65536:
            raise ValueError(f"a port is a number from 1 to 65535, got {port}")
    folder = folder or default_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    token_path = token_file or folder / TOKEN_FILE
    token = token_of(token_path)
    worker: dict[str, Any] = {
        "token": token,
        "backend": None if backend == "none" else backend,
        "sys_path": sys.path,
        "host": host,
        "port": port,
        "names": list(names),
        "tls_cert": None if tls_cert is None else str(tls_cert),
        "tls_key": None if tls_key is None else str(tls_key),
        "results_limit": results_limit,
        "lease": lease,
        "callback_hosts": list(callback_hosts),
    }
    greeting = f"asyncbridge worker: {url(folder, host, port, tls_cert)}, token in {token_path}"
    where = (host, port) if host is not None else str(folder.resolve() / "worker.sock")
    ended = threading.Event()
    if is_up(where):  # the address is somebody else's, as the worker will say
        ended.set()
    greeter = threading.Thread(target=greet_when_up, args=(where, greeting, ended), daemon=True)
    greeter.start()
    try:
        return run_foreground({
            "argv": [sys.executable, "-P", "-m", "asyncbridge.worker.process"],
            "env": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            "folder": str(folder.resolve()),
            "worker_config": worker,
        })  # fmt: skip
    finally:
        ended.set()
        greeter.join()


def greet_when_up(where: tuple[str, int] | str, greeting: str, ended: threading.Event) -> None:
    """Tell the person at the terminal the address, once somebody listens there."""
    while not ended.wait(POLL_SECONDS):
        if is_up(where):
            print(f"{greeting}; Ctrl-C ends it", file=sys.stderr, flush=True)
            return


def is_up(where: tuple[str, int] | str) -> bool:
    """Tell whether something listens at an address."""
    try:
        if isinstance(where, str):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.connect(where)
        else:
            socket.create_connection(where, timeout=1).close()
    except OSError:
        return False
    return True


def url(folder: Path, host: str | None, port: int, tls_cert: Path | None) -> str:
    """Return what a client passes to ``connect``."""
    if host is None:
        return f"unix://{folder.resolve()}/worker.sock"
    name = f"[{host}]" if ":" in host else host
    return f"{'http' if tls_cert is None else 'https'}://{name}:{port}"


def check_names(names: Sequence[str]) -> None:
    """Refuse what no Host header could name.

    Raises:
        ValueError: One of them is no host name, and no address.
    """
    for name in names:
        if _NAME.fullmatch(name) is None and not is_ip6(name):
            raise ValueError(
                f"--name is a host name, such as gpu.example, or an address, got {name!r}: no "
                "scheme, port or path belongs to it, and clients may come by any port"
            )


def is_ip6(name: str) -> bool:
    """Tell whether it is an address of IPv6."""
    try:
        ipaddress.IPv6Address(name)
    except ValueError:
        return False
    return True


def check_certificate(host: str | None, cert: Path | None, key: Path | None) -> None:
    """Refuse a certificate without its key, or the reverse, or either on a Unix socket.

    Raises:
        ValueError: Options that belong together are not.
    """
    given = [name for name, path in (("--tls-cert", cert), ("--tls-key", key)) if path is not None]
    if len(given) == 1:
        other = "--tls-key" if cert is not None else "--tls-cert"
        raise ValueError(f"{given[0]} needs {other} beside it")
    if given and host is None:
        raise ValueError("--tls-cert and --tls-key are for TCP: pass --host, too")


def check_address(host: str, *, tls: bool) -> None:
    """Refuse to listen where others could read the token off the wire.

    Raises:
        ValueError: The address is not loopback, and there is no TLS.
    """
    if tls or host == "localhost":
        return
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise ValueError(
            f"refusing to listen on {host} without TLS: pass --tls-cert and --tls-key, or listen "
            "on 127.0.0.1 behind a tunnel"
        )


def default_folder() -> Path:
    """Return the user's own folder for a worker's socket."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "asyncbridge"
    return Path("/tmp") / f"asyncbridge-{os.getuid()}"  # noqa: S108 - 0700, and checked


def token_of(path: Path) -> str:
    """Read the token, or make one.

    Raises:
        OSError: Others can read the file, or it cannot be made.
        ValueError: The file is empty.
    """
    if path.exists():
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise PermissionError(f"others can read the token file {path}: chmod 600 {path}")
        token = path.read_text(encoding="utf-8").strip()
        if not token:
            raise ValueError(f"the token file {path} is empty: remove it, or write a token to it")
        return token
    draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        # Whole or not at all, and the first of two that start at once wins.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return token_of(path)


if __name__ == "__main__":
    raise SystemExit(main())
