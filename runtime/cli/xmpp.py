"""``peerwatt xmpp``: accounts of a community on an XMPP server that you run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(name="xmpp", help="Accounts on an XMPP server that you run.", no_args_is_help=True)


@app.command()
def accounts(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A scenario file, or the name of a built-in one.")
    ],
    domain: Annotated[str, typer.Option(help="Domain of the accounts' JIDs, what follows the @.")],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("accounts.toml"),
    authority: Annotated[
        str,
        typer.Option(
            help="Who signed the server's certificate: system (who this machine trusts), or a file (PEM)."
        ),
    ] = "system",
    every: Annotated[
        bool,
        typer.Option("--all", help="Also accounts to inspect, to attach meters and to steer batteries with."),
    ] = False,
    data: Annotated[Path | None, typer.Option(help="Folder with the data that the scenario reads.")] = None,
    setting: Annotated[str | None, typer.Option(help="As for `run`; overrides the scenario.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the accounts' names as JSON.")] = False,
) -> None:
    """Write a file with the accounts that a community needs, each with a random password; mode 0600.

    Make these accounts on your server, or write its passwords into the file; then `peerwatt run SCENARIO
    --xmpp HOST --accounts FILE`.
    """
    from runtime.scenario.resolve import resolve
    from runtime.xmpp.existing.accounts_file import write_accounts_file
    from runtime.xmpp.existing.needed import known_accounts, needed_accounts

    resolved = resolve(scenario, data, setting)
    config = resolved.coordinator_config()
    names = known_accounts(config) if every else needed_accounts(config, resolved.meters_config())
    write_accounts_file(out, config.community, domain, authority, names)
    if as_json:
        typer.echo(json.dumps({"file": str(out), "domain": domain, "accounts": names}))
    else:
        typer.echo(f"{out}: {len(names)} accounts of {domain}, with their passwords: keep it to yourself")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of accounts.")],
    xmpp: Annotated[str, typer.Option(help="HOST[:PORT] of the server.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Log in with every account of a file, over TLS with the certificate verified, and leave again."""
    from runtime.cli.server_choice import ServerOfOthers
    from runtime.deployment.address import Address

    server = ServerOfOthers(Address.parse(xmpp, "--xmpp"), file)
    server.log_in(takes_messages=False)
    names = list(server.accounts.passwords)
    if as_json:
        typer.echo(json.dumps({"domain": server.accounts.domain, "accounts": names}))
    else:
        typer.echo(f"{xmpp}: all {len(names)} accounts of {server.accounts.domain} log in")


@app.command()
def register(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of accounts.")],
    server: Annotated[str, typer.Option(help="prosody or ejabberd.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
) -> None:
    """Write what makes the accounts of a file on your server; mode 0600, for it holds their passwords.

    For Prosody a script to be run where the server is (`sh FILE`); for ejabberd a file of the standard
    XEP-0227 (`ejabberdctl import_piefxis FILE`).
    """
    from runtime.errors import InputError
    from runtime.xmpp.existing.accounts_file import ServerAccounts
    from runtime.xmpp.existing.registering import REGISTERING, write_registration

    if server not in REGISTERING:
        raise InputError(f"--server: found {server!r}, expected one of {', '.join(REGISTERING)}")
    accounts = ServerAccounts.load(file)
    write_registration(out, accounts, server)
    how = f"sh {out}" if server == "prosody" else f"ejabberdctl import_piefxis {out.absolute()}"
    typer.echo(f"{out}: on the server's machine, as its administrator: {how}")
