"""Kubernetes manifests: the server as a deployment, every agent as a job, secrets and volumes of their own.

An agent is a job because it ends with the market, and is started again if it fails before; its log is in a
volume of its own, from which it takes up its place.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.deployment.address import CLIENT_PORT
from runtime.deployment.archive import RUN_ARCHIVE, archive_run
from runtime.deployment.containers import (
    AUDIT_DIR,
    HANDOUT,
    NODE_COMMAND,
    RUNS_DIR,
    SERVER,
    SERVER_COMMAND,
    STORED_DIR,
    health_command,
    process_command,
)
from runtime.deployment.deployment import Deployment
from runtime.deployment.holders import DASHBOARD, prosumer
from runtime.deployment.kubernetes_nodes import server_nodes
from runtime.deployment.kubernetes_watching import COMPONENT, dashboard, probes, together
from runtime.errors import InputError
from runtime.rundir import COORDINATOR, COORDINATORS
from runtime.xmpp.ejabberd.node import COOKIE_FILE, ensure_cookie

MAX_SECRET_BYTES = 1_000_000
"""Most that a cluster takes as one Secret (1 MiB, with the names of its keys)."""

USER_ID = 1000
"""The image's own user."""

RESTARTS = 10_000
"""How often an agent may be started again in the months that a market lasts; each time it waits longer."""

READABLE = 0o440
"""Mode of handed files; their group is the user's."""

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Cluster:
    """How manifests are written.

    Attributes:
        name: prefix of all names, a DNS label.
        image: the image, where the cluster finds it.
        storage_class: of the volumes; the cluster's default if None.
        storage: size of each volume.
        xmpp_nodes: nodes of ejabberd that carry the community together; 1: Prosody does alone.
    """

    name: str
    image: str
    storage_class: str | None = None
    storage: str = "1Gi"
    xmpp_nodes: int = 1

    def labels(self, component: str) -> dict[str, str]:
        """Labels of one component of the fleet (Kubernetes' recommended ones)."""
        return {
            "app.kubernetes.io/name": "peerwatt",
            "app.kubernetes.io/instance": self.name,
            COMPONENT: component,
        }

    def metadata(self, component: str) -> dict[str, Any]:
        """Name and labels of one component's manifests."""
        return {"name": f"{self.name}-{component}", "labels": self.labels(component)}


def server_name(cluster_name: str) -> str:
    """Name under which the fleet reaches its server in the cluster."""
    return f"{cluster_name}-{SERVER}"


def manifests(deployment: Deployment, cluster: Cluster, remote: Sequence[str] = ()) -> list[Manifest]:
    """Describe a fleet for Kubernetes.

    Args:
        deployment: made, of a prepared run, its server reached as ``server_name(cluster.name)`` inside, or
            its nodes by their ``server_hosts``.
        cluster: names, image and storage.
        remote: members whose agents run elsewhere.

    Returns:
        The manifests, in the order in which they are to be applied.

    Raises:
        InputError: the deployment is not made, or a Secret would be too large.
    """
    domain = deployment.outside().domain
    made = [*_server(deployment, cluster, domain), *_policies(cluster)]
    run = f"{RUNS_DIR}/{deployment.run.path.resolve().name}"
    archive = archive_run(deployment)
    prosumers, coordinators = deployment.prosumers(), deployment.coordinators()
    for holder in deployment.holders():
        if holder in {prosumer(member) for member in remote}:
            continue
        folder = deployment.handout(holder)
        files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
        if holder == COORDINATOR:
            files[RUN_ARCHIVE] = archive
        command = process_command(holder, run, prosumers.get(holder, ()))
        pod = _pod(cluster, holder, command, files, {"data": RUNS_DIR}, "OnFailure")
        pod["spec"]["containers"][0].update(probes())
        if holder in coordinators and len(coordinators) > 1:
            # Two communities' books are joined at the end: their coordinators write into one volume.
            pod["spec"]["affinity"] = together(coordinators, cluster.labels(holder))
            data, *_ = pod["spec"]["volumes"]
            data["persistentVolumeClaim"]["claimName"] = f"{cluster.name}-{COORDINATOR}"
        if holder == COORDINATOR or holder not in coordinators:
            made.append(_claim(cluster, holder))
        made += [
            _secret(cluster, holder, files),
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": cluster.metadata(holder),
                "spec": {"backoffLimit": RESTARTS, "template": pod},
            },
        ]
        if holder == COORDINATOR:
            watching = dashboard(cluster.metadata(DASHBOARD), pod, run)
    return [*made, _secret(cluster, DASHBOARD, {"token": deployment.dashboard_token}), watching]


