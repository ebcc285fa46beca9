"""A run on a server that somebody else runs: whether all accounts work, and what is kept of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from runtime.deployment.address import Address
from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.messaging.connection import Connection
from runtime.messaging.secrets import write_secret
from runtime.xmpp.existing.accounts_file import ServerAccounts
from runtime.xmpp.local import CONNECTION_FILE, SECRETS_FOLDER

CA_FILE = "ca.pem"

_NAMED_AT_MOST = 20


def lay_out(folder: Path, address: Address, accounts: ServerAccounts, accounts_path: Path) -> Connection:
    """Write what it takes to reach the server into a folder: connection, authority, secrets (0600 in 0700).

    Args:
        folder: made if it is missing.
        address: where the server is dialled.
        accounts: its accounts.
        accounts_path: the file that they are from.

    Raises:
        InputError: the authority's certificate cannot be read.
    """
    secrets_dir = folder / SECRETS_FOLDER
    secrets_dir.mkdir(parents=True, exist_ok=True)
    secrets_dir.chmod(0o700)
    write_text_atomically(folder / CA_FILE, accounts.authority_pem(accounts_path))
    for account, password in accounts.passwords.items():
        write_secret(secrets_dir, account, password)
    connection = Connection(
        domain=accounts.domain,
        host=address.host,
        port=address.port,
        ca_file=(folder / CA_FILE).absolute(),
        secrets_dir=secrets_dir.absolute(),
    )
    connection.save(folder / CONNECTION_FILE)
    return connection


def check_logins(connection: Connection, accounts: Sequence[str], *, takes_messages: bool) -> int:
    """Log in with every account, one look each, before anything is started.

    Args:
        connection: the server, and the accounts' secrets.
        accounts: local parts, at least one.
        takes_messages: for a new run, to which what waits from an earlier one would make no sense.

    Returns:
        How many messages waited and were taken away.

    Raises:
        InputError: the server is not there, is not the one that is trusted, refuses passwords, or an account
            is in use; naming all accounts concerned.
    """
    return asyncio.run(_check_logins(connection, accounts, takes_messages))


async def _check_logins(connection: Connection, accounts: Sequence[str], takes_messages: bool) -> int:
    from runtime.xmpp.existing.visitor import visit

    logging.getLogger("slixmpp").addHandler(logging.NullHandler())  # what it would print is told below
    where = f"XMPP server {connection.host}:{connection.port}"
    first = await visit(connection, accounts[0], takes_messages=takes_messages)
    if first.ending is not None and not first.ending.password_refused:
        expected = f", expected one that proves to be {connection.domain}" if first.ending.untrusted else ""
        raise InputError(f"{where}: {first.ending.reason}{expected}")
    rest = [visit(connection, account, takes_messages=takes_messages) for account in accounts[1:]]
    visits = [first, *await asyncio.gather(*rest)]
    for what, found in (
        (
            f"refuses accounts of {connection.domain} (there is no such account, or the password is another)",
            [each.account for each in visits if each.ending is not None and each.ending.password_refused],
        ),
        (
            "accounts are in use, by another run or another program",
            [each.account for each in visits if each.in_use],
        ),
    ):
        if found:
            more = f" and {len(found) - _NAMED_AT_MOST} more" if len(found) > _NAMED_AT_MOST else ""
            raise InputError(f"{where}: {what}: {', '.join(found[:_NAMED_AT_MOST])}{more}")
    for each in visits:
        if each.ending is not None:
            raise InputError(f"{where}: account {each.account}: {each.ending.reason}")
    return sum(each.messages for each in visits)
