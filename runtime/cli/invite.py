"""``peerwatt invite`` and ``peerwatt join``: a member's agent on a host of its own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def invite(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")],
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="Name of the member.")],
    address: Annotated[str, typer.Option(help="HOST:PORT at which the member's host reaches the server.")],
    out: Annotated[Path | None, typer.Option(help="The file to write (MEMBER.join.json).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the file with which MEMBER's agent joins from another host: address, certificate, account.

    Who has the file can be this member; send it so that nobody else reads it.
    """
    from runtime.cli.runs import find_run
    from runtime.deployment.address import Address
    from runtime.deployment.deployment import Deployment
    from runtime.deployment.invitation import invitation
    from runtime.rundir import RunDirectory

    made = invitation(Deployment(RunDirectory(find_run(run))), member, Address.parse(address, "--address"))
    path = out or Path(f"{member}.join.json")
    made.save(path)
    if as_json:
        facts = {"file": str(path), "member": member, "host": made.host, "port": made.port}
        typer.echo(json.dumps({**facts, "accounts": [*made.secrets]}))
    else:
        typer.echo(f"{path}: lets its holder be {member} at {made.host}:{made.port}; keep it secret")


def join(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `peerwatt invite` wrote.")],
    run: Annotated[
        Path | None, typer.Option(help="Folder that keeps the member's log and record (runs/MEMBER).")
    ] = None,
    start: Annotated[bool, typer.Option("--start/--no-start", help="Run the agent.")] = True,
) -> None:
    """Join a community that runs elsewhere, as the member that was invited; ends when its market closes.

    Started again on the same folder the agent takes up its place. With a new invitation and --no-start,
    a running agent takes the new secret at its next login.
    """
    from runtime.deployment.invitation import Invitation, accept
    from runtime.rundir import RunDirectory

    invited = Invitation.load(file)
    member = invited.config.name
    directory = RunDirectory(run or Path("runs") / member)
    accept(invited, directory)
    if not start:
        typer.echo(f"{directory.path}: ready for {member} at {invited.host}:{invited.port}")
        return
    command = [sys.executable, "-m", "agents", "prosumer", "--run", str(directory.path), "--member", member]
    os.execv(sys.executable, command)
