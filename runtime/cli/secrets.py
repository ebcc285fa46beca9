"""``peerwatt secrets``: new secrets for a deployment's accounts and dashboard while its market goes on."""

from __future__ import annotations

import json
from typing import Annotated

import typer

app = typer.Typer(
    name="secrets", help="Secrets of a deployment's accounts and dashboard.", no_args_is_help=True
)


@app.callback()
def _secrets() -> None:
    """Keep ``rotate`` a command of its own."""


@app.command()
def rotate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]…", help="Members, single accounts, or dashboard; all by default."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Give accounts new random secrets, a member's meters included, and the dashboard a new token.

    Within seconds the server ends the sessions of these accounts, and the agents log in with the new secrets;
    the dashboard reads its token at each request. Members that run elsewhere need a new invitation; a swarm
    or a cluster, its manifests written and applied again.
    """
    from runtime.cli.runs import find_run
    from runtime.deployment.deployment import Deployment
    from runtime.deployment.holders import DASHBOARD
    from runtime.rundir import RunDirectory

    deployment = Deployment(RunDirectory(find_run(run)))
    known = deployment.accounts()
    watched = not names or DASHBOARD in names
    # A member may have this name too.
    of_accounts = [name for name in names or [] if name != DASHBOARD or name in known]
    accounts = chosen(of_accounts, known, deployment.members()) if of_accounts or not names else []
    deployment.rotate(accounts)
    if watched:
        deployment.rotate_dashboard_token()
    if as_json:
        told = {"run": str(deployment.run.path), "rotated": accounts, "dashboard": watched}
        typer.echo(json.dumps(told))
        return
    changed = [*accounts, *(["the dashboard"] if watched else [])]
    typer.echo(f"{deployment.run.path}: new secrets for {', '.join(changed)}")
    if watched:
        typer.echo(f"`peerwatt dashboard {run} --address` prints the dashboard's new address")


def chosen(names: list[str], accounts: list[str], members: list[str]) -> list[str]:
    """Accounts meant by names of members and of accounts; all without a name."""
    if not names:
        return accounts
    found: list[str] = []
    for name in names:
        whole = [account for account in accounts if account.startswith(f"{name}.")] if name in members else []
        found += [name, *whole]
    return list(dict.fromkeys(found))
