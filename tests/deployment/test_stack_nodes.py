"""A swarm's stack with a server of several nodes."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from runtime.cli.commands import app
from runtime.deployment.containers import health_command
from runtime.errors import InputError
from runtime.messaging.connection import Connection
from runtime.xmpp.ejabberd.node import Node
from tests.scenario.scenarios import write

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ["xmpp-0", "xmpp-1", "xmpp-2"]


def composed(folder: Path, *options: str):
    arguments = ("compose", str(write(folder)), "--runs", str(folder / "runs"), *options)
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def stack_of(folder: Path, *options: str) -> dict:
    out = folder / "stack.yaml"
    made = composed(folder, "--stack", "--out", str(out), *options)
    assert made.exit_code == 0, made.stderr
    return yaml.safe_load(out.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("nodes")


@pytest.fixture(scope="module")
def made(folder) -> dict:
    return stack_of(folder, "--xmpp-nodes", "3", "--nodes", "one,two", "--outside", "one.example:6222")


def node_of(service: dict) -> Node:
    return Node.from_environment(service["environment"])


def test_each_node_is_a_service_with_a_name_that_the_others_know(made):
    assert [*made["services"]][:4] == [*SERVERS, "coordinator"]
    nodes = [node_of(made["services"][name]) for name in SERVERS]
    assert [node.name for node in nodes] == [f"ejabberd@{name}.peerwatt.internal" for name in SERVERS]
    for name, node in zip(SERVERS, nodes, strict=True):
        assert node.nodes == tuple(each.name for each in nodes)
        assert node.domain == "peerwatt.internal"
        assert node.port == 5222
        assert set(node.unlimited) == {"coordinator", "coordinator2"}
        service = made["services"][name]
        assert service["networks"]["nodes"] == {"aliases": [node.name.removeprefix("ejabberd@")]}
        assert service["command"] == ["sh", "/opt/peerwatt/fleet/node.sh"]
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"]
        assert service["user"] == "1000:1000"


def test_the_nodes_network_is_theirs_alone_and_leads_nowhere(made):
    assert made["networks"] == {
        "fleet": {"driver": "overlay"},
        "nodes": {"driver": "overlay", "internal": True},
    }
    assert {name for name, each in made["services"].items() if "nodes" in each["networks"]} == {*SERVERS}
    assert {name for name, each in made["services"].items() if "fleet" in each["networks"]} == {
        *made["services"]
    }


def test_each_node_keeps_what_it_stores_and_records_in_volumes_of_its_own(made):
    named = [
        {each.split(":")[1]: each.split(":")[0] for each in service["volumes"] if isinstance(each, str)}
        for service in (made["services"][name] for name in SERVERS)
    ]
    assert all({*each} == {"/var/lib/peerwatt", "/var/log/peerwatt"} for each in named)
    volumes = [volume for each in named for volume in each.values()]
    assert len({*volumes}) == 6
    assert {*made["volumes"]} == {"runs", *volumes}
    for name in SERVERS:
        service = made["services"][name]
        assert {"type": "tmpfs", "target": "/tmp"} in service["volumes"], name
        # The new container waits for the old one's volumes and port.
        assert service["deploy"]["update_config"]["order"] == "stop-first"
        assert service["deploy"]["restart_policy"]["condition"] == "any"


def test_the_cookie_is_the_servers_alone(folder, made):
    cookie = folder / "runs" / "stack-scenario" / "deployment" / "server" / "cookie"
    (secret,) = (name for name, each in made["secrets"].items() if (folder / each["file"]).samefile(cookie))
    assert len(cookie.read_text().strip()) == 64
    handed = {
        name: [each for each in service["secrets"] if each["source"] == secret]
        for name, service in made["services"].items()
    }
    assert {name for name, files in handed.items() if files} == {*SERVERS}
    for name in SERVERS:
        (file,) = handed[name]
        assert (file["target"], file["uid"], file["mode"]) == ("/run/peerwatt/cookie", "1000", 0o400)
        (accounts,) = (each for each in made["services"][name]["secrets"] if "accounts" in each["target"])
        assert "stored_key" in (folder / made["secrets"][accounts["source"]]["file"]).read_text()


def test_agents_dial_every_node_and_who_is_outside_the_first(folder, made):
    run = folder / "runs" / "stack-scenario"
    for holder in ("coordinator", "meters", "prosumer-house", "prosumer-school"):
        told = json.loads((run / "deployment" / "handouts" / holder / "connection.json").read_text())
        assert [told["host"], *told["further_hosts"]] == SERVERS, holder
        assert told["port"] == 5222
    outside = Connection.load(run / "connection.json")
    assert (outside.hosts, outside.port) == (("one.example",), 6222)


def test_nodes_are_spread_over_hosts_and_each_is_published_on_its_own(made):
    def published(name: str) -> tuple[str, int]:
        service = made["services"][name]
        (constraint,) = service["deploy"]["placement"]["constraints"]
        (port,) = service["ports"]
        assert (port["target"], port["mode"]) == (5222, "host")
        assert service["deploy"]["endpoint_mode"] == "dnsrr"
        return constraint.removeprefix("node.hostname == "), port["published"]

    assert [published(name) for name in SERVERS] == [("one", 6222), ("two", 6222), ("one", 6223)]


def test_without_hosts_all_nodes_are_on_the_manager_on_ports_of_their_own(tmp_path):
    services = stack_of(tmp_path, "--xmpp-nodes", "2")["services"]
    ports = [services[name]["ports"][0]["published"] for name in SERVERS[:2]]
    assert ports == [5222, 5223]
    for name in SERVERS[:2]:
        assert services[name]["deploy"]["placement"]["constraints"] == ["node.role == manager"]
    with pytest.raises(InputError, match="--outside: found port 65535, expected at most 65534"):
        composed(tmp_path, "--stack", "--xmpp-nodes", "2", "--outside", "example.org:65535")


def test_a_dashboard_does_not_take_a_nodes_port(tmp_path):
    options = ("--stack", "--xmpp-nodes", "3", "--nodes", "one,two", "--outside", "one.example:6222")
    with pytest.raises(
        InputError, match="--dashboard-port: found 6223, expected a port other than 6222, 6223"
    ):
        composed(tmp_path, *options, "--dashboard-port", "6223")
    services = stack_of(tmp_path, *options[1:], "--dashboard-port", "6224")["services"]
    assert services["dashboard"]["ports"][0]["published"] == 6224


def test_a_node_is_healthy_until_it_should_serve_and_then_while_it_does(made, tmp_path):
    (kind, command) = made["services"]["xmpp-1"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    assert health_command("peerwatt.internal") in command
    begun = tmp_path / "ejabberd.yml"
    asked = command.replace("/tmp/ejabberd/ejabberd.yml", str(begun))
    assert asked != command

    def healthy(serves: bool) -> bool:
        answer = tmp_path / "openssl"
        answer.write_text(f"#!/bin/sh\nexit {0 if serves else 1}\n")
        answer.chmod(0o755)
        path = f"{tmp_path}:{os.environ['PATH']}"
        return subprocess.run(["sh", "-c", asked], env={"PATH": path}, timeout=30).returncode == 0

    assert healthy(serves=False)  # others could not find it, and it not them
    begun.touch()
    assert healthy(serves=False)  # it joins the others
    long_ago = time.time() - 600
    os.utime(begun, (long_ago, long_ago))
    assert not healthy(serves=False)
    assert healthy(serves=True)


def test_a_node_begins_once_its_name_leads_to_it_and_listens_there(tmp_path):
    fakes = {
        # First unknown, then still a container that was here before, then this one too.
        "getent": f"""echo "$2" > {tmp_path}/asked
            case $(ls {tmp_path} | grep -c ^turn) in
                0) touch {tmp_path}/turn1; exit 2;;
                1) touch {tmp_path}/turn2; echo "10.0.1.7 STREAM $2";;
                *) printf '10.0.1.7 STREAM x\\n10.0.1.9 STREAM x\\n10.0.1.9 DGRAM\\n';;
            esac""",
        "hostname": "echo '10.0.2.7 10.0.1.9 172.18.0.3 '",
        "sleep": "exit 0",
        "python": 'echo "$PEERWATT_NODES_INTERFACE $*"',
    }
    for name, text in fakes.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", ROOT / "docker" / "scripts" / "node.sh"],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PEERWATT_NODE": "ejabberd@xmpp-1.peerwatt.internal",
        },
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "10.0.1.9 -m runtime.xmpp.ejabberd\n", "")
    assert (tmp_path / "asked").read_text().strip() == "xmpp-1.peerwatt.internal"
    assert (tmp_path / "turn2").exists()


def test_one_node_is_prosody_also_after_there_were_more(tmp_path):
    several = stack_of(tmp_path, "--xmpp-nodes", "2")
    one = stack_of(tmp_path)
    assert stack_of(tmp_path, "--xmpp-nodes", "1") == one
    assert one["services"]["xmpp"]["command"] == ["prosody", "-F"]
    assert one["networks"] == {"fleet": {"driver": "overlay"}}
    assert {*one["volumes"]} == {"runs", "stored", "audit"}
    assert len(several["secrets"]) == len(one["secrets"]) + 1
    told = tmp_path / "runs" / "stack-scenario" / "deployment" / "handouts" / "meters" / "connection.json"
    assert "further_hosts" not in json.loads(told.read_text())


@pytest.mark.parametrize("count", ["0", "-1", "17"])
def test_a_number_of_nodes_that_is_none_is_refused(tmp_path, count):
    refused = composed(tmp_path, "--stack", "--xmpp-nodes", count)
    assert refused.exit_code == 2
    assert "--xmpp-nodes" in refused.stderr
    assert not (tmp_path / "runs").exists()


def test_nodes_without_a_stack_are_refused(tmp_path):
    with pytest.raises(InputError, match="--xmpp-nodes: found 2 without --stack, expected 1"):
        composed(tmp_path, "--xmpp-nodes", "2")
