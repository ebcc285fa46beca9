"""What makes accounts on an XMPP server, in the server's own terms."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import quoteattr

from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.xmpp.existing.accounts_file import ServerAccounts


def prosody_script(accounts: ServerAccounts) -> str:
    """A shell script for Prosody's machine; passwords go over pipes: no list of processes shows them."""
    lines = ["#!/bin/sh", "set -eu"]
    for account, password in accounts.passwords.items():
        quoted = shlex.quote(password)
        jid = shlex.quote(f"{account}@{accounts.domain}")
        lines.append(f"printf '%s\\n%s\\n' {quoted} {quoted} | ${{PROSODYCTL:-prosodyctl}} adduser {jid}")
    return "\n".join([*lines, ""])


def exported_users(accounts: ServerAccounts) -> str:
    """The accounts in the format for moving users between servers (XEP-0227 section 3)."""
    users = [
        f"    <user name={quoteattr(account)} password={quoteattr(password)}/>"
        for account, password in accounts.passwords.items()
    ]
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<server-data xmlns="urn:xmpp:pie:0">',
            f"  <host jid={quoteattr(accounts.domain)}>",
            *users,
            "  </host>",
            "</server-data>",
            "",
        ]
    )


REGISTERING: dict[str, Callable[[ServerAccounts], str]] = {
    "prosody": prosody_script,
    "ejabberd": exported_users,
}


def write_registration(path: Path, accounts: ServerAccounts, server: str) -> None:
    """Write what makes the accounts, for its owner alone (0600).

    Args:
        path: not there yet.
        accounts: with their passwords.
        server: of ``REGISTERING``.

    Raises:
        InputError: the file is there, or cannot be written.
    """
    if path.exists():
        raise InputError(f"{path}: is there already; choose another --out")
    try:
        write_text_atomically(path, REGISTERING[server](accounts), 0o600)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
