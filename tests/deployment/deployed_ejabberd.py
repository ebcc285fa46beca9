"""A real ejabberd on this machine with a prepared run's deployment: one node, or a cluster of two."""

from __future__ import annotations

from runtime.deployment.deployment import Deployment
from runtime.messaging.connection import Connection
from runtime.xmpp.ejabberd.local import LocalServer, local_nodes, spread_over


class DeployedEjabberd:
    def __init__(self, deployment: Deployment, nodes: int = 1) -> None:
        self.deployment = deployment
        self.connection: Connection = spread_over(deployment.outside(), nodes)
        self.audit = deployment.run.server_dir / "messages.jsonl"
        self.audit.parent.mkdir(exist_ok=True)
        described = local_nodes(
            deployment.path / "nodes",
            deployment.server_dir,
            self.connection.domain,
            nodes,
            self.connection.port,
            self.audit,
        )
        self.server = LocalServer.of(described, deployment.run.path)

    @property
    def ended(self) -> list[int]:
        """Exit codes of nodes that have ended."""
        codes = [each.process.poll() for each in self.server.nodes if each.process is not None]
        return [code for code in codes if code is not None]

    def __enter__(self) -> DeployedEjabberd:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()
