"""A Docker Swarm stack: the fleet over several hosts, secrets and configuration in the swarm's own stores.

Secrets and configs of a swarm cannot be changed, so each is named after its content: a changed one is a new
one, and `docker stack deploy` restarts the services that use it and no others.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.deployment.address import CLIENT_PORT, Address
from runtime.deployment.archive import RUN_ARCHIVE, archive_run
from runtime.deployment.containers import (
    AUDIT_DIR,
    DASHBOARD_PORT,
    HANDOUT,
    RUNS_DIR,
    SERVER,
    SERVER_COMMAND,
    SIGNS_DIR,
    START_LIMIT_S,
    STORED_DIR,
    dashboard_command,
    health_command,
    process_command,
    sign_command,
)
from runtime.deployment.deployment import Deployment
from runtime.deployment.holders import DASHBOARD, prosumer
from runtime.deployment.stack_nodes import NODES, nodes_network, nodes_volumes, server_nodes
from runtime.errors import InputError
from runtime.fleet.packing import WORKER_PREFIX
from runtime.rundir import COORDINATOR, COORDINATORS
from runtime.signs_of_life import ALIVE
from runtime.xmpp.ejabberd.node import COOKIE_FILE, ensure_cookie

MAX_FILE_BYTES = 500_000
"""Most that a swarm takes as a secret or a config (Docker's documentation: 500 kB)."""

USER_ID = "1000"
"""The image's own user, to whom the files are handed."""

RESTART_POLICY = {"condition": "on-failure", "delay": "2s", "max_attempts": 10, "window": "1h"}
"""Of agents: they end with the market, and may fail now and then in the months before."""

TMP = {"type": "tmpfs", "target": "/tmp"}
"""Where a container may write beside its volumes; a swarm passes over a service's ``tmpfs``."""

Service = dict[str, Any]


@dataclass
class Files:
    """Files of a deployment as a swarm's secrets and configs.

    Attributes:
        folder: paths in the stack file are relative to this one.
        name: of the stack, which distinguishes its files from others'.
        secrets: by name.
        configs: by name.
    """

    folder: Path
    name: str
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    configs: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, path: Path, target: str, *, secret: bool) -> dict[str, Any]:
        """Take a file in; returns how a service mounts it at ``target``.

        Raises:
            InputError: it is larger than a swarm takes.
        """
        content = path.read_bytes()
        if len(content) > MAX_FILE_BYTES:
            raise InputError(
                f"{path}: found {len(content)} bytes, expected at most {MAX_FILE_BYTES}, which is all that a "
                "swarm hands a container as one file; use a shorter scenario, or compose files on each host"
            )
        key = f"{self.name}-{hashlib.sha256(content + target.encode()).hexdigest()[:24]}"
        kept = self.secrets if secret else self.configs
        kept[key] = {"file": _relative(path, self.folder)}
        mode = 0o400 if secret else 0o444
        return {"source": key, "target": target, "uid": USER_ID, "gid": USER_ID, "mode": mode}


def stack(
    deployment: Deployment,
    out: Path,
    image: str,
    nodes: Sequence[str],
    remote: Sequence[str] = (),
    dashboard_port: int | None = None,
    xmpp_nodes: int = 1,
) -> dict[str, Any]:
    """Describe a swarm stack.

    Args:
        deployment: made, of a prepared run; with several nodes of ejabberd, ``server_hosts`` are dialled.
        out: where the file will be saved; paths in it start from its folder.
        image: name of the image, which every node can pull or has.
        nodes: host names of the swarm's nodes, over which members are spread; the first runs server,
            coordinator and meters. Without one, all run on the manager.
        remote: members without a container here.
        dashboard_port: port of the first node at which the dashboard is published, to all who reach that
            node and know the token; without one there is no dashboard.
        xmpp_nodes: nodes of ejabberd that carry the community together, spread over the swarm's nodes; 1:
            Prosody does alone.

    Returns:
        The stack file's content.

    Raises:
        InputError: the deployment is not made, or a file is too large for a swarm.
    """
    outside = deployment.outside()
    run = f"{RUNS_DIR}/{deployment.run.path.resolve().name}"
    files = Files(out.resolve().parent, _stack_name(deployment))
    server = _server(deployment, files, image, outside.domain)
    services: dict[str, Service] = {SERVER: server}
    if xmpp_nodes > 1:
        ensure_cookie(deployment.server_dir)
        cookie = files.add(deployment.server_dir / COOKIE_FILE, f"{HANDOUT}/{COOKIE_FILE}", secret=True)
        services = server_nodes(server, outside.domain, cookie, xmpp_nodes, outside.port, nodes)
    else:
        server["ports"] = [
            {"target": CLIENT_PORT, "published": outside.port, "protocol": "tcp", "mode": "host"}
        ]
        server["networks"] = {"fleet": {"aliases": [outside.domain]}}
    servers = [*services]
    archive = archive_run(deployment)
    elsewhere = {prosumer(member) for member in remote}
    prosumers = deployment.prosumers()
    for holder, accounts in deployment.holders().items():
        if holder in elsewhere:
            continue
        folder = deployment.handout(holder)
        secrets = [
            files.add(folder / "secrets" / account, f"{HANDOUT}/secrets/{account}", secret=True)
            for account in accounts
        ]
        paths = [
            path for path in sorted(folder.rglob("*")) if path.is_file() and path.parent.name != "secrets"
        ]
        configs = [files.add(path, f"{HANDOUT}/{path.relative_to(folder)}", secret=False) for path in paths]
        if holder == COORDINATOR:
            configs.append(files.add(archive, f"{HANDOUT}/{RUN_ARCHIVE}", secret=False))
        services[holder] = {
            **_contained(image),
            "command": process_command(holder, run, prosumers.get(holder, ())),
            "secrets": secrets,
            "configs": configs,
            "networks": {"fleet": {}},
            "volumes": [f"runs:{RUNS_DIR}", {**TMP}],
            "healthcheck": _alive(),
            "deploy": {"restart_policy": {**RESTART_POLICY}},
        }
    if dashboard_port is not None:
        # Without names of hosts all are on one, with names the dashboard is on the first.
        taken = [services[name]["ports"][0]["published"] for name in servers[:: len(nodes) or 1]]
        if dashboard_port in taken:
            raise InputError(
                f"--dashboard-port: found {dashboard_port}, expected a port other than "
                f"{', '.join(map(str, taken))}, at which the server is reached (--outside)"
            )
        services[DASHBOARD] = _dashboard(deployment, files, image, run, dashboard_port)
    members = [name for name in services if name.startswith(("prosumer-", WORKER_PREFIX))]
    _place(services, nodes, members, servers)
    return {
        "version": "3.8",
        "services": services,
        "networks": {
            "fleet": {"driver": "overlay"},
            **({NODES: nodes_network()} if xmpp_nodes > 1 else {}),
            **({} if dashboard_port is None else {"dashboard": {"driver": "overlay"}}),
        },
        "volumes": {
            "runs": {},
            **(nodes_volumes(xmpp_nodes) if xmpp_nodes > 1 else {"stored": {}, "audit": {}}),
        },
        "secrets": files.secrets,
        "configs": files.configs,
    }


