"""``peerwatt dashboard``: a run as a page in the browser, while it goes on and afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from pathlib import Path
from typing import Annotated

import typer

from runtime.errors import InputError

_WARNING = "Whoever has this address can read all messages of the run; it is not encrypted."


def dashboard(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 for any that is free.")] = 8765,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on instead of loopback; the page then asks for a token."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the token to ask for, instead of a new one each time; read anew at each request."
        ),
    ] = None,
    outside: Annotated[
        str | None, typer.Option(help="HOST:PORT at which it is reached, for the address it prints.")
    ] = None,
    address: Annotated[
        bool,
        typer.Option(
            "--address",
            help="Serve nothing: print the address of the dashboard of a deployment, with its token.",
        ),
    ] = False,
) -> None:
    """Serve a page that shows members, prices, flows, rounds, messages, meters and alarms; read-only.

    A deployment has a dashboard of its own: --address prints where it is reached.
    """
    if address:
        _print_deployed(run)
        return
    from runtime.cli.messages import find_logs
    from runtime.inspection.access import Token, read_token
    from runtime.inspection.dashboard import LOOPBACK_HOSTS, Dashboard, serve
    from runtime.signs_of_life import signs_of_life

    logs_dir = find_logs(run, may_be_empty=True)
    directory = logs_dir.parent if logs_dir.name == "logs" else logs_dir
    listens = host or "127.0.0.1"
    token = None if listens in LOOPBACK_HOSTS else Token(secrets.token_urlsafe(24))
    if token_file is not None:
        try:
            read_token(token_file)
        except InputError as error:
            raise InputError(f"--token-file: {error}") from error
        token = Token(token_file)

    def ready(opened: int) -> None:
        shown = f"[{listens}]" if ":" in listens else listens
        reached = f"{directory.name}: http://{outside or f'{shown}:{opened}'}/"
        if token_file is not None:  # what a container prints is kept where others read it
            whole = (
                f"; `peerwatt dashboard {directory.name} --address` prints both, where it was deployed from"
            )
            typer.echo(f"{reached} asks for the token in {token_file}" + (whole if outside else ""))
        elif token is not None:
            typer.echo(f"{reached}?token={token.now()}")
            typer.echo(_WARNING, err=True)
        else:
            typer.echo(reached)

    async def serve_it() -> None:
        served = Dashboard(directory, logs_dir, token=token)
        async with signs_of_life(lambda: served.problem is None):
            await serve(served, listens, port, ready)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve_it())


def _print_deployed(run: str) -> None:
    from runtime.cli.runs import find_run
    from runtime.deployment.deployment import Deployment
    from runtime.rundir import RunDirectory

    typer.echo(Deployment(RunDirectory(find_run(run))).dashboard_url())
    typer.echo(_WARNING, err=True)
