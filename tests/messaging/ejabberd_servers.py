"""A real ejabberd on loopback addresses, as deployments run it: one node, or two with agents on both."""

from pathlib import Path

from runtime.deployment.verifiers import write_verifiers
from runtime.messaging.connection import Connection
from runtime.messaging.secrets import ensure_secrets
from runtime.xmpp.authority import ensure_credentials
from runtime.xmpp.ejabberd.local import LocalServer, local_nodes, loopback_hosts, spread_over
from runtime.xmpp.local import free_port


class EjabberdProcesses:
    def __init__(self, directory: Path, domain, accounts, record: Path | None = None, *, nodes=1):
        credentials = ensure_credentials(directory, domain)
        write_verifiers(directory / "accounts.json", ensure_secrets(directory / "secrets", accounts))
        port = free_port(loopback_hosts(nodes))
        connection = Connection(
            domain=domain,
            host="127.0.0.1",
            port=port,
            ca_file=credentials.ca_file,
            secrets_dir=directory / "secrets",
        )
        self.connection = spread_over(connection, nodes)
        audit = record or directory / "messages.jsonl"
        described = local_nodes(directory / "nodes", directory, domain, nodes, port, audit)
        self.server = LocalServer.of(described, directory)

    def start(self):
        self.server.start()
        return self.connection

    def kill(self):
        for node in self.server.nodes:
            node.kill()
