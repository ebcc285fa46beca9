"""``peerwatt meter join``: the file with which a device joins a community as a member's meter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.runs import find_run_with_meters
from runtime.configuration import MetersConfig
from runtime.errors import InputError
from runtime.joining import Joining
from runtime.messaging.connection import Connection
from runtime.rundir import METERS_PER_MEMBER, RunDirectory, attached_meter_account


def write_join(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")],
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="Name of the member.")],
    out: Annotated[Path, typer.Option(help="The file to write; it holds a password.")],
    host: Annotated[
        str | None, typer.Option(help="Name or address at which the device finds the server.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Its port.")] = None,
    number: Annotated[
        int, typer.Option(min=2, max=METERS_PER_MEMBER, help="Which of the member's further meters it is.")
    ] = 2,
    connection: Annotated[
        Path | None, typer.Option(help="Connection file; by default the run's own.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the file with which a device (`peerwatt-meter --join FILE`) becomes MEMBER's meter."""
    from runtime.cli.meter import meter_config

    directory = find_run_with_meters(run)
    meter_config(directory, member)
    path = connection or directory.connection_json
    if not path.exists():
        raise InputError(f"{directory.path.name}: is not running: there is no {path}")
    joining = joining_of(directory, member, Connection.load(path), number)
    changes = {"host": host or joining.host, "port": port or joining.port}
    joining.model_copy(update=changes).save(out)
    facts = {"file": str(out), "account": joining.account, "member": member, **changes}
    text = f"{out}: lets a device be {joining.account} at {changes['host']}:{changes['port']}; keep it secret"
    typer.echo(json.dumps(facts) if as_json else text)


def joining_of(directory: RunDirectory, member: str, connection: Connection, number: int = 2) -> Joining:
    """What a device needs to be a member's further meter, ``number`` from 2, in a run.

    Raises:
        InputError: the member has nothing to be metered, or certificate or secret cannot be read.
    """
    config = MetersConfig.load(directory.meters_config)
    meter = next(meter for meter in config.meters if meter.member == member)
    if not meter.roles:
        raise InputError(f"{member}: has nothing to be metered")
    try:
        ca_pem = connection.ca_file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{connection.ca_file}: cannot read the authority's certificate: {error}") from error
    account = attached_meter_account(member, number)
    return Joining(
        member=member,
        prosumer=connection.jid(member),
        account=account,
        secret=connection.password_for(account),
        domain=connection.domain,
        host=connection.host,
        port=connection.port,
        ca_pem=ca_pem,
        roles=meter.roles,
        clock=config.clock,
        sessions=[session.horizon for session in meter.sessions],
    )
