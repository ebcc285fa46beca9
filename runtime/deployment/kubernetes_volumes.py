"""Pods that hold open what agents have kept in a cluster, so that it can be fetched when they are done.

An agent's pod is over with the market, and nothing can be copied out of a pod that does not run. What the
coordinators kept is reached by the dashboard's, which runs on.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from runtime.deployment.containers import RUNS_DIR
from runtime.deployment.kubernetes_watching import COMPONENT
from runtime.rundir import COORDINATORS

Manifest = dict[str, Any]

VOLUME = "volume"
"""Component of these pods, by which one selects them all."""

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def volume_pods(made: Sequence[Manifest]) -> list[Manifest]:
    """Describe a pod for each volume of meters and members, which can read it and does nothing.

    Args:
        made: manifests of the fleet.

    Returns:
        The pods, named after the agents' jobs; they are handed no secret.
    """
    jobs = [each for each in made if each["kind"] == "Job"]
    return [_pod(job) for job in jobs if job["metadata"]["labels"][COMPONENT] not in COORDINATORS]


def _pod(job: Manifest) -> Manifest:
    metadata = job["metadata"]
    spec = copy.deepcopy(job["spec"]["template"]["spec"])
    spec["restartPolicy"] = "Always"
    spec["terminationGracePeriodSeconds"] = 1  # nothing is under way
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] == "data"]
    (container,) = spec["containers"]
    for probe in PROBES:
        container.pop(probe, None)
    container["command"] = ["sleep", "infinity"]
    container["volumeMounts"] = [
        {**mount, "readOnly": True} for mount in container["volumeMounts"] if mount["mountPath"] == RUNS_DIR
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{metadata['name']}-{VOLUME}",
            "labels": {**metadata["labels"], COMPONENT: VOLUME},
        },
        "spec": spec,
    }
