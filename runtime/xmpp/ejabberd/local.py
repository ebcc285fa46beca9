"""ejabberd on this machine: each node a process of its own, on a loopback address of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from runtime.errors import FleetError
from runtime.messaging.connection import Connection
from runtime.xmpp.ejabberd.node import WITH_PARENT, Node, ensure_cookie
from runtime.xmpp.handshake import serves
from runtime.xmpp.local import free_port

READY_LIMIT_S = 60.0
STOP_LIMIT_S = 20.0


def loopback_hosts(count: int) -> list[str]:
    """An address of this machine for each node, from 127.0.0.1 on."""
    return [f"127.0.0.{number}" for number in range(1, count + 1)]


def local_nodes(
    directory: Path,
    handout: Path,
    domain: str,
    count: int,
    port: int,
    audit: Path | None,
    unlimited: Sequence[str] = ("coordinator",),
    log_level: str = "info",
) -> list[Node]:
    """Describe the nodes of a server on this machine.

    Args:
        directory: keeps what each node keeps, in folders of their own.
        handout: ca.pem, server.pem, server.key.pem and accounts.json; the nodes' cookie is made there.
        domain: of all JIDs.
        count: of nodes; one alone is no cluster and listens for no other.
        port: for clients, the same at each node's address.
        audit: record of messages, which all nodes append to; None: there is none.
        unlimited: accounts without a rate limit.
        log_level: least important level to log.

    Raises:
        FleetError: no port is free for the nodes among themselves.
    """
    hosts = loopback_hosts(count)
    names = tuple(f"ejabberd@{host}" for host in hosts) if count > 1 else ()
    if names:
        ensure_cookie(handout)
    nodes_port = free_port(hosts)
    return [
        Node(
            domain=domain,
            handout=handout.absolute(),
            data=(directory / host / "stored").absolute(),
            audit=audit.absolute() if audit else None,
            work=(directory / host / "work").absolute(),
            interface=host,
            port=port,
            unlimited=tuple(unlimited),
            log_level=log_level,
            name=f"ejabberd@{host}" if names else "",
            nodes=names,
            nodes_port=nodes_port,
            nodes_interface=host,
        )
        for host in hosts
    ]


def spread_over(connection: Connection, count: int) -> Connection:
    """The connection of a server of ``count`` nodes on this machine: agents are spread over all of them."""
    first, *further = loopback_hosts(count)
    return connection.model_copy(update={"host": first, "further_hosts": tuple(further)})


@dataclass
class NodeProcess:
    """A node that runs on this machine.

    Attributes:
        node: what it is told.
        log: file that its output is appended to.
        process: the latest one.
        end: readable, at its end, once that one and all that it started have gone.
    """

    node: Node
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    end: BinaryIO | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it, again if it has ended; ``await_ready`` waits until it takes logins."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.end is not None:
            self.end.close()
        read, write = os.pipe()
        self.end = os.fdopen(read, "rb")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "runtime.xmpp.ejabberd", WITH_PARENT, str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.node.environment()},
                pass_fds=[write],
                start_new_session=True,
            )
        os.close(write)

    @property
    def exit_code(self) -> int | None:
        """Exit code of the latest process, negative if a signal killed it; None while it runs, or before."""
        return self.process.poll() if self.process else None

    def await_ready(self) -> None:
        """Wait until it takes logins, as a node of the cluster if it is one.

        Raises:
            FleetError: it ended, or was not ready in time.
        """
        deadline_s = time.monotonic() + READY_LIMIT_S
        # It listens long before it answers.
        while not self.serves():
            if self.process is None or self.process.poll() is not None:
                raise FleetError(f"ejabberd did not start, see {self.log}")
            if time.monotonic() > deadline_s:
                raise FleetError(f"ejabberd was not ready within {READY_LIMIT_S:g} s, see {self.log}")
            time.sleep(0.05)

    def serves(self) -> bool:
        """Whether it takes logins."""
        handout = self.node.handout
        return serves(
            Connection(
                domain=self.node.domain,
                host=self.node.interface,
                port=self.node.port,
                ca_file=handout / "ca.pem",
                secrets_dir=handout,
            )
        )

    def stop(self) -> None:
        """Ask it to end, and wait; one that does not is killed."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOP_LIMIT_S)


@dataclass
class LocalServer:
    """All nodes of a server on this machine, by their ``local_nodes``."""

    nodes: list[NodeProcess]

    @classmethod
    def of(cls, nodes: Sequence[Node], log_dir: Path) -> LocalServer:
        """Prepare the processes of nodes, each with a log of its own."""
        return cls([NodeProcess(node, log_dir / f"ejabberd-{node.interface}.log") for node in nodes])

    def start(self) -> None:
        """Start all and wait until they take logins.

        Raises:
            FleetError: one did not come up.
        """
        for each in self.nodes:
            each.start()
        for each in self.nodes:
            each.await_ready()

    def stop(self) -> None:
        """Stop all."""
        for each in self.nodes:
            each.stop()
