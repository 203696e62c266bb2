"""The ``asyncbridge`` command."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asyncbridge.errors import (
    AsyncBridgeError,
    AuthenticationError,
    ConnectError,
    DecisionError,
    SocketPermissionError,
)
from asyncbridge.worker.__main__ import (
    CALLBACK_HELP,
    DEFAULT_PORT,
    LEASE_HELP,
    NAME_HELP,
    RESULTS_HELP,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["app", "main"]

REFUSED, USAGE, NOBODY, NOT_LET_IN, UNKNOWN = 1, 2, 3, 4, 5
"""Exit statuses, as the help of ``decide`` explains them."""
EXITS = (
    "Exit status: 0 done; 1 it was decided otherwise already, or cannot be decided so; 2 wrong "
    "usage; 3 no worker is there, or none that answers; 4 it does not let this client in (token, "
    "user, host name); 5 nothing has halted by that error."
)
URL = Annotated[str, typer.Argument(help="The worker's address: unix:///path, https://host:port.")]
TIMEOUT = Annotated[float, typer.Option(help="Seconds until the worker has to answer.", min=0.001)]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON, as /v1/openapi.json has it.")]

app = typer.Typer(
    name="asyncbridge",
    help="Drive Keras from asyncio, with Keras in another process.",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def root() -> None:
    """Drive Keras from asyncio, with Keras in another process."""


@app.command()
def worker(
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the Unix socket and the token, mode 0700.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Listen on TCP instead; TLS is needed beyond loopback.")
    ] = None,
    port: Annotated[int, typer.Option(help="TCP port.")] = DEFAULT_PORT,
    name: Annotated[list[str] | None, typer.Option(help=NAME_HELP)] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="Token file of mode 0600; made if it is not there.")
    ] = None,
    backend: Annotated[str, typer.Option(help="tensorflow, jax, torch, or none.")] = "tensorflow",
    results_limit: Annotated[int | None, typer.Option(help=RESULTS_HELP)] = None,
    lease: Annotated[float | None, typer.Option(help=LEASE_HELP)] = None,
    callback_hosts: Annotated[list[str] | None, typer.Option(help=CALLBACK_HELP)] = None,
) -> None:
    """Run a worker that clients attach to, until Ctrl-C or SIGTERM."""
    try:
        status = run(
            folder=folder, host=host, port=port, names=name or [], tls_cert=tls_cert, tls_key=tls_key,
            token_file=token_file, backend=backend, results_limit=results_limit,
            lease=lease, callback_hosts=callback_hosts or [],
        )  # fmt: skip
    except (OSError, ValueError) as error:
        typer.echo(f"asyncbridge worker: {error}", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(status)


class Choice(StrEnum):
    """What may be decided; the value is the word for it."""

    RETRY = "retry"
    IGNORE = "ignore"
    RAISE = "raise"
    DROP = "drop-queue"
    REPLACE = "replace"


@app.command()
def halts(url: URL, as_json: JSON = False, timeout: TIMEOUT = 10.0) -> None:
    """List the errors that halt in a worker, of all clients, and wait for a decision.

    The token is that of the file beside the Unix socket, or of the file of mode 0600 that
    ASYNCBRIDGE_TOKEN_FILE names.
    """
    from asyncbridge.client import terminal  # noqa: PLC0415 - a worker's start needs none of it

    with told("halts"):
        halted = asyncio.run(terminal.list_halts(url, timeout=timeout))
    typer.echo(json.dumps(halted, indent=2) if as_json else terminal.text_of(halted))


@app.command(epilog=EXITS)
def decide(
    url: URL,
    error_id: Annotated[str, typer.Argument(help="The error's id, as `halts` shows it.")],
    decision: Annotated[
        Choice,
        typer.Argument(
            help="retry: run it again, with the --code and --bind that are given. ignore: go on, "
            "with --value as its value. raise: let the error stand. drop-queue: that, and drop "
            "what waits behind it. replace: run --code in its place."
        ),
    ],
    code: Annotated[str | None, typer.Option(help="Python; - reads standard input.")] = None,
    bind: Annotated[
        list[str] | None,
        typer.Option(help="A binding that is to be another, as name=JSON; may be repeated."),
    ] = None,
    value: Annotated[str | None, typer.Option(help="JSON; null without it.")] = None,
    epoch: Annotated[
        int,
        typer.Option(
            help="Which halt of the error is meant; the present one without.", min=0, max=2**63 - 1
        ),
    ] = 0,
    as_json: JSON = False,
    timeout: TIMEOUT = 10.0,
) -> None:
    """Decide what becomes of a command that has failed and halts, of any client of a worker.

    The first decision about an error and an epoch counts; the same one again is no fault. The
    token is found as by `halts`.
    """
    from asyncbridge.client import terminal  # noqa: PLC0415

    kind = "drop" if decision is Choice.DROP else decision.value
    with told("decide"):
        document = terminal.document_of(
            error_id,
            kind,
            epoch=epoch,
            code=sys.stdin.read() if code == "-" else code,
            bindings=terminal.bindings_of(bind or []),
            value=value,
        )
        answer = asyncio.run(terminal.decide(url, document, timeout=timeout))
    typer.echo(json.dumps(answer, indent=2) if as_json else f"{error_id}: {decision.value}")


@contextmanager
def told(command: str) -> Generator[None]:
    """Tell what goes wrong in one line, and by the exit status."""
    try:
        yield
    except (AsyncBridgeError, SyntaxError, ValueError) as error:
        what = "the code is no Python: " if isinstance(error, SyntaxError) else ""
        typer.echo(f"asyncbridge {command}: {what}{error}", err=True)
        raise typer.Exit(status_of(error)) from None


def status_of(error: Exception) -> int:
    """Return the exit status that stands for an error."""
    from asyncbridge.client.terminal import UnknownHalt  # noqa: PLC0415

    statuses = {
        UnknownHalt: UNKNOWN,
        DecisionError: REFUSED,
        AuthenticationError: NOT_LET_IN,
        SocketPermissionError: NOT_LET_IN,
        ConnectError: NOBODY,
    }
    return next((number for kind, number in statuses.items() if isinstance(error, kind)), USAGE)


def main() -> None:
    """Run the command."""
    app()
