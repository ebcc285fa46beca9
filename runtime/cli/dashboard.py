"""``peerwatt dashboard``: a run as a page in the browser, while it goes on and afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Annotated

import typer


def dashboard(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 for any that is free.")] = 8765,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on instead of loopback; the page then asks for a token."),
    ] = None,
) -> None:
    """Serve a page that shows members, prices, flows, rounds, messages, meters and alarms; read-only."""
    from runtime.cli.messages import find_logs
    from runtime.inspection.dashboard import LOOPBACK_HOSTS, Dashboard, serve

    logs_dir = find_logs(run, may_be_empty=True)
    directory = logs_dir.parent if logs_dir.name == "logs" else logs_dir
    address = host or "127.0.0.1"
    token = None if address in LOOPBACK_HOSTS else secrets.token_urlsafe(24)

    def ready(opened: int) -> None:
        shown = f"[{address}]" if ":" in address else address
        secret = "" if token is None else f"?token={token}"
        typer.echo(f"{directory.name}: http://{shown}:{opened}/{secret}")
        if token is not None:
            typer.echo(
                "Whoever has this address can read all messages of the run; it is not encrypted.", err=True
            )

    async def serve_it() -> None:
        await serve(Dashboard(directory, logs_dir, token=token), address, port, ready)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve_it())
