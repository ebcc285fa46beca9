"""``peerwatt dashboard``: a run as a page in the browser, while it goes on and afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from pathlib import Path
from typing import Annotated

import typer

from runtime.errors import InputError


def dashboard(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 for any that is free.")] = 8765,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on instead of loopback; the page then asks for a token."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token to ask for, instead of a new one each time.")
    ] = None,
    outside: Annotated[
        str | None, typer.Option(help="HOST:PORT at which it is reached, for the address it prints.")
    ] = None,
) -> None:
    """Serve a page that shows members, prices, flows, rounds, messages, meters and alarms; read-only."""
    from runtime.cli.messages import find_logs
    from runtime.inspection.dashboard import LOOPBACK_HOSTS, Dashboard, serve
    from runtime.signs_of_life import signs_of_life

    logs_dir = find_logs(run, may_be_empty=True)
    directory = logs_dir.parent if logs_dir.name == "logs" else logs_dir
    address = host or "127.0.0.1"
    token = None if address in LOOPBACK_HOSTS else secrets.token_urlsafe(24)
    if token_file is not None:
        token = _token_in(token_file)

    def ready(opened: int) -> None:
        shown = f"[{address}]" if ":" in address else address
        secret = "" if token is None else f"?token={token}"
        typer.echo(f"{directory.name}: http://{outside or f'{shown}:{opened}'}/{secret}")
        if token is not None:
            typer.echo(
                "Whoever has this address can read all messages of the run; it is not encrypted.", err=True
            )

    async def serve_it() -> None:
        served = Dashboard(directory, logs_dir, token=token)
        async with signs_of_life(lambda: served.problem is None):
            await serve(served, address, port, ready)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve_it())


def _token_in(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--token-file: {path}: cannot be read: {error}") from error
    if not token:
        raise InputError(f"--token-file: {path}: found nothing in it, expected a token")
    return token
