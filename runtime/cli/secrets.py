"""``peerwatt secrets``: new secrets for a deployment's accounts while its market goes on."""

from __future__ import annotations

import json
from typing import Annotated

import typer

app = typer.Typer(name="secrets", help="Secrets of a deployment's accounts.", no_args_is_help=True)


@app.callback()
def _secrets() -> None:
    """Keep ``rotate`` a command of its own."""


@app.command()
def rotate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]…", help="Members, or single accounts; all by default."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Give accounts new random secrets; a member's include its meters'.

    The server and the agents read theirs at the next login, and open connections stay. Members that run
    elsewhere need a new invitation; a swarm or a cluster, its manifests written and applied again.
    """
    from runtime.cli.runs import find_run
    from runtime.deployment.deployment import Deployment
    from runtime.rundir import RunDirectory

    deployment = Deployment(RunDirectory(find_run(run)))
    accounts = chosen(names or [], deployment.accounts(), deployment.members())
    deployment.rotate(accounts)
    if as_json:
        typer.echo(json.dumps({"run": str(deployment.run.path), "rotated": accounts}))
    else:
        typer.echo(f"{deployment.run.path}: new secrets for {', '.join(accounts)}")


def chosen(names: list[str], accounts: list[str], members: list[str]) -> list[str]:
    """Accounts meant by names of members and of accounts; all without a name."""
    if not names:
        return accounts
    found: list[str] = []
    for name in names:
        whole = [account for account in accounts if account.startswith(f"{name}.")] if name in members else []
        found += [name, *whole]
    return list(dict.fromkeys(found))
