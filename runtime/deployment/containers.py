"""What the containers of a deployment have in common, whichever engine runs them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.deployment.address import CLIENT_PORT, Address
from runtime.deployment.holders import METERS
from runtime.rundir import COORDINATOR, COORDINATORS

HANDOUT = "/run/peerwatt"
"""Where a container finds what it is handed."""

RUNS_DIR = "/runs"
"""Where a container keeps runs."""

STORED_DIR = "/var/lib/peerwatt"
"""Where the XMPP server keeps messages that wait for agents that are away."""

AUDIT_DIR = "/var/log/peerwatt"
"""Where the XMPP server keeps its own record of messages."""

SERVER = "xmpp"
"""Name of the XMPP server's service."""

SERVER_COMMAND = ["prosody", "-F"]
"""What the XMPP server's container runs."""

NODE_COMMAND = ["python", "-m", "runtime.xmpp.ejabberd"]
"""What the container of a node of ejabberd runs, where one server is not enough."""

NODE_SCRIPT = ["sh", "/opt/peerwatt/fleet/node.sh"]
"""The same in a swarm, which names a container to others only when it is healthy."""

DASHBOARD_PORT = 8765
"""Where the dashboard listens in its container."""

SIGNS_DIR = Path("/tmp/life")
"""Where a container's process gives signs of life, by the image's environment (``runtime.signs_of_life``)."""

SIGN_FRESH_S = 30.0
"""A process whose last sign is older than this hangs."""

START_LIMIT_S = 1800
"""How long a process may take up what its log holds, before an engine that restarts what hangs would [s]."""


def process_command(holder: str, run: str, members: Sequence[str] = ()) -> list[str]:
    """Command of the container of a process of the fleet.

    Args:
        holder: a coordinator, the meters, or a process that serves members.
        run: the run's folder in the container.
        members: those that it serves.
    """
    given = ["--run", run, "--handout", HANDOUT]
    if holder == COORDINATOR:
        return ["sh", "/opt/peerwatt/fleet/coordinate.sh", run, HANDOUT]
    if holder in COORDINATORS:
        return ["python", "-m", "coordinator", "run", *given, "--account", holder]
    if holder == METERS:
        return ["python", "-m", "agents", "meters", *given]
    served = [word for member in members for word in ("--member", member)]
    return ["python", "-m", "agents", "prosumer", *given, *served]


def dashboard_command(run: str, outside: Address, host: str = "0.0.0.0") -> list[str]:
    """Command of the dashboard's container, which asks for the token in its handout.

    Args:
        run: the run's folder in the container.
        outside: where it is reached.
        host: address to listen on in the container.
    """
    return ["sh", "/opt/peerwatt/fleet/watch.sh", run, HANDOUT, str(outside), host]


def health_command(domain: str) -> str:
    """Shell command that fails unless the server here does a whole TLS handshake as ``domain``."""
    return (
        f"openssl s_client -connect 127.0.0.1:{CLIENT_PORT} -starttls xmpp -xmpphost {domain} "
        f"-CAfile {HANDOUT}/ca.pem -verify_hostname {domain} -verify_return_error "
        "< /dev/null > /dev/null 2>&1"
    )


def sign_command(sign: Path, fresh_s: float = SIGN_FRESH_S) -> str:
    """Shell command that fails unless a sign of life was given within ``fresh_s`` [s]; costs no Python."""
    return f"find {sign} -mmin -{fresh_s / 60:g} 2> /dev/null | grep -q ."
