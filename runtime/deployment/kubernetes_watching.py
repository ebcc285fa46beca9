"""What Kubernetes looks after an agent by, and the dashboard's deployment."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from runtime.deployment.address import Address
from runtime.deployment.containers import (
    DASHBOARD_PORT,
    RUNS_DIR,
    SIGNS_DIR,
    START_LIMIT_S,
    dashboard_command,
    sign_command,
)
from runtime.signs_of_life import ALIVE, CONNECTED

Manifest = dict[str, Any]

FORWARDED = Address("127.0.0.1", DASHBOARD_PORT)
"""Where ``kubectl port-forward`` makes the dashboard answer."""

COMPONENT, HOST = "app.kubernetes.io/component", "kubernetes.io/hostname"

_START_PERIOD_S = 5


def probes() -> Manifest:
    """Probes of a process that gives signs of life: one that hangs is restarted, one not connected is not.

    Until the first sign it may take up what its log holds.
    """
    return {
        "startupProbe": _probe(ALIVE, _START_PERIOD_S, START_LIMIT_S // _START_PERIOD_S),
        "livenessProbe": _probe(ALIVE, 20, 3),
        "readinessProbe": _probe(CONNECTED, 20, 1),
    }


def together(components: Sequence[str], labels: Manifest) -> Manifest:
    """Affinity of components that share a volume: all on one node, as most volumes are one node's at a time.

    The first to be placed is where it likes, for it fits the rule itself; so is the only one that is left.

    Args:
        components: those that share it.
        labels: of one of them.
    """
    others = {key: value for key, value in labels.items() if key != COMPONENT}
    chosen = {
        "matchLabels": others,
        "matchExpressions": [{"key": COMPONENT, "operator": "In", "values": [*components]}],
    }
    term = {"labelSelector": chosen, "topologyKey": HOST}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def dashboard(metadata: Manifest, coordinator: Manifest, run: str) -> Manifest:
    """A deployment that shows what is in the coordinator's volume, and cannot change it.

    It answers on its pod's loopback only, which ``kubectl port-forward`` reaches, to who has the token in the
    Secret of its name, and goes on when the market is over. It prefers the coordinator's node: most volumes
    are one node's at a time.

    Args:
        metadata: name and labels of the deployment.
        coordinator: the coordinator's pod template.
        run: the run's folder in the container.
    """
    template = copy.deepcopy(coordinator)
    pod = template["spec"]
    labels = template["metadata"]["labels"]
    beside = {"labelSelector": {"matchLabels": {**labels}}, "topologyKey": HOST}
    preferred = [{"weight": 100, "podAffinityTerm": beside}]
    template["metadata"] = {"labels": {**metadata["labels"]}}
    pod["restartPolicy"] = "Always"
    pod["affinity"] = {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    for volume in pod["volumes"]:
        if volume["name"] == "handout":
            volume["secret"]["secretName"] = metadata["name"]
            volume["secret"]["items"] = [{"key": "token", "path": "token"}]
    (container,) = pod["containers"]
    container["command"] = dashboard_command(run, FORWARDED, FORWARDED.host)
    container["volumeMounts"] = [
        {**mount, "readOnly": True} if mount["mountPath"] == RUNS_DIR else mount
        for mount in container["volumeMounts"]
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {**metadata["labels"]}},
            "template": template,
        },
    }


def _probe(sign: str, period_s: int, failures: int) -> Manifest:
    return {
        "exec": {"command": ["sh", "-c", sign_command(SIGNS_DIR / sign)]},
        "timeoutSeconds": 10,
        "periodSeconds": period_s,
        "failureThreshold": failures,
    }
