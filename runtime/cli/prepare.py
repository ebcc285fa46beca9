"""``peerwatt prepare``: lay out a run for processes that somebody else starts, such as containers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def prepare(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of a built-in one.")],
    run: Annotated[Path, typer.Option(help="Directory of the run.")],
    domain: Annotated[str, typer.Option(help="XMPP domain of all accounts.")],
    host: Annotated[str, typer.Option(help="Name or address at which agents reach the server.")],
    port: Annotated[int, typer.Option(help="The server's port for clients.")],
    ca_file: Annotated[Path, typer.Option(help="Certificate (PEM) of the deployment's authority.")],
    secret_file: Annotated[Path, typer.Option(help="File with the deployment's secret.")],
    data: Annotated[Path | None, typer.Option(help="Folder with the data that the scenario reads.")] = None,
    setting: Annotated[str | None, typer.Option(help="Instead of the scenario's setting.")] = None,
) -> None:
    """Write the configuration of every process of a run, and how they reach their server."""
    from runtime.messaging.connection import Connection
    from runtime.rundir import RunDirectory
    from runtime.scenario.resolve import resolve, write_configs
    from runtime.scenario.summary import notices

    resolved = resolve(scenario, data, setting)
    for notice in notices(resolved):
        typer.echo(f"notice: {notice}", err=True)
    directory = RunDirectory(run)
    write_configs(resolved, directory)
    Connection(domain=domain, host=host, port=port, ca_file=ca_file, secret_file=secret_file).save(
        directory.connection_json
    )
    typer.echo(f"{resolved.scenario.community.name}: {len(resolved.members)} members, prepared in {run}")
