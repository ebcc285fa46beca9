"""Which XMPP server a command's fleets are on: what ``--xmpp`` and ``--accounts`` say."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from runtime.errors import InputError
from runtime.wording import counted

if TYPE_CHECKING:
    from runtime.deployment.address import Address
    from runtime.fleet.servers import OwnServerKind
    from runtime.rundir import RunDirectory
    from runtime.scenario.resolved import ResolvedScenario

XMPP_HELP = (
    "XMPP server: embedded, prosody or ejabberd (installed, here in a private directory), or HOST[:PORT] of "
    "one that you run, with --accounts."
)

OWN_XMPP_HELP = "XMPP server of each run: embedded, or an installed prosody or ejabberd."

NODES_HELP = "Nodes of a cluster that ejabberd is to be; agents are spread over them."

ACCOUNTS_HELP = "Accounts on a server that you run; `peerwatt xmpp accounts` writes such a file."


@dataclass(frozen=True)
class OwnServer:
    """A server that the fleet starts itself.

    Attributes:
        kind: the embedded one, or an installed one.
        nodes: of how many it is, if it is ejabberd.
    """

    kind: OwnServerKind = "embedded"
    nodes: int = 1

    def check(self, resolved: ResolvedScenario) -> None:
        """See that it can be started.

        Raises:
            InputError: it is not installed.
        """
        from runtime.fleet.servers import check_installed

        check_installed(self.kind)

    def keep(self, directory: RunDirectory) -> None:
        """Have a run's fleet be on it; its configuration is not complete yet."""
        from runtime.fleet.servers import keep_server

        keep_server(directory, self.kind, self.nodes)


class ServerOfOthers:
    """A server that somebody else runs, with accounts as a file says."""

    def __init__(self, address: Address, accounts_path: Path) -> None:
        """Read the accounts.

        Raises:
            InputError: as ``ServerAccounts.load``.
        """
        from runtime.xmpp.existing.accounts_file import ServerAccounts

        self.address = address
        self.accounts_path = accounts_path
        self.accounts = ServerAccounts.load(accounts_path)

    def check(self, resolved: ResolvedScenario) -> None:
        """See that all accounts are there, and log in with each; what waited for them is dropped.

        Raises:
            InputError: accounts are missing, or cannot be used.
        """
        from runtime.xmpp.existing.needed import known_accounts, needed_accounts

        coordinator = resolved.coordinator_config()
        needed = needed_accounts(coordinator, resolved.meters_config())
        known = known_accounts(coordinator)
        self.accounts.check_complete(self.accounts_path, needed)
        if others := [account for account in self.accounts.passwords if account not in known]:
            typer.echo(
                f"notice: {self.accounts_path}: not of this community, not used: {', '.join(others)}",
                err=True,
            )
        self.accounts = self.accounts.only(known)
        self.log_in(takes_messages=True)

    def log_in(self, *, takes_messages: bool) -> None:
        """Log in with every account, and leave again.

        Args:
            takes_messages: drop what waits for them.

        Raises:
            InputError: as ``check_logins``.
        """
        from runtime.xmpp.existing.joining import check_logins, lay_out

        with tempfile.TemporaryDirectory(prefix="peerwatt-") as folder:
            connection = lay_out(Path(folder), self.address, self.accounts, self.accounts_path)
            waited = check_logins(connection, [*self.accounts.passwords], takes_messages=takes_messages)
        if waited:
            typer.echo(
                f"notice: dropped {counted(waited, 'message')} that waited from an earlier run", err=True
            )

    def keep(self, directory: RunDirectory) -> None:
        """Have a run's fleet be on it; its configuration is not complete yet."""
        from runtime.fleet.servers import keep_server
        from runtime.xmpp.existing.joining import lay_out

        lay_out(directory.server_dir, self.address, self.accounts, self.accounts_path)
        keep_server(directory, "existing")


def own_server_kind(xmpp: str) -> OwnServerKind:
    """Read ``--xmpp`` of a command that runs many fleets, each on a server of its own.

    Raises:
        InputError: it is none of these, or is not installed.
    """
    from runtime.fleet.servers import OWN_SERVERS, check_installed

    kind = OWN_SERVERS.get(xmpp)
    if kind is None:
        raise InputError(f"--xmpp: found {xmpp!r}, expected {', '.join(OWN_SERVERS)}: each run has its own")
    check_installed(kind)
    return kind


