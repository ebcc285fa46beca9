"""What the containers of a deployment have in common, whichever engine runs them."""

from __future__ import annotations

from runtime.deployment.address import CLIENT_PORT
from runtime.deployment.holders import METERS, prosumer
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


def process_command(holder: str, run: str) -> list[str]:
    """Command of the container of a process of the fleet.

    Args:
        holder: a coordinator, the meters or ``prosumer-MEMBER``.
        run: the run's folder in the container.
    """
    given = ["--run", run, "--handout", HANDOUT]
    if holder == COORDINATOR:
        return ["sh", "/opt/peerwatt/fleet/coordinate.sh", run, HANDOUT]
    if holder in COORDINATORS:
        return ["python", "-m", "coordinator", "run", *given, "--account", holder]
    if holder == METERS:
        return ["python", "-m", "agents", "meters", *given]
    return ["python", "-m", "agents", "prosumer", *given, "--member", holder.removeprefix(prosumer(""))]


def health_command(domain: str) -> str:
    """Shell command that fails unless the server here does a whole TLS handshake as ``domain``."""
    return (
        f"openssl s_client -connect 127.0.0.1:{CLIENT_PORT} -starttls xmpp -xmpphost {domain} "
        f"-CAfile {HANDOUT}/ca.pem -verify_hostname {domain} -verify_return_error "
        "< /dev/null > /dev/null 2>&1"
    )
