"""Kubernetes manifests of a server of several nodes."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from runtime.cli.commands import app
from runtime.xmpp.ejabberd.node import Node
from tests.scenario.scenarios import write


def manifests_of(folder: Path, *options: str) -> list[dict]:
    arguments = ("kubernetes", str(write(folder)), "--runs", str(folder / "runs"), "--name", "town", *options)
    made = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert made.exit_code == 0, made.stderr
    return [*yaml.safe_load_all(made.stdout)]


def by_name(made: list[dict]) -> dict[tuple[str, str], dict]:
    named = {(each["kind"], each["metadata"]["name"]): each for each in made}
    assert len(named) == len(made)
    return named


@pytest.fixture(scope="module")
def named(tmp_path_factory) -> dict[tuple[str, str], dict]:
    return by_name(manifests_of(tmp_path_factory.mktemp("nodes"), "--xmpp-nodes", "3"))


def container_of(workload: dict) -> dict:
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return container


def environment_of(container: dict, pod: str) -> dict[str, str]:
    """Of a container in a pod of that name, as a cluster makes it."""
    found: dict[str, str] = {}
    for each in container["env"]:
        if "value" not in each:
            assert each["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
        value = each.get("value", pod)
        for name, known in found.items():
            value = value.replace(f"$({name})", known)
        found[each["name"]] = value
    return found


@pytest.mark.parametrize("version", ["1.25", "1.37"])
def test_manifests_hold_the_published_schemas(named, version):
    for manifest in named.values():
        kubernetes_validate.validate(manifest, version, strict=True)
    broken = json.loads(json.dumps(named["StatefulSet", "town-xmpp"]))
    broken["spec"]["serviceNames"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, version, strict=True)


def test_each_node_knows_itself_and_the_others_by_names_that_the_service_gives(named):
    nodes = named["StatefulSet", "town-xmpp"]
    assert nodes["spec"]["replicas"] == 3
    headless = named["Service", nodes["spec"]["serviceName"]]
    assert headless["spec"]["clusterIP"] == "None"
    assert headless["spec"]["publishNotReadyAddresses"] is True
    container = container_of(nodes)
    for number in range(3):
        node = Node.from_environment(environment_of(container, f"town-xmpp-{number}"))
        assert node.name == f"ejabberd@town-xmpp-{number}.town-xmpp-nodes"
        assert len(node.nodes) == 3
        assert node.domain == "peerwatt.internal"
        assert set(node.unlimited) == {"coordinator", "coordinator2"}
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == {"xmpp-client": node.port, "nodes": node.nodes_port}
    assert container["command"] == ["python", "-m", "runtime.xmpp.ejabberd"]


def test_agents_dial_every_node_by_its_own_name(named):
    for agent in ("coordinator", "meters", "prosumer-house", "prosumer-school"):
        told = json.loads(base64.b64decode(named["Secret", f"town-{agent}"]["data"]["connection.json"]))
        dialled = [told["host"], *told["further_hosts"]]
        assert dialled == [f"town-xmpp-{number}.town-xmpp-nodes" for number in range(3)]
    node = Node.from_environment(
        environment_of(container_of(named["StatefulSet", "town-xmpp"]), "town-xmpp-0")
    )
    assert [name.partition("@")[2] for name in node.nodes] == dialled
    # What agents may reach are the pods of the server, whatever they are called.
    reached, _ = named["NetworkPolicy", "town-fleet"]["spec"]["egress"]
    labels = named["StatefulSet", "town-xmpp"]["spec"]["template"]["metadata"]["labels"]
    assert reached["to"] == [{"podSelector": {"matchLabels": labels}}]


def test_ready_nodes_are_reached_from_outside_by_the_one_service(named):
    service = named["Service", "town-xmpp"]["spec"]
    labels = named["StatefulSet", "town-xmpp"]["spec"]["template"]["metadata"]["labels"]
    assert service["selector"] == labels
    assert [port["port"] for port in service["ports"]] == [5222]
    assert "publishNotReadyAddresses" not in service
    container = container_of(named["StatefulSet", "town-xmpp"])
    assert "-starttls xmpp" in container["readinessProbe"]["exec"]["command"][-1]
    started = container["startupProbe"]
    assert started["failureThreshold"] * started["periodSeconds"] >= 120


def test_nodes_are_handed_a_cookie_and_verifiers_and_keep_apart(named):
    nodes = named["StatefulSet", "town-xmpp"]["spec"]
    secret = named["Secret", "town-xmpp"]
    handed = {name: base64.b64decode(text).decode() for name, text in secret["data"].items()}
    assert set(handed) == {"ca.pem", "server.pem", "server.key.pem", "accounts.json", "cookie"}
    assert len(handed["cookie"].strip()) == 64
    assert "stored_key" in handed["accounts.json"]
    others = [each for (kind, name), each in named.items() if kind == "Secret" and name != "town-xmpp"]
    assert others
    assert not [each for each in others if "cookie" in each["data"]]
    pod = nodes["template"]["spec"]
    (mount,) = {each["name"] for each in container_of({"spec": nodes})["volumeMounts"]} - {"tmp", "handout"}
    assert [claim["metadata"]["name"] for claim in nodes["volumeClaimTemplates"]] == [mount]
    assert mount not in {volume["name"] for volume in pod["volumes"]}
    assert container_of({"spec": nodes})["securityContext"]["readOnlyRootFilesystem"] is True


def test_nodes_reach_each_other_and_nobody_else_reaches_them_so(named):
    between = named["NetworkPolicy", "town-xmpp-nodes"]["spec"]
    labels = named["StatefulSet", "town-xmpp"]["spec"]["template"]["metadata"]["labels"]
    for way, peers in (("ingress", "from"), ("egress", "to")):
        (rule,) = between[way]
        assert rule[peers] == [{"podSelector": {"matchLabels": labels}}]
        assert [port["port"] for port in rule["ports"]] == [5210]
    for name in ("town-fleet", "town-server"):
        policy = named["NetworkPolicy", name]["spec"]
        rules = [*policy.get("ingress", []), *policy.get("egress", [])]
        assert 5210 not in {port["port"] for rule in rules for port in rule["ports"]}


def test_one_node_is_prosody_also_after_there_were_more(tmp_path):
    several = by_name(manifests_of(tmp_path, "--xmpp-nodes", "2"))
    one = by_name(manifests_of(tmp_path))
    assert container_of(one["Deployment", "town-xmpp"])["command"] == ["prosody", "-F"]
    assert "cookie" not in one["Secret", "town-xmpp"]["data"]
    assert "cookie" in several["Secret", "town-xmpp"]["data"]
    assert not [name for kind, name in one if kind == "StatefulSet"]
    told = json.loads(base64.b64decode(one["Secret", "town-coordinator"]["data"]["connection.json"]))
    assert (told["host"], "further_hosts" in told) == ("town-xmpp", False)