def check_nodes(xmpp: str, nodes: int) -> None:
    """See that a server can be of so many nodes, as ``--xmpp`` and ``--xmpp-nodes`` say.

    Raises:
        InputError: it cannot.
    """
    from runtime.fleet.servers import MOST_NODES, most_nodes_of

    if not 1 <= nodes <= most_nodes_of(xmpp):
        raise InputError(
            f"--xmpp-nodes: found {nodes} with --xmpp {xmpp}, expected 1, or up to {MOST_NODES} with "
            "--xmpp ejabberd"
        )


def chosen_server(
    xmpp: str, accounts: Path | None = None, *, server_record: bool = False, nodes: int = 1
) -> OwnServer | ServerOfOthers:
    """Read the options.

    Args:
        xmpp: ``embedded``, ``prosody``, ``ejabberd`` or ``HOST[:PORT]``.
        accounts: file of accounts.
        server_record: whether the server is to keep a record.
        nodes: of how many nodes ejabberd is to be.

    Raises:
        InputError: they do not go together, or the file cannot be used.
    """
    from runtime.fleet.servers import OWN_SERVERS

    check_nodes(xmpp, nodes)
    if kind := OWN_SERVERS.get(xmpp):
        if accounts is not None:
            raise InputError(
                f"--accounts: found {accounts}, expected --xmpp HOST[:PORT] with it: of --xmpp {xmpp} a run "
                "makes the accounts itself"
            )
        return OwnServer(kind, nodes)
    from runtime.deployment.address import Address

    address = Address.parse(xmpp, "--xmpp")
    if server_record:
        raise InputError(
            f"--server-record: expected --xmpp embedded, prosody or ejabberd with it, found {xmpp}, which "
            "keeps what its configuration says; if that has mod_peerwatt_audit, see `verify --server-record`"
        )
    if accounts is None:
        raise InputError(
            f"--xmpp {xmpp}: expected embedded, prosody, ejabberd, or a server with --accounts FILE; "
            "`peerwatt xmpp accounts SCENARIO --domain DOMAIN` writes one"
        )
    return ServerOfOthers(address, accounts)


def check_server_again(
    directory: RunDirectory, xmpp: str | None = None, accounts: Path | None = None
) -> None:
    """See that the server that a run was made with can be gone on with.

    Args:
        directory: the run, which none of its processes is at work on.
        xmpp: where a server of others is reached now, if that has changed.
        accounts: its accounts, if passwords have changed.

    Raises:
        InputError: it cannot, or the options are not for it.
    """
    from runtime.fleet.resume import connection_again
    from runtime.fleet.servers import check_installed, server_kind_of

    kind = server_kind_of(directory)
    if kind != "existing":
        if xmpp is not None or accounts is not None:
            raise InputError(
                f"--xmpp, --accounts: this run is on a server of its own ({kind}), expected neither"
            )
        check_installed(kind)
        return
    from runtime.configuration import CoordinatorConfig
    from runtime.deployment.address import Address
    from runtime.xmpp.existing.accounts_file import ServerAccounts
    from runtime.xmpp.existing.joining import check_logins, lay_out
    from runtime.xmpp.existing.needed import known_accounts, needed_by
    from runtime.xmpp.local import CONNECTION_FILE

    needed = needed_by(directory)
    connection = connection_again(directory, own_server=False)
    if connection is None:
        raise InputError(f"{directory.server_dir / CONNECTION_FILE}: missing; the run began with it")
    if xmpp is not None:
        address = Address.parse(xmpp, "--xmpp")
        connection = connection.model_copy(update={"host": address.host, "port": address.port})
    if accounts is not None:
        given = ServerAccounts.load(accounts)
        if given.domain != connection.domain:
            raise InputError(
                f"{accounts}: domain: found {given.domain}, expected the run's: {connection.domain}"
            )
        given.check_complete(accounts, needed)
        given = given.only(known_accounts(CoordinatorConfig.load(directory.coordinator_config)))
        at = Address(connection.host, connection.port)
        with tempfile.TemporaryDirectory(prefix="peerwatt-") as folder:  # what is refused replaces nothing
            tried = lay_out(Path(folder), at, given, accounts)
            check_logins(tried, needed, takes_messages=False)
        lay_out(directory.server_dir, at, given, accounts)
        return
    check_logins(connection, needed, takes_messages=False)
    connection.save(directory.server_dir / CONNECTION_FILE)
