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

from runtime.deployment.address import CLIENT_PORT
from runtime.deployment.archive import RUN_ARCHIVE, archive_run
from runtime.deployment.containers import (
    AUDIT_DIR,
    HANDOUT,
    RUNS_DIR,
    SERVER,
    SERVER_COMMAND,
    STORED_DIR,
    health_command,
    process_command,
)
from runtime.deployment.deployment import Deployment
from runtime.deployment.holders import prosumer
from runtime.errors import InputError
from runtime.rundir import COORDINATOR, COORDINATORS

MAX_FILE_BYTES = 500_000
"""Most that a swarm takes as a secret or a config (Docker's documentation: 500 kB)."""

USER_ID = "1000"
"""The image's own user, to whom the files are handed."""

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
    deployment: Deployment, out: Path, image: str, nodes: Sequence[str], remote: Sequence[str] = ()
) -> dict[str, Any]:
    """Describe a swarm stack.

    Args:
        deployment: made, of a prepared run.
        out: where the file will be saved; paths in it start from its folder.
        image: name of the image, which every node can pull or has.
        nodes: host names of the swarm's nodes, over which members are spread; the first runs server,
            coordinator and meters. Without one, all run on the manager.
        remote: members without a container here.

    Returns:
        The stack file's content.

    Raises:
        InputError: the deployment is not made, or a file is too large for a swarm.
    """
    outside = deployment.outside()
    run = f"{RUNS_DIR}/{deployment.run.path.resolve().name}"
    files = Files(out.resolve().parent, _stack_name(deployment))
    services: dict[str, Service] = {SERVER: _server(deployment, files, image, outside.domain)}
    services[SERVER]["ports"] = [
        {"target": CLIENT_PORT, "published": outside.port, "protocol": "tcp", "mode": "host"}
    ]
    services[SERVER]["networks"] = {"fleet": {"aliases": [outside.domain]}}
    archive = archive_run(deployment)
    elsewhere = {prosumer(member) for member in remote}
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
            "command": process_command(holder, run),
            "secrets": secrets,
            "configs": configs,
            "networks": {"fleet": {}},
            "volumes": [f"runs:{RUNS_DIR}"],
            "deploy": {"restart_policy": {"condition": "on-failure", "delay": "2s", "max_attempts": 10}},
        }
    _place(services, nodes)
    return {
        "version": "3.8",
        "services": services,
        "networks": {"fleet": {"driver": "overlay"}},
        "volumes": {"runs": {}, "stored": {}, "audit": {}},
        "secrets": files.secrets,
        "configs": files.configs,
    }


def _contained(image: str) -> Service:
    return {
        "image": image,
        "user": f"{USER_ID}:{USER_ID}",
        "cap_drop": ["ALL"],
        "read_only": True,
        "tmpfs": ["/tmp"],
        "init": True,
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
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
        "volumes": [f"stored:{STORED_DIR}", f"audit:{AUDIT_DIR}"],
        "healthcheck": {
            "test": ["CMD-SHELL", health_command(domain)],
            "interval": "5s",
            "timeout": "5s",
            "retries": 12,
        },
        # No virtual address between, which would drop connections that are silent for a quarter of an hour.
        "deploy": {"endpoint_mode": "dnsrr", "restart_policy": {"condition": "any", "delay": "2s"}},
    }


def _place(services: Mapping[str, Service], nodes: Sequence[str]) -> None:
    """Keep each service on one node: what it writes is in a volume there."""
    members = [name for name in services if name.startswith("prosumer-")]
    for name, service in services.items():
        constraint = "node.role == manager"
        if nodes:
            node = nodes[members.index(name) % len(nodes)] if name in members else nodes[0]
            constraint = f"node.hostname == {node}"
        service["deploy"]["placement"] = {"constraints": [constraint]}


def _stack_name(deployment: Deployment) -> str:
    name = deployment.run.path.resolve().name
    return (
        "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in name)[:32].strip("-") or "run"
    )


def _relative(path: Path, folder: Path) -> str:
    relative = Path(os.path.relpath(path.resolve(), folder)).as_posix()
    return relative if relative.startswith(".") else f"./{relative}"
