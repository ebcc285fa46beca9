"""The ejabberd of a fleet: one process for each of its nodes, which the supervisor takes for one server."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.fleet.children import Told, last_complaint_in

if TYPE_CHECKING:
    from runtime.xmpp.ejabberd.local import NodeProcess


SERVER_NAME = "xmpp server"
"""Name of the XMPP server among a fleet's processes; nodes of several have their number after it."""


@dataclass
class EjabberdChildren:
    """The nodes of an installed ejabberd of the run's own; one that ends is started again, and joins again.

    Attributes:
        directory: of the server.
        accounts_path: file with the local parts of all accounts.
        errors_path: file in which they complain; each node's name is put before its ending.
        count: of nodes.
        port: for clients, at each node's address; 0 before the start. Started again they take the same.
    """

    directory: Path
    accounts_path: Path
    errors_path: Path
    count: int = 1
    name: str = SERVER_NAME
    port: int = 0
    nodes: list[NodeProcess] = field(default_factory=list)

    @property
    def pid(self) -> int | None:
        """Process id of the first node, None before the start."""
        return self.pids[0] if self.pids else None

    @property
    def pids(self) -> list[int]:
        """Process ids of all nodes that were started."""
        return [node.process.pid for node in self.nodes if node.process is not None]

    @property
    def running_pids(self) -> list[int]:
        """Process ids of the nodes that run."""
        return [node.process.pid for node in self._running() if node.process is not None]

    @property
    def waitables(self) -> list[Any]:
        """The end of each node."""
        return [node.end for node in self.nodes if node.end is not None]

    @property
    def carries_on(self) -> bool:
        """Whether a node runs."""
        return bool(self._running())

    def prepare(self) -> None:
        """Make what the nodes need, unless that was done: ``start`` does it else.

        Raises:
            InputError: ejabberd is not installed, or something of an earlier start cannot be used.
            FleetError: no port is free.
        """
        if self.nodes:
            return
        # Certificates and their library are for whoever starts a server; other runs need not load them.
        from runtime.xmpp.accounts import load_accounts
        from runtime.xmpp.ejabberd.local import NodeProcess
        from runtime.xmpp.ejabberd.private import prepared_nodes

        self.directory.mkdir(parents=True, exist_ok=True)
        described = prepared_nodes(self.directory, load_accounts(self.accounts_path), self.count, self.port)
        self.port = described[0].port
        stem, suffix = self.errors_path.stem, self.errors_path.suffix
        numbers = range(1, len(described) + 1)
        logs = [self.errors_path.with_name(f"{stem}-{number}{suffix}") for number in numbers]
        self.nodes = [NodeProcess(node, log) for node, log in zip(described, logs, strict=True)]

    def start(self) -> None:
        """Start the nodes that do not run; ``await_ready`` waits until they take logins."""
        self.prepare()
        for node in self.nodes:
            if node.process is None or node.exit_code is not None:
                node.start()

    def await_ready(self) -> None:
        """Wait until all nodes take logins.

        Raises:
            FleetError: one ended or did not get ready in time.
        """
        for node in self.nodes:
            node.await_ready()

    def news(self) -> list[Told]:
        """Nothing."""
        return []

    def exit_code(self) -> int | None:
        """Exit code of a node that has ended, None while all run."""
        return next(iter(self.ended().values()), None)

    def ended(self) -> dict[str, int]:
        """Exit codes of the nodes that have ended, by name: ``xmpp server``, of several ``xmpp server 1``."""
        codes = enumerate((node.exit_code for node in self.nodes), start=1)
        several = len(self.nodes) > 1
        return {f"{self.name} {n}" if several else self.name: code for n, code in codes if code is not None}

    def terminate(self) -> None:
        """Ask all nodes to stop."""
        for node in self._running():
            if node.process is not None:
                node.process.terminate()

    def kill(self) -> None:
        """Make all nodes stop."""
        for node in self._running():
            node.kill()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end of all nodes; True if they have ended."""
        deadline_s = time.monotonic() + timeout_s
        while self._running():
            if time.monotonic() > deadline_s:
                return False
            time.sleep(0.02)
        return True

    def last_words(self) -> str:
        """What a node that has ended complained of last."""
        ended = [node for node in self.nodes if node.exit_code is not None]
        return last_complaint_in(ended[0].log) if ended else ""

    def _running(self) -> list[NodeProcess]:
        return [node for node in self.nodes if node.process is not None and node.exit_code is None]
