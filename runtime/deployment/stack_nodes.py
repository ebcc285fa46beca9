"""A server of several nodes in a swarm: ejabberd, where one Prosody is not enough.

Each node is a service, so it has a lasting name and volumes of its own. The nodes reach each other on a
network that nobody else is on, by names that only this network knows; agents dial them on the fleet's, each
its own node first and the others when that one is gone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from runtime.deployment.address import CLIENT_PORT
from runtime.deployment.containers import AUDIT_DIR, NODE_SCRIPT, SERVER, STORED_DIR
from runtime.errors import InputError

NODES = "nodes"
"""Network of the server's nodes."""

START_LIMIT_MIN = 5
"""How long a node may wait for those before it and take over their tables, before it is replaced [min]."""

STOP_LIMIT_S = 20
"""How long a node may take to leave the others before it is killed [s]."""

MAX_PORT = 65535

_BEGUN = "/tmp/ejabberd/ejabberd.yml"
"""Written at each start, by a node that has begun (``Node.work``)."""

Service = dict[str, Any]


def server_hosts(count: int) -> list[str]:
    """Names by which agents dial the nodes, which are the nodes' services."""
    return [f"{SERVER}-{number}" for number in range(count)]


def published_port(number: int, port: int, hosts: int) -> int:
    """Port of its host at which a node is reached from outside.

    Args:
        number: of the node, from 0.
        port: of the first node; the first on each further host has the same.
        hosts: over how many the nodes are spread, at least one.
    """
    return port + number // hosts


def server_nodes(
    server: Service, domain: str, cookie: dict[str, Any], count: int, port: int, hosts: Sequence[str]
) -> dict[str, Service]:
    """Describe the nodes' services.

    Args:
        server: a server's service, with what every node is told, handed and asked for.
        domain: of all JIDs, and last part of the nodes' names.
        cookie: how a service mounts the secret by which nodes know each other.
        count: of nodes, at least two.
        port: at which the first is published on its host.
        hosts: of the swarm, over which nodes are spread; empty: all are on one.

    Raises:
        InputError: ports of nodes on one host would be beyond the last there is.
    """
    names = server_hosts(count)
    last_port = published_port(count - 1, port, len(hosts) or 1)
    if last_port > MAX_PORT:
        raise InputError(
            f"--outside: found port {port}, expected at most {MAX_PORT - last_port + port}: of {count} nodes "
            "those on one host have ports one after the other"
        )
    nodes = " ".join(f"ejabberd@{name}.{domain}" for name in names)
    services: dict[str, Service] = {}
    for number, name in enumerate(names):
        service = copy.deepcopy(server)
        service["command"] = [*NODE_SCRIPT]
        service["environment"] |= {"PEERWATT_NODE": f"ejabberd@{name}.{domain}", "PEERWATT_NODES": nodes}
        service["secrets"].append({**cookie})
        kept = [f"stored-{number}:{STORED_DIR}", f"audit-{number}:{AUDIT_DIR}"]
        service["volumes"] = [*kept, *(each for each in service["volumes"] if isinstance(each, dict))]
        service["networks"] = {"fleet": {}, NODES: {"aliases": [f"{name}.{domain}"]}}
        published = published_port(number, port, len(hosts) or 1)
        service["ports"] = [
            {"target": CLIENT_PORT, "published": published, "protocol": "tcp", "mode": "host"}
        ]
        service["healthcheck"]["test"] = ["CMD-SHELL", _health(server["healthcheck"]["test"][1])]
        service["stop_grace_period"] = f"{STOP_LIMIT_S}s"
        # Volumes and port are one container's at a time.
        service["deploy"]["update_config"] = {"parallelism": 1, "order": "stop-first"}
        services[name] = service
    return services


def nodes_network() -> dict[str, Any]:
    """The nodes' own network, from which nothing leads out; what they say there is under TLS of their own."""
    return {"driver": "overlay", "internal": True}


def nodes_volumes(count: int) -> dict[str, dict[str, Any]]:
    """Volumes that the nodes' services name."""
    return {f"{kind}-{number}": {} for number in range(count) for kind in ("stored", "audit")}


def _health(serves: str) -> str:
    """A node that begins is healthy before it serves: a swarm's DNS names what is healthy, and nothing else.

    Who is not named is not found by the other nodes, which it has to join before it can serve.
    """
    return f"[ ! -e {_BEGUN} ] || find {_BEGUN} -mmin -{START_LIMIT_MIN} | grep -q . || {serves}"
