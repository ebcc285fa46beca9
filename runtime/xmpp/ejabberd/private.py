"""ejabberd of one run's own: installed on this machine, in private directories, on loopback addresses.

``DIR`` holds what the embedded server's does (authority, certificate, secrets, connection.json), and::

    ejabberd/handed/          what its nodes are handed: ca.pem, server.pem, server.key.pem, accounts.json
                              (verifiers), and of several nodes their cookie
    ejabberd/127.0.0.N/       what node N keeps: stored/, and work/, which is made anew at each start
"""

from __future__ import annotations

from pathlib import Path

from runtime.deployment.verifiers import write_verifiers
from runtime.messagelog.server_record import RECORD_FILE
from runtime.messaging.secrets import ensure_secrets
from runtime.rundir import COORDINATORS
from runtime.xmpp.authority import ensure_credentials
from runtime.xmpp.ejabberd.local import local_nodes, loopback_hosts, spread_over
from runtime.xmpp.ejabberd.node import Node, installed_libraries
from runtime.xmpp.local import CONNECTION_FILE, DOMAIN, SECRETS_FOLDER, connection_to, free_port, hand_over

_LEAST_LEVEL = "warning"


def prepared_nodes(directory: Path, accounts: list[str], count: int, port: int = 0) -> list[Node]:
    """Make what the nodes need in ``directory``; what is there is kept.

    Args:
        directory: of the server.
        accounts: local parts of all accounts.
        count: of nodes.
        port: for clients, on each node's own loopback address; 0 for any that is free on all.

    Raises:
        InputError: ejabberd is not installed, or something in ``directory`` cannot be used.
        FleetError: no port is free.
    """
    installed_libraries()
    credentials = ensure_credentials(directory, DOMAIN)
    nodes_dir = directory / "ejabberd"
    handed = nodes_dir / "handed"
    hand_over(credentials, handed)
    write_verifiers(handed / "accounts.json", ensure_secrets(directory / SECRETS_FOLDER, accounts))
    port = port or free_port(loopback_hosts(count))
    connection = connection_to(directory, DOMAIN, credentials, port)
    spread_over(connection, count).save(directory / CONNECTION_FILE)
    record = directory / RECORD_FILE
    return local_nodes(
        nodes_dir,
        handed,
        DOMAIN,
        count,
        port,
        record if record.exists() else None,
        [name for name in accounts if name in COORDINATORS],
        _LEAST_LEVEL,
    )
