"""Kubernetes manifests of a server of several nodes: ejabberd, where one Prosody is not enough.

The nodes are a StatefulSet, so each has a lasting name, by which the others find it, and a volume of its own.
At its start a node joins those that run (``peerwatt_cluster.erl``). Agents dial the nodes by these names,
each its own first and the others when that one is gone; through one Service all would be on the node that was
ready first. That Service is for who is outside.
"""

from __future__ import annotations

import copy
from typing import Any

from runtime.deployment.kubernetes_watching import HOST
from runtime.xmpp.ejabberd.node import NODES_PORT

Manifest = dict[str, Any]


def server_hosts(name: str, count: int) -> list[str]:
    """Names by which nodes and agents reach the nodes.

    Args:
        name: of the StatefulSet.
        count: of nodes.
    """
    return [f"{name}-{number}.{_names(name)}" for number in range(count)]


def server_nodes(
    metadata: dict[str, Any], pod: Manifest, claim: dict[str, Any], count: int
) -> list[Manifest]:
    """Describe the nodes of a server, what they find each other by, and that nobody else reaches them so.

    Args:
        metadata: the server's name and labels.
        pod: template of a node's pod, its readiness probe included, with a volume ``data``.
        claim: what is asked for as each node's volume.
        count: of nodes.

    Returns:
        Headless Service, StatefulSet, PodDisruptionBudget and NetworkPolicy.
    """
    name, labels = metadata["name"], metadata["labels"]
    names = _names(name)
    its_own = {"name": names, "labels": labels}
    template = _template(pod, names, server_hosts(name, count), labels)
    between = {"protocol": "TCP", "port": NODES_PORT}
    server = {"matchLabels": labels}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": its_own,
            "spec": {
                "clusterIP": "None",
                "publishNotReadyAddresses": True,  # a node looks for the others before it is ready
                "selector": labels,
                "ports": [{"name": "nodes", "port": NODES_PORT, "protocol": "TCP", "targetPort": "nodes"}],
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": metadata,
            "spec": {
                "replicas": count,
                "serviceName": names,
                "podManagementPolicy": "OrderedReady",  # the first begins the cluster, the others join it
                "selector": server,
                "template": template,
                "volumeClaimTemplates": [{"metadata": {"name": "data", "labels": labels}, "spec": claim}],
            },
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata,
            "spec": {"maxUnavailable": 1, "selector": server},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": its_own,
            "spec": {
                "podSelector": server,
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [{"podSelector": server}], "ports": [between]}],
                "egress": [{"to": [{"podSelector": server}], "ports": [between]}],
            },
        },
    ]


def _names(name: str) -> str:
    """The headless Service that gives the nodes their names."""
    return f"{name}-nodes"


def _template(pod: Manifest, names: str, hosts: list[str], labels: dict[str, str]) -> Manifest:
    template = copy.deepcopy(pod)
    spec = template["spec"]
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] != "data"]
    spec["affinity"] = {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 100,
                    "podAffinityTerm": {
                        "labelSelector": {"matchLabels": labels},
                        "topologyKey": HOST,
                    },
                }
            ]
        }
    }
    (container,) = spec["containers"]
    container["env"] += [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "PEERWATT_NODE", "value": f"ejabberd@$(POD_NAME).{names}"},
        {"name": "PEERWATT_NODES", "value": " ".join(f"ejabberd@{host}" for host in hosts)},
    ]
    container["ports"].append({"name": "nodes", "containerPort": NODES_PORT, "protocol": "TCP"})
    # A node may wait for those before it and take over all tables before it takes logins.
    container["startupProbe"] = {**container["readinessProbe"], "failureThreshold": 60}
    return template