def _server(deployment: Deployment, cluster: Cluster, domain: str) -> list[Manifest]:
    if cluster.xmpp_nodes > 1:
        ensure_cookie(deployment.server_dir)
    files = {
        path.name: path
        for path in sorted(deployment.server_dir.iterdir())
        if path.is_file() and (cluster.xmpp_nodes > 1 or path.name != COOKIE_FILE)
    }
    command = NODE_COMMAND if cluster.xmpp_nodes > 1 else SERVER_COMMAND
    pod = _pod(cluster, SERVER, command, files, {"stored": STORED_DIR, "audit": AUDIT_DIR}, "Always")
    (container,) = pod["spec"]["containers"]
    container["env"] = [
        {"name": "PEERWATT_DOMAIN", "value": domain},
        {"name": "PEERWATT_UNLIMITED", "value": " ".join(COORDINATORS)},
    ]
    container["ports"] = [{"name": "xmpp-client", "containerPort": CLIENT_PORT, "protocol": "TCP"}]
    probe = {"exec": {"command": ["sh", "-c", health_command(domain)]}, "timeoutSeconds": 5}
    container["readinessProbe"] = {**probe, "periodSeconds": 5}
    container["livenessProbe"] = {**probe, "periodSeconds": 20, "initialDelaySeconds": 20}
    reached = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": cluster.metadata(SERVER),
        "spec": {
            "selector": cluster.labels(SERVER),
            "ports": [
                {"name": "xmpp-client", "port": CLIENT_PORT, "protocol": "TCP", "targetPort": "xmpp-client"}
            ],
        },
    }
    claim = _claim(cluster, SERVER)
    if cluster.xmpp_nodes > 1:
        nodes = server_nodes(cluster.metadata(SERVER), pod, claim["spec"], cluster.xmpp_nodes)
        return [_secret(cluster, SERVER, files), reached, *nodes]
    return [
        _secret(cluster, SERVER, files),
        claim,
        reached,
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": cluster.metadata(SERVER),
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},  # two servers cannot share what they store
                "selector": {"matchLabels": cluster.labels(SERVER)},
                "template": pod,
            },
        },
    ]


def _policies(cluster: Cluster) -> list[Manifest]:
    """Agents reach the server and the cluster's names, and are reached by nobody."""
    fleet = {"app.kubernetes.io/name": "peerwatt", "app.kubernetes.io/instance": cluster.name}
    client = {"protocol": "TCP", "port": CLIENT_PORT}
    names = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]

    def policy(name: str, spec: dict[str, Any]) -> Manifest:
        metadata = {"name": f"{cluster.name}-{name}", "labels": fleet}
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata,
            "spec": spec,
        }

    server = {"matchLabels": cluster.labels(SERVER)}
    return [
        policy(
            "fleet",
            {
                "podSelector": {"matchLabels": fleet},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [],
                "egress": [{"to": [{"podSelector": server}], "ports": [client]}, {"ports": names}],
            },
        ),
        policy(
            "server", {"podSelector": server, "policyTypes": ["Ingress"], "ingress": [{"ports": [client]}]}
        ),
    ]


def _pod(
    cluster: Cluster,
    component: str,
    command: Sequence[str],
    files: dict[str, Path],
    kept: dict[str, str],
    restart: str,
) -> Manifest:
    """A pod template: one container, its handout, its volume (by folder in it), nothing else to write to."""
    mounts: list[dict[str, Any]] = [
        {"name": "data", "mountPath": path, "subPath": folder} for folder, path in kept.items()
    ]
    mounts += [
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "handout", "mountPath": HANDOUT, "readOnly": True},
    ]
    items = [{"key": _key(path), "path": path} for path in files]
    return {
        "metadata": {"labels": cluster.labels(component)},
        "spec": {
            "restartPolicy": restart,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "shareProcessNamespace": True,  # so that process 1 is the pause container's, which is an init
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER_ID,
                "runAsGroup": USER_ID,
                "fsGroup": USER_ID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "peerwatt",
                    "image": cluster.image,
                    "imagePullPolicy": "IfNotPresent",  # a node may have been handed an image of no registry
                    "command": list(command),
                    "volumeMounts": mounts,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": f"{cluster.name}-{component}"}},
                {"name": "tmp", "emptyDir": {}},
                {
                    "name": "handout",
                    "secret": {
                        "secretName": f"{cluster.name}-{component}",
                        "defaultMode": READABLE,
                        "items": items,
                    },
                },
            ],
        },
    }


def _secret(cluster: Cluster, component: str, files: dict[str, Path]) -> Manifest:
    content = {_key(path): file.read_bytes() for path, file in files.items()}
    size = sum(map(len, content.values()))
    if size > MAX_SECRET_BYTES:
        raise InputError(
            f"{component}: found {size} bytes of certificates, secrets and configuration, expected at most "
            f"{MAX_SECRET_BYTES}, which is all that a cluster takes as one Secret; use a shorter scenario, "
            "or fewer members a container"
        )
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": cluster.metadata(component),
        "type": "Opaque",
        "data": {key: base64.b64encode(value).decode("ascii") for key, value in content.items()},
    }


def _key(path: str) -> str:
    """A file's path as a key of a Secret, which has no slashes."""
    return path.replace("/", "__")


def _claim(cluster: Cluster, component: str) -> Manifest:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": cluster.storage}},
    }
    if cluster.storage_class is not None:
        spec["storageClassName"] = cluster.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": cluster.metadata(component),
        "spec": spec,
    }
