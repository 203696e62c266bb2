"""The ``asyncbridge`` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asyncbridge.worker.__main__ import (
    CALLBACK_HELP,
    DEFAULT_PORT,
    NAME_HELP,
    RESULTS_HELP,
    run,
)

__all__ = ["app", "main"]

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
    callback_hosts: Annotated[list[str] | None, typer.Option(help=CALLBACK_HELP)] = None,
) -> None:
    """Run a worker that clients attach to, until Ctrl-C or SIGTERM."""
    try:
        status = run(
            folder=folder, host=host, port=port, names=name or [], tls_cert=tls_cert, tls_key=tls_key,
            token_file=token_file, backend=backend, results_limit=results_limit,
            callback_hosts=callback_hosts or [],
        )  # fmt: skip
    except (OSError, ValueError) as error:
        typer.echo(f"asyncbridge worker: {error}", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(status)


def main() -> None:
    """Run the command."""
    app()
