"""``peerwatt prepare``: lay out a run for processes that somebody else starts, such as containers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.rundir import RunDirectory
    from runtime.scenario.resolve import ResolvedScenario


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
    """Write the configuration of every process of a run, and how they reach their server.

    A run that is there is taken up again, if it is of the same scenario and setting.
    """
    from runtime.messaging.connection import Connection
    from runtime.rundir import RunDirectory
    from runtime.scenario.resolve import resolve, write_configs
    from runtime.scenario.summary import notices

    resolved = resolve(scenario, data, setting)
    for notice in notices(resolved):
        typer.echo(f"notice: {notice}", err=True)
    directory = RunDirectory(run)
    refuse_another_run(directory, resolved)
    write_configs(resolved, directory)
    Connection(domain=domain, host=host, port=port, ca_file=ca_file, secret_file=secret_file).save(
        directory.connection_json
    )
    typer.echo(f"{resolved.scenario.community.name}: {len(resolved.members)} members, prepared in {run}")


def refuse_another_run(directory: RunDirectory, resolved: ResolvedScenario) -> None:
    """Keep a run from being continued with other agents' logs.

    Raises:
        InputError: the directory holds a run of another scenario or setting.
    """
    if not directory.run_json.exists():
        return
    there = json.loads(directory.run_json.read_text(encoding="utf-8"))
    if (there["scenario_sha256"], there["setting"]) != (resolved.sha256, resolved.setting):
        raise InputError(
            f"{directory.path}: found a run of another scenario or setting ({there['scenario']}, "
            f"{there['setting']}), expected an empty folder or a run of this one; name another"
        )