def _contained(image: str) -> Service:
    return {
        "image": image,
        "user": f"{USER_ID}:{USER_ID}",
        "cap_drop": ["ALL"],
        "read_only": True,
        "init": True,
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
    }


def _alive() -> Service:
    """A process that hangs is replaced; one without a connection is not, which would not bring it back."""
    return {
        "test": ["CMD-SHELL", sign_command(SIGNS_DIR / ALIVE)],
        "interval": "20s",
        "timeout": "10s",
        "retries": 3,
        "start_period": f"{START_LIMIT_S}s",
    }


def _dashboard(deployment: Deployment, files: Files, image: str, run: str, port: int) -> Service:
    return {
        **_contained(image),
        "command": dashboard_command(run, Address(deployment.outside().host, port)),
        "secrets": [files.add(deployment.dashboard_token, f"{HANDOUT}/token", secret=True)],
        "ports": [{"target": DASHBOARD_PORT, "published": port, "protocol": "tcp", "mode": "host"}],
        "networks": {"dashboard": {}},
        "volumes": [f"runs:{RUNS_DIR}:ro", {**TMP}],
        "healthcheck": _alive(),
        "deploy": {"restart_policy": {"condition": "any", "delay": "2s"}},
    }


def _server(deployment: Deployment, files: Files, image: str, domain: str) -> Service:
    folder = deployment.server_dir
    return {
        **_contained(image),
        "command": SERVER_COMMAND,
        "environment": {"PEERWATT_DOMAIN": domain, "PEERWATT_UNLIMITED": " ".join(COORDINATORS)},
        "secrets": [
            files.add(folder / name, f"{HANDOUT}/{name}", secret=True)
            for name in ("accounts.json", "server.key.pem")
        ],
        "configs": [
            files.add(folder / name, f"{HANDOUT}/{name}", secret=False) for name in ("ca.pem", "server.pem")
        ],
        "volumes": [f"stored:{STORED_DIR}", f"audit:{AUDIT_DIR}", {**TMP}],
        "healthcheck": {
            "test": ["CMD-SHELL", health_command(domain)],
            "interval": "5s",
            "timeout": "5s",
            "retries": 12,
        },
        # No virtual address between, which would drop connections that are silent for a quarter of an hour.
        "deploy": {"endpoint_mode": "dnsrr", "restart_policy": {"condition": "any", "delay": "2s"}},
    }


def _place(services: Mapping[str, Service], nodes: Sequence[str], *spread: Sequence[str]) -> None:
    """Keep each service on one node: what it writes is in a volume there.

    Args:
        services: all, by name.
        nodes: host names; empty: all on the manager.
        spread: names of services that take turns on the nodes; all others are on the first.
    """
    turn = {name: number for names in spread for number, name in enumerate(names)}
    for name, service in services.items():
        constraint = "node.role == manager"
        if nodes:
            constraint = f"node.hostname == {nodes[turn.get(name, 0) % len(nodes)]}"
        service["deploy"]["placement"] = {"constraints": [constraint]}


def _stack_name(deployment: Deployment) -> str:
    name = deployment.run.path.resolve().name
    return (
        "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in name)[:32].strip("-") or "run"
    )


def _relative(path: Path, folder: Path) -> str:
    relative = Path(os.path.relpath(path.resolve(), folder)).as_posix()
    return relative if relative.startswith(".") else f"./{relative}"
