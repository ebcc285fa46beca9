"""``peerwatt run``: a community trades, from the scenario to the results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.server_choice import ACCOUNTS_HELP, NODES_HELP, XMPP_HELP, chosen_server
from runtime.errors import InputError


def run(
    scenario: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO", help="A scenario file, or the name of a built-in one: example, lorient."
        ),
    ] = "example",
    data: Annotated[Path | None, typer.Option(help="Folder with the data that the scenario reads.")] = None,
    setting: Annotated[
        str | None,
        typer.Option(
            help="community, pv-only, pv-battery-rule or pv-battery-optimised; overrides the scenario."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="Start of the horizon, as a local date-time, or now; overrides the scenario."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the run's directory (default: the scenario's, numbered).")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder in which runs are kept.")] = Path("runs"),
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw the figures.")] = True,
    server_record: Annotated[
        bool,
        typer.Option(
            "--server-record",
            help="Let the XMPP server keep a record of the messages too, for verify --server.",
        ),
    ] = False,
    members_per_process: Annotated[
        int,
        typer.Option(help="Members that a process serves; all messages still go over XMPP."),
    ] = 1,
    xmpp: Annotated[str, typer.Option(help=XMPP_HELP)] = "embedded",
    xmpp_nodes: Annotated[int, typer.Option(help=NODES_HELP)] = 1,
    accounts: Annotated[Path | None, typer.Option(help=ACCOUNTS_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run a community: XMPP server, coordinator, a process for each member, meters; settle; report."""
    from runtime.cli.fleet_run import run_to_results
    from runtime.fleet.packing import check_members_per_process, keep_packing
    from runtime.messagelog.server_record import RECORD_FILE
    from runtime.rundir import RunDirectory
    from runtime.scenario.resolve import resolve
    from runtime.scenario.summary import notices
    from runtime.scenario.write import write_configs

    check_members_per_process(members_per_process)
    server = chosen_server(xmpp, accounts, server_record=server_record, nodes=xmpp_nodes)
    resolved = resolve(scenario, data, setting, start=start)
    server.check(resolved)
    directory = RunDirectory(new_directory(runs, name, resolved.name))
    for notice in notices(resolved):
        typer.echo(f"notice: {notice}", err=True)
    keep_packing(directory, members_per_process)
    server.keep(directory)
    write_configs(resolved, directory)
    if server_record:  # the server continues the record that it finds
        directory.server_dir.mkdir(parents=True, exist_ok=True)
        (directory.server_dir / RECORD_FILE).touch()
    run_to_results(directory, figures=figures, as_json=as_json)


def new_directory(runs: Path, name: str | None, scenario: str) -> Path:
    """Make the directory of a new run; a run that is there is never written over.

    Args:
        runs: folder in which runs are kept.
        name: its name, or None for the scenario's name with the first free number.
        scenario: name of the scenario.

    Raises:
        InputError: ``name`` is taken, is no plain name, or ``runs`` cannot be written to.
    """
    if name is not None and (not name or Path(name).name != name or name.startswith(".")):
        raise InputError(f"--name: found {name!r}, expected a plain name without slashes")
    candidates = [name] if name is not None else [scenario, *(f"{scenario}-{n}" for n in range(2, 10_000))]
    for candidate in candidates:
        path = runs / candidate
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(f"{path}: cannot be made: {error.strerror}") from error
        return path
    raise InputError(f"{runs / candidates[0]}: is there already; choose another --name or remove it")
