"""Which XMPP server a fleet is on: one that it starts, or one that others run; kept with the run."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, get_args

from pydantic import Field

from runtime.configuration import Configuration
from runtime.errors import FleetError
from runtime.fleet.children import SERVER_READY_LIMIT_S, Child, ServerChild, Told
from runtime.fleet.ejabberd import EjabberdChildren
from runtime.messaging.connection import Connection
from runtime.rundir import RunDirectory
from runtime.xmpp.accounts import load_accounts
from runtime.xmpp.handshake import serves
from runtime.xmpp.local import CONNECTION_FILE, free_port

ServerKind = Literal["embedded", "prosody", "ejabberd", "existing"]
"""The embedded server, an installed Prosody or ejabberd in a private directory, or one that others run."""

OwnServerKind = Literal["embedded", "prosody", "ejabberd"]
"""Those of them that a fleet starts itself."""

OWN_SERVERS: dict[str, OwnServerKind] = {kind: kind for kind in get_args(OwnServerKind)}
"""The same, by what a person calls them."""

MOST_NODES = 16
"""Of a cluster on one machine."""

PER_ACCOUNT_S = 0.02
"""How much longer Prosody may take to be ready for each account."""

_LOOK_EVERY_S = 0.05


class Server(Child, Protocol):
    """The XMPP server of a fleet.

    Attributes:
        port: it listens on; 0 before it was started. Started again it takes the same.
    """

    port: int

    @property
    def carries_on(self) -> bool:
        """Whether a part of it still runs, to which agents go meanwhile."""

    def await_ready(self) -> None:
        """Wait until the server, started, takes logins.

        Raises:
            FleetError: it ended or did not get ready in time.
        """


@dataclass
class ProsodyChild(ServerChild):
    """An installed Prosody of the run's own: ``python -m runtime.xmpp.prosody``, which becomes it."""

    MODULE: ClassVar[str] = "runtime.xmpp.prosody"

    def start(self) -> None:
        """Start the process; ``await_ready`` waits until it takes logins."""
        self.port = self.port or free_port()
        super().start()

    def await_ready(self) -> None:
        """Wait until Prosody takes logins.

        Raises:
            FleetError: it ended or did not get ready in time.
        """
        assert self._process is not None, "await_ready comes after start"
        # It is given verifiers of all accounts first, which takes a thousand members' some seconds.
        limit_s = SERVER_READY_LIMIT_S + PER_ACCOUNT_S * len(load_accounts(self.accounts_path))
        deadline_s = time.monotonic() + limit_s
        while not self._serves():
            if self.exit_code() is not None:
                raise FleetError(f"the XMPP server did not start: {self.last_words()}")
            if time.monotonic() > deadline_s:
                raise FleetError(f"the XMPP server was not ready within {limit_s:g} s: {self.last_words()}")
            time.sleep(_LOOK_EVERY_S)

    def terminate(self) -> None:
        """Ask it to stop; it ends its streams and stores what waits."""
        if self.exit_code() is None and self._process is not None:
            self._process.send_signal(signal.SIGTERM)
        super().terminate()

    def _serves(self) -> bool:
        """Whether it is this one, and not what an earlier start or another process left there."""
        path = self.directory / CONNECTION_FILE
        if not path.is_file():
            return False
        connection = Connection.load(path)
        return connection.port == self.port and serves(connection)


@dataclass
class ExistingServer:
    """A server that somebody else runs: there before the fleet and after it, no process of the fleet."""

    name: str = "xmpp server"
    port: int = 0
    pid: int | None = None
    waitables: list[Any] = field(default_factory=list)
    carries_on: bool = True

    def start(self) -> None:
        """Nothing: it runs."""

    def await_ready(self) -> None:
        """Nothing: agents dial until it takes them."""

    def news(self) -> list[Told]:
        """Nothing."""
        return []

    def exit_code(self) -> int | None:
        """None: it runs."""
        return None

    def ended(self) -> dict[str, int]:
        """Nothing: it runs."""
        return {}

    def terminate(self) -> None:
        """Nothing: it is not ours to stop."""

    def kill(self) -> None:
        """Nothing."""

    def wait(self, timeout_s: float) -> bool:
        """There is nothing to wait for."""
        return True

    def last_words(self) -> str:
        """Nothing."""
        return ""


class ServerChoice(Configuration):
    """Which server a run is on.

    Attributes:
        kind: of server; where an existing one is reached is in the run's ``server`` folder.
        nodes: of how many it is, if it is ejabberd.
    """

    kind: ServerKind
    nodes: int = Field(default=1, ge=1, le=MOST_NODES)


ServerWanted = ServerKind | ServerChoice
"""A kind of server, or of how many nodes it is too."""


def most_nodes_of(kind: str) -> int:
    """Of how many nodes a server of a kind can be."""
    return MOST_NODES if kind == "ejabberd" else 1


def check_installed(kind: ServerKind) -> None:
    """See that a server that a fleet starts itself is on this machine.

    Raises:
        InputError: it is not.
    """
    if kind == "prosody":
        from runtime.xmpp.prosody.private import installed_prosody

        installed_prosody()
    if kind == "ejabberd":
        from runtime.xmpp.ejabberd.node import installed_libraries

        installed_libraries()


def keep_server(directory: RunDirectory, server: ServerWanted, nodes: int = 1) -> None:
    """Have a run's fleet, now and when it is resumed, be on such a server.

    Args:
        directory: a run whose configuration is not complete yet. The embedded server needs no file.
        server: which.
        nodes: of how many it is, if it is ejabberd and ``server`` does not say.
    """
    choice = server if isinstance(server, ServerChoice) else ServerChoice(kind=server, nodes=nodes)
    if choice.kind == "embedded":
        directory.server_config.unlink(missing_ok=True)  # of an attempt before this
    else:
        choice.save(directory.server_config)


def server_kind_of(directory: RunDirectory) -> ServerKind:
    """Which server a run is on.

    Raises:
        InputError: the run's file that says so is damaged.
    """
    path = directory.server_config
    return ServerChoice.load(path).kind if path.is_file() else "embedded"


def server_of(directory: RunDirectory, errors_name: str = "xmpp-server") -> Server:
    """The server of a run, not yet started.

    Args:
        directory: the run.
        errors_name: name of the file in the run's logs in which a server of its own complains.

    Raises:
        InputError: the run's file that says which is damaged.
    """
    kind = server_kind_of(directory)
    if kind == "existing":
        return ExistingServer()
    given = directory.server_dir, directory.accounts_json, directory.logs_dir / f"{errors_name}.stderr"
    if kind == "ejabberd":
        return EjabberdChildren(*given, count=ServerChoice.load(directory.server_config).nodes)
    return (ProsodyChild if kind == "prosody" else ServerChild)(*given)
