"""``peerwatt prepare``: lay out a run for processes that somebody else starts, such as containers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.configured import check_unchanged, read_run
from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.deployment.deployment import Deployment
    from runtime.deployment.placement import Placement
    from runtime.rundir import RunDirectory
    from runtime.scenario.resolved import ResolvedScenario


def prepare(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A scenario file, or the name of a built-in one.")
    ],
    run: Annotated[Path, typer.Option(help="Directory of the run.")],
    domain: Annotated[
        str | None, typer.Option(help="XMPP domain of all accounts (peerwatt.internal).")
    ] = None,
    inside: Annotated[
        str | None, typer.Option(help="HOST:PORT at which the fleet reaches the server (its domain, 5222).")
    ] = None,
    outside: Annotated[
        str, typer.Option(help="HOST:PORT at which this machine and others reach the server.")
    ] = "127.0.0.1:5222",
    data: Annotated[Path | None, typer.Option(help="Folder with the data that the scenario reads.")] = None,
    setting: Annotated[str | None, typer.Option(help="As for `run`; overrides the scenario.")] = None,
    members_per_container: Annotated[int, typer.Option(help="Members that a container serves.")] = 1,
    remote: Annotated[
        list[str] | None, typer.Option(help="A member that shares no container; it runs elsewhere.")
    ] = None,
    dashboard: Annotated[
        str | None, typer.Option(help="HOST:PORT at which this machine reaches the fleet's dashboard.")
    ] = None,
) -> None:
    """Write the configuration of every process of a run, certificates, and a random secret for each account.

    A run that is there is taken up again, if it is of the same scenario and setting: as it was configured
    when it began, with its authority and its secrets. What each process is to be handed is in the run's
    folder deployment/handouts.
    """
    from runtime.deployment.placement import placed

    placement = placed(members_per_container, remote or [])
    deployment = prepare_run(
        scenario, run, domain, inside, outside, data, setting, placement, dashboard=dashboard
    )
    typer.echo(f"{len(deployment.members())} members, prepared in {run}")


def prepare_run(
    scenario: str,
    run: Path,
    domain: str | None,
    inside: str | None,
    outside: str,
    data: Path | None = None,
    setting: str | None = None,
    placement: Placement | None = None,
    further_hosts: Sequence[str] = (),
    dashboard: str | None = None,
) -> Deployment:
    """Do what ``peerwatt prepare`` does; arguments as there. Without a placement, each member has its own.

    ``further_hosts`` are where else than ``inside`` the fleet reaches the server, at the same port.

    Raises:
        InputError: the scenario or an option will not do, or the folder holds another run, or one that
            another version began or whose configuration was changed.
    """
    from runtime.deployment.address import DOMAIN, Address
    from runtime.deployment.deployment import Deployment
    from runtime.rundir import RunDirectory
    from runtime.scenario.resolve import resolve
    from runtime.scenario.summary import notices
    from runtime.scenario.write import write_configs
    from runtime.xmpp.accounts import check_domain

    domain = domain or DOMAIN
    check_domain(domain, "--domain")
    addresses = Address.parse(inside or domain, "--inside"), Address.parse(outside, "--outside")
    watched = Address.parse(dashboard, "--dashboard") if dashboard else None
    resolved = resolve(scenario, data, setting)
    directory = RunDirectory(run)
    for notice in notices(resolved):
        typer.echo(f"notice: {notice}", err=True)
    if directory.run_json.exists():
        refuse_another_run(directory, resolved)
        # What began now began then, and agents that go on from their logs know the series as they were.
        check_unchanged(directory)
    else:
        write_configs(resolved, directory)
    deployment = Deployment(directory)
    deployment.make(domain, *addresses, placement, further_hosts, watched)
    return deployment


def refuse_another_run(directory: RunDirectory, resolved: ResolvedScenario) -> None:
    """Keep a run from being continued with other agents' logs.

    Raises:
        InputError: the directory holds a run of another scenario or setting.
    """
    there = read_run(directory)
    if (there["scenario_sha256"], there["setting"]) != (resolved.sha256, resolved.setting):
        raise InputError(
            f"{directory.path}: found a run of another scenario or setting ({there['scenario']}, "
            f"{there['setting']}), expected an empty folder or a run of this one; name another"
        )
