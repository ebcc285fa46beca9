"""The files for Docker Swarm and Kubernetes: what is in them, and that the published schemas hold."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from runtime.cli.commands import app
from runtime.deployment import kubernetes, stack
from runtime.deployment.containers import SIGNS_DIR, START_LIMIT_S, sign_command
from runtime.errors import InputError
from tests.scenario.scenarios import write

AGENTS = ["coordinator", "meters", "prosumer-house", "prosumer-school"]


def peerwatt(folder: Path, *arguments: str):
    command, *more = arguments
    options = ("--runs", str(folder / "runs"))
    return CliRunner().invoke(app, [command, str(write(folder)), *options, *more], catch_exceptions=False)


def stack_of(folder: Path, *options: str) -> dict:
    out = folder / "stack.yaml"
    assert peerwatt(folder, "compose", "--stack", "--out", str(out), *options).exit_code == 0
    return yaml.safe_load(out.read_text())


def handed(service: dict) -> dict[str, str]:
    return {file["target"]: file["source"] for kind in ("secrets", "configs") for file in service[kind]}


def test_stack_hands_each_service_its_own_secrets(tmp_path):
    made = stack_of(tmp_path)
    assert [*made["services"]] == ["xmpp", *AGENTS]
    owned = {}
    for name, service in made["services"].items():
        owned[name] = {Path(file["target"]).name for file in service["secrets"]}
        for file in service["secrets"]:
            assert made["secrets"].get(file["source"]), file
            assert file["mode"] == 0o400
    assert owned == {
        "xmpp": {"accounts.json", "server.key.pem"},
        "coordinator": {"coordinator"},
        "meters": {"house.meter", "school.meter"},
        "prosumer-house": {"house"},
        "prosumer-school": {"school"},
    }
    for kind in ("secrets", "configs"):
        for file in made[kind].values():
            assert (tmp_path / file["file"]).is_file()


def test_stack_services_are_contained_and_stay_on_their_node(tmp_path):
    services = stack_of(tmp_path, "--nodes", "one,two")["services"]
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"], name
        assert service["user"] == "1000:1000", name
        assert {"type": "tmpfs", "target": "/tmp"} in service["volumes"], (
            name
        )  # where signs of life are given
    placed = {name: service["deploy"]["placement"]["constraints"] for name, service in services.items()}
    assert placed["prosumer-school"] == ["node.hostname == two"]
    assert placed["prosumer-house"] == placed["xmpp"] == placed["coordinator"] == ["node.hostname == one"]


def test_a_new_secret_is_a_new_file_to_the_services_that_use_it_only(tmp_path):
    before = stack_of(tmp_path)["services"]
    run = tmp_path / "runs" / "stack-scenario"
    assert CliRunner().invoke(app, ["secrets", "rotate", str(run), "school"]).exit_code == 0
    after = stack_of(tmp_path)["services"]
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"xmpp", "meters", "prosumer-school"}
    assert stack_of(tmp_path)["services"] == after


def test_a_swarm_replaces_what_hangs_and_not_what_has_lost_its_server(tmp_path):
    services = stack_of(tmp_path, "--dashboard-port", "8800")["services"]
    for name in (*AGENTS, "dashboard"):
        check = services[name]["healthcheck"]
        assert check["test"] == ["CMD-SHELL", sign_command(SIGNS_DIR / "alive")], name
        assert check["start_period"] == f"{START_LIMIT_S}s"


def test_a_stack_has_a_dashboard_if_it_is_asked_for(tmp_path):
    assert "dashboard" not in stack_of(tmp_path)["services"]
    made = stack_of(tmp_path, "--dashboard-port", "8800", "--nodes", "one,two")
    dashboard = made["services"]["dashboard"]
    assert dashboard["ports"] == [{"target": 8765, "published": 8800, "protocol": "tcp", "mode": "host"}]
    assert dashboard["volumes"] == ["runs:/runs:ro", {"type": "tmpfs", "target": "/tmp"}]
    assert [file["target"] for file in dashboard["secrets"]] == ["/run/peerwatt/token"]
    assert dashboard["command"][-2:] == ["127.0.0.1:8800", "0.0.0.0"]
    run = tmp_path / "runs" / "stack-scenario"
    token = (run / "deployment/handouts/dashboard/token").read_text().strip()
    told = CliRunner().invoke(app, ["dashboard", str(run), "--address"])
    assert told.stdout == f"http://127.0.0.1:8800/?token={token}\n"
    # A new token is a new secret, to the dashboard and to nobody else.
    assert CliRunner().invoke(app, ["secrets", "rotate", str(run), "dashboard"]).exit_code == 0
    after = stack_of(tmp_path, "--dashboard-port", "8800", "--nodes", "one,two")["services"]
    assert {name for name in after if after[name] != made["services"][name]} == {"dashboard"}
    assert dashboard["deploy"]["placement"] == made["services"]["coordinator"]["deploy"]["placement"]
    assert {*dashboard["networks"]}.isdisjoint(made["services"]["coordinator"]["networks"])


def test_members_share_a_container_where_they_are_asked_to(tmp_path):
    services = stack_of(tmp_path, "--members-per-container", "2", "--nodes", "one,two")["services"]
    assert [name for name in services if name.startswith("prosumer")] == ["prosumers-1"]
    assert services["prosumers-1"]["command"][-4:] == ["--member", "house", "--member", "school"]
    assert {Path(file["target"]).name for file in services["prosumers-1"]["secrets"]} == {"house", "school"}
    jobs = {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]["containers"][0]["command"]
        for each in manifests_of(tmp_path, "--members-per-container", "2")
        if each["kind"] == "Job"
    }
    assert [*jobs] == ["town-coordinator", "town-meters", "town-prosumers-1"]
    assert jobs["town-prosumers-1"][-4:] == ["--member", "house", "--member", "school"]


def test_a_file_too_large_for_a_swarm_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(stack, "MAX_FILE_BYTES", 1000)
    with pytest.raises(InputError, match=r"expected at most 1000, which is all that a swarm hands"):
        stack_of(tmp_path)


def manifests_of(folder: Path, *options: str) -> list[dict]:
    made = peerwatt(folder, "kubernetes", "--name", "town", *options)
    assert made.exit_code == 0
    return [*yaml.safe_load_all(made.stdout)]


@pytest.mark.parametrize("version", ["1.25", "1.37"])
def test_manifests_hold_the_published_schemas(tmp_path, version):
    for manifest in manifests_of(tmp_path):
        kubernetes_validate.validate(manifest, version, strict=True)
    broken = manifests_of(tmp_path)[-1]
    broken["spec"]["template"]["spec"]["containers"][0]["comand"] = ["x"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, version, strict=True)


def lists_of_ports(manifest: object) -> list[list[dict]]:
    if isinstance(manifest, list):
        return [found for each in manifest for found in lists_of_ports(each)]
    if not isinstance(manifest, dict):
        return []
    own = [value for key, value in manifest.items() if key == "ports"]
    return own + [found for value in manifest.values() for found in lists_of_ports(value)]


@pytest.mark.parametrize("nodes", ["1", "3"])
def test_manifests_can_be_applied_by_the_server(tmp_path, nodes):
    # `kubectl apply --server-side` merges lists by keys; older servers have no default for a port's protocol.
    ports = [
        port
        for manifest in manifests_of(tmp_path, "--xmpp-nodes", nodes)
        for each in lists_of_ports(manifest)
        for port in each
    ]
    assert len(ports) >= 5
    assert all(port["protocol"] in ("TCP", "UDP") for port in ports), ports


def test_applying_writes_no_secret_a_second_time(tmp_path):
    # kubectl's own way keeps what it applied in an annotation, which holds 256 KiB: no large Secret.
    out = tmp_path / "town.yaml"
    made = peerwatt(tmp_path, "kubernetes", "--out", str(out))
    assert f"kubectl apply --server-side -f {out}" in made.stdout + made.stderr


def test_an_image_that_a_node_has_is_not_asked_from_a_registry(tmp_path):
    made = manifests_of(tmp_path)
    pods = [each["spec"]["template"]["spec"] for each in made if each["kind"] in ("Job", "Deployment")]
    assert len(pods) == len(AGENTS) + 2
    assert {pod["containers"][0]["imagePullPolicy"] for pod in pods} == {"IfNotPresent"}


def test_no_process_of_a_pod_is_the_first_of_its_namespace(tmp_path):
    # The first one is not ended by SIGTERM unless it says how: a dashboard took a pod's whole grace to go.
    made = manifests_of(tmp_path)
    pods = [each["spec"]["template"]["spec"] for each in made if each["kind"] in ("Job", "Deployment")]
    assert len(pods) == len(AGENTS) + 2
    assert all(pod["shareProcessNamespace"] for pod in pods)


def test_manifests_hand_each_job_its_own_secrets_in_a_locked_container(tmp_path):
    made = manifests_of(tmp_path)
    named = {(each["kind"], each["metadata"]["name"]): each for each in made}
    assert len(named) == len(made)
    for agent in AGENTS:
        job = named["Job", f"town-{agent}"]
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        secret = named["Secret", volumes["handout"]["secret"]["secretName"]]
        paths = {item["path"]: secret["data"][item["key"]] for item in volumes["handout"]["secret"]["items"]}
        assert {path.removeprefix("secrets/") for path in paths if path.startswith("secrets/")} == {
            "coordinator": {"coordinator"},
            "meters": {"house.meter", "school.meter"},
            "prosumer-house": {"house"},
            "prosumer-school": {"school"},
        }[agent]
        assert json.loads(base64.b64decode(paths["connection.json"]))["host"] == "town-xmpp"
        claim = volumes["data"]["persistentVolumeClaim"]["claimName"]
        assert ("PersistentVolumeClaim", claim) in named
    assert ("Service", "town-xmpp") in named


def test_kubernetes_restarts_what_hangs_and_not_what_has_lost_its_server(tmp_path):
    jobs = [each for each in manifests_of(tmp_path) if each["kind"] == "Job"]
    assert len(jobs) == len(AGENTS)
    for job in jobs:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        asked = {
            name: container[name]["exec"]["command"][-1]
            for name in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        alive, connected = (sign_command(SIGNS_DIR / sign) for sign in ("alive", "connected"))
        assert asked == {"startupProbe": alive, "livenessProbe": alive, "readinessProbe": connected}
        start = container["startupProbe"]
        assert start["periodSeconds"] * start["failureThreshold"] == START_LIMIT_S


def test_the_dashboard_of_a_cluster_reads_the_coordinators_volume_on_its_own_loopback(tmp_path):
    made = {(each["kind"], each["metadata"]["name"]): each for each in manifests_of(tmp_path)}
    pod = made["Deployment", "town-dashboard"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["restartPolicy"] == "Always"
    assert container["command"][-3:] == ["/run/peerwatt", "127.0.0.1:8765", "127.0.0.1"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    # It is handed its token and nothing else.
    assert volumes["handout"]["secret"]["items"] == [{"key": "token", "path": "token"}]
    handed = made["Secret", volumes["handout"]["secret"]["secretName"]]["data"]
    token = (tmp_path / "runs" / "kubernetes-town" / "deployment/handouts/dashboard/token").read_bytes()
    assert {name: base64.b64decode(value) for name, value in handed.items()} == {"token": token}
    told = CliRunner().invoke(app, ["dashboard", str(tmp_path / "runs" / "kubernetes-town"), "--address"])
    assert told.stdout == f"http://127.0.0.1:8765/?token={token.decode().strip()}\n"
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == "town-coordinator"
    (data,) = (mount for mount in container["volumeMounts"] if mount["name"] == "data")
    assert data["readOnly"]
    job = made["Job", "town-coordinator"]["spec"]["template"]["spec"]
    (coordinators,) = (volume for volume in job["volumes"] if volume["name"] == "handout")
    assert coordinators["secret"]["secretName"] == "town-coordinator"
    assert "affinity" not in job
    assert job["restartPolicy"] == "OnFailure"


def test_coordinators_of_two_communities_write_into_one_volume(tmp_path):
    """As in a swarm, where both are on the first node; so the first can join the books and report."""
    scenario = write(tmp_path, ('"mid-market-rate"', '"hybrid"'))
    options = ("--name", "town", "--runs", str(tmp_path / "runs"))
    done = CliRunner().invoke(app, ["kubernetes", str(scenario), *options], catch_exceptions=False)
    made = [*yaml.safe_load_all(done.stdout)]
    for manifest in made:
        kubernetes_validate.validate(manifest, "1.34", strict=True)
    named = {(each["kind"], each["metadata"]["name"]): each for each in made}
    assert ("PersistentVolumeClaim", "town-coordinator2") not in named
    for name in ("coordinator", "coordinator2"):
        template = named["Job", f"town-{name}"]["spec"]["template"]
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        assert volumes["data"]["persistentVolumeClaim"]["claimName"] == "town-coordinator"
        assert volumes["handout"]["secret"]["secretName"] == f"town-{name}"
        (term,) = template["spec"]["affinity"]["podAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]
        (either,) = term["labelSelector"]["matchExpressions"]
        assert either["values"] == ["coordinator", "coordinator2"]
        # Each fits the rule itself: else none could be placed first.
        labels = template["metadata"]["labels"]
        assert labels[either["key"]] in either["values"]
        assert term["labelSelector"]["matchLabels"].items() <= labels.items()
        assert either["key"] not in term["labelSelector"]["matchLabels"]
    dashboard = named["Deployment", "town-dashboard"]["spec"]["template"]["spec"]
    assert "requiredDuringSchedulingIgnoredDuringExecution" not in dashboard["affinity"]["podAffinity"]
    for member in ("house", "school"):
        assert ("PersistentVolumeClaim", f"town-prosumer-{member}") in named


def test_agents_reach_the_server_only(tmp_path):
    policies = {
        each["metadata"]["name"]: each["spec"]
        for each in manifests_of(tmp_path)
        if each["kind"] == "NetworkPolicy"
    }
    assert policies["town-fleet"]["ingress"] == []
    to_server, to_names = policies["town-fleet"]["egress"]
    (selected,) = to_server["to"]
    assert selected["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "xmpp"
    assert {port["port"] for port in to_names["ports"]} == {53}


def test_the_coordinator_is_handed_what_its_report_needs(tmp_path):
    made = {(each["kind"], each["metadata"]["name"]): each for each in manifests_of(tmp_path)}
    packed = base64.b64decode(made["Secret", "town-coordinator"]["data"]["run.tar.gz"])
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        names = {*archive.getnames()}
    assert names == {
        "run.json",
        "scenario.toml",
        "config/accounts.json",
        "config/coordinator.json",
        "config/meters.json",
        "config/members/house.json",
        "config/members/school.json",
    }


def test_members_elsewhere_have_no_job(tmp_path):
    names = {each["metadata"]["name"] for each in manifests_of(tmp_path, "--remote", "school")}
    assert "town-prosumer-house" in names
    assert "town-prosumer-school" not in names
    assert "prosumer-school" not in stack_of(tmp_path, "--remote", "school")["services"]
    with pytest.raises(InputError, match="--remote: found no member 'barn', expected some of house, school"):
        manifests_of(tmp_path, "--remote", "barn")


def test_a_secret_too_large_for_a_cluster_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(kubernetes, "MAX_SECRET_BYTES", 3000)
    with pytest.raises(InputError, match="expected at most 3000, which is all that a cluster takes"):
        peerwatt(tmp_path, "kubernetes")


@pytest.mark.parametrize("name", ["Town", "a" * 13, "-a", "1a"])
def test_a_name_no_cluster_takes_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="--name: found"):
        peerwatt(tmp_path, "kubernetes", f"--name={name}")
