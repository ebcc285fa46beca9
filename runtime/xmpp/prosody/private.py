"""A Prosody of one run's own: installed on this machine, in a private directory, on the loopback interface.

``DIR`` holds what the embedded server's does (authority, certificate, secrets, connection.json), and::

    prosody/handed/   what Prosody is handed: ca.pem, server.pem, server.key.pem, accounts.json (verifiers)
    prosody/stored/   messages that wait for agents that are away
"""

from __future__ import annotations

import os
import select
import shutil
import sys
from pathlib import Path

from runtime.deployment.verifiers import write_verifiers
from runtime.errors import InputError, PeerwattError
from runtime.messagelog.server_record import RECORD_FILE
from runtime.messaging.secrets import ensure_secrets
from runtime.rundir import COORDINATORS
from runtime.xmpp.accounts import load_accounts
from runtime.xmpp.authority import ensure_credentials
from runtime.xmpp.local import (
    CONNECTION_FILE,
    LOOPBACK,
    SECRETS_FOLDER,
    ask_to_end_with_parent,
    connection_to,
    free_port,
    hand_over,
)

CONFIGURATION = Path(__file__).parent / "prosody.cfg.lua"
"""The one that deployments run with too."""

MODULES = Path(__file__).parent / "modules"

_FORWARDED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LUA_PATH", "LUA_CPATH")


def installed_prosody() -> str:
    """Path of the Prosody that is installed here.

    Raises:
        InputError: there is none.
    """
    # Where it is for administrators only, it is not in everybody's PATH.
    found = shutil.which("prosody", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise InputError(
            "--xmpp prosody: found no Prosody on this machine, expected one to be installed "
            "(Debian, Ubuntu: `apt install prosody`; Fedora: `dnf install prosody`); "
            "`--xmpp embedded` needs none"
        )
    return found


def prepared(directory: Path, domain: str, accounts: list[str], port: int) -> dict[str, str]:
    """Make what Prosody needs in ``directory``; what is there is kept.

    Args:
        directory: of the server.
        domain: of all JIDs.
        accounts: local parts of all accounts.
        port: to listen on, on the loopback interface; 0 for any that is free.

    Returns:
        The environment that its configuration reads.

    Raises:
        InputError: something in ``directory`` cannot be used.
    """
    credentials = ensure_credentials(directory, domain)
    handed, stored = directory / "prosody" / "handed", directory / "prosody" / "stored"
    hand_over(credentials, handed)
    stored.mkdir(parents=True, exist_ok=True)
    stored.chmod(0o700)
    write_verifiers(handed / "accounts.json", ensure_secrets(directory / SECRETS_FOLDER, accounts))
    port = port or free_port()
    connection_to(directory, domain, credentials, port).save(directory / CONNECTION_FILE)
    record = directory.absolute() / RECORD_FILE
    given = {
        "DOMAIN": domain,
        "HANDOUT": str(handed.absolute()),
        "DATA": str(stored.absolute()),
        "AUDIT": str(record) if record.exists() else "none",
        "MODULES": str(MODULES),
        "INTERFACE": LOOPBACK,
        "XMPP_PORT": str(port),
        "XMPP_LOG": "warn",
        "UNLIMITED": " ".join(name for name in accounts if name in COORDINATORS),
    }
    own = {name: os.environ[name] for name in _FORWARDED if name in os.environ}
    return own | {f"PEERWATT_{name}": value for name, value in given.items()}


def run(directory: Path, domain: str, accounts_file: Path, port: int) -> int:
    """Become Prosody: this process goes on as it, and ends when the process that started it does.

    What Prosody says goes to standard error; standard output stays open, silent, for as long as it runs.

    Returns:
        1 with a line on standard error if that is not possible; otherwise it does not return.
    """
    try:
        prosody = installed_prosody()
        directory.mkdir(parents=True, exist_ok=True)
        environment = prepared(directory, domain, load_accounts(accounts_file), port)
        _end_with_parent()
        os.set_inheritable(os.dup(sys.stdout.fileno()), True)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        os.execve(prosody, [prosody, "-F", "--config", str(CONFIGURATION)], environment)
    except (PeerwattError, OSError) as error:
        print(f"xmpp server: {error}", file=sys.stderr)
    return 1


def _end_with_parent() -> None:
    """Be asked to stop when the parent ends, however it does; standard input is a pipe that it holds."""
    ask_to_end_with_parent()
    if select.select([sys.stdin], [], [], 0)[0]:  # it has ended before that was asked for
        raise PeerwattError("the process that started this one is gone")
