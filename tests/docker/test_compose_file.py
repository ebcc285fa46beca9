"""The compose file that `peerwatt compose` writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from runtime.cli.compose import MARK, ContainerFleet, render, scalar, source_tree
from runtime.cli.manifests import emit
from runtime.deployment.address import DOMAIN
from runtime.deployment.containers import SIGNS_DIR, sign_command
from runtime.deployment.placement import Placement
from runtime.errors import InputError

ROOT = source_tree(None)


def fleet(**changes: object) -> ContainerFleet:
    fields: dict[str, object] = {
        "community": "Two neighbours",
        "members": ["north", "south"],
        "scenario": "example",
        "source": ROOT,
        "runs": ROOT / "runs",
    }
    return ContainerFleet(**{**fields, **changes})  # type: ignore[arg-type]


def loaded(of: ContainerFleet, out: Path = ROOT / "docker" / "compose.yaml") -> dict[str, dict]:
    return yaml.safe_load(render(of, out))


@pytest.mark.parametrize(
    "name", ["no", "on", "y", "1", "1e3", "0x1f", "2024-01-01", "null", "true", "a-b", "12-3"]
)
def test_every_member_name_reaches_its_agent_as_text(name: str) -> None:
    services = loaded(fleet(members=[name]))["services"]
    assert services[f"prosumer-{name}"]["command"][-2:] == ["--member", name]


@pytest.mark.parametrize("text", ["a b", "$HOME", "[x]", "#", "", "é", '"', "a,b", "a: b", "-a", "*a", "&a"])
def test_scalar_keeps_any_text(text: str) -> None:
    read = yaml.safe_load(f"[{scalar(text)}]")
    assert read == [text.replace("$", "$$")]


def test_one_service_for_each_member_and_one_server() -> None:
    services = loaded(fleet())["services"]
    agents = ["coordinator", "meters", "prosumer-north", "prosumer-south"]
    assert list(services) == ["prepare", "xmpp", *agents, "dashboard"]


def test_members_that_share_a_container_and_those_elsewhere() -> None:
    placement = Placement(members_per_container=2, elsewhere=["b"])
    services = loaded(fleet(members=["a", "b", "c", "d", "e"], placement=placement))["services"]
    assert [name for name in services if name.startswith("prosumer")] == ["prosumers-1", "prosumers-2"]
    assert services["prosumers-1"]["command"][-4:] == ["--member", "a", "--member", "c"]
    assert services["prosumers-2"]["command"][-4:] == ["--member", "d", "--member", "e"]
    assert services["prosumers-2"]["volumes"][-1].endswith("/handouts/prosumers-2:/run/peerwatt:ro")
    # What is handed out inside is spread in the same way.
    assert services["prepare"]["command"][3:] == ["--members-per-container", "2", "--remote", "b"]


def test_the_dashboard_reads_only_what_it_shows_and_is_published_on_loopback_only() -> None:
    dashboard = loaded(fleet())["services"]["dashboard"]
    assert dashboard["ports"] == ["127.0.0.1:${PEERWATT_DASHBOARD_PORT:-8765}:8765"]
    assert dashboard["networks"] == ["host"]
    mounts = dict(mount.rsplit(":", 1)[0].rsplit(":/", 1) for mount in dashboard["volumes"])
    assert all(mount.endswith(":ro") for mount in dashboard["volumes"])
    run = "../runs/${PEERWATT_RUN:-compose-example}"
    shown = {f"{run}/logs", f"{run}/records", f"{run}/config/members"}
    assert {*mounts} == {*shown, f"{run}/deployment/handouts/dashboard"}


def test_every_service_that_stays_is_asked_for_a_sign_of_life() -> None:
    services = loaded(fleet(coordinators=["coordinator", "coordinator2"]))["services"]
    for name, service in services.items():
        assert ("healthcheck" in service) == (name != "prepare"), name
    for name in services.keys() - {"prepare", "xmpp"}:
        assert services[name]["healthcheck"]["test"] == ["CMD-SHELL", sign_command(SIGNS_DIR / "connected")]


def test_the_image_gives_signs_where_engines_look_for_them() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    assert f"PEERWATT_SIGNS_OF_LIFE={SIGNS_DIR} " in dockerfile
    assert "PEERWATT_STOPPED_EXIT_CODE=143 " in dockerfile
    assert f"CMD {sign_command(SIGNS_DIR / 'connected')}\n" in dockerfile


def test_agents_are_contained() -> None:
    file = loaded(fleet())
    for name, service in file["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name != "prepare":
            assert service["user"].startswith("${PEERWATT_UID:-1000}"), name
        assert service["image"] == "${PEERWATT_IMAGE:-peerwatt}", name
        if name not in ("prepare", "xmpp", "dashboard"):
            assert service["networks"] == ["fleet"], name
            assert "ports" not in service
    assert file["networks"]["fleet"] == {"internal": True}


def test_server_is_published_on_loopback_only_under_the_domain_of_its_certificate() -> None:
    services = loaded(fleet())["services"]
    outside = "${PEERWATT_BIND:-127.0.0.1}:${PEERWATT_PORT:-5222}"
    assert services["xmpp"]["ports"] == [f"{outside}:5222"]
    assert services["prepare"]["environment"]["PEERWATT_OUTSIDE"] == outside
    assert services["xmpp"]["networks"]["fleet"]["aliases"] == [DOMAIN]
    assert services["xmpp"]["environment"]["PEERWATT_DOMAIN"] == DOMAIN


def test_each_agent_is_handed_its_own_secrets_and_nobody_elses() -> None:
    services = loaded(fleet())["services"]
    for name in ("coordinator", "meters", "prosumer-north", "prosumer-south"):
        under_deployment = [mount for mount in services[name]["volumes"] if "/deployment" in mount]
        (handed,) = under_deployment
        assert handed.endswith(f"/deployment/handouts/{name}:/run/peerwatt:ro")
        assert "/run/peerwatt" in services[name]["command"]
    # It sees the whole run, of which the deployment's files are hidden.
    assert "/runs/${PEERWATT_RUN:-compose-example}/deployment" in services["coordinator"]["tmpfs"]
    for name in ("meters", "prosumer-north", "prosumer-south"):
        for mount in services[name]["volumes"]:
            assert mount.split(":/")[0].endswith(("/logs", "/records", f"/handouts/{name}")), mount


def test_two_coordinators_are_two_containers_of_which_one_reports() -> None:
    services = loaded(fleet(coordinators=["coordinator", "coordinator2"]))["services"]
    assert "/opt/peerwatt/fleet/coordinate.sh" in services["coordinator"]["command"]
    second = services["coordinator2"]
    assert second["command"][-2:] == ["--account", "coordinator2"]
    assert second["volumes"][-1].endswith("/deployment/handouts/coordinator2:/run/peerwatt:ro")
    assert services["xmpp"]["environment"]["PEERWATT_UNLIMITED"] == "coordinator coordinator2"


def test_the_server_is_handed_verifiers_and_keeps_what_it_stores_and_records() -> None:
    run = "../runs/${PEERWATT_RUN:-compose-example}"
    assert loaded(fleet())["services"]["xmpp"]["volumes"] == [
        f"{run}/deployment/server:/run/peerwatt:ro",
        f"{run}/deployment/stored:/var/lib/peerwatt",
        f"{run}/server:/var/log/peerwatt",
    ]


def test_scenario_file_and_data_are_mounted_read_only(tmp_path: Path) -> None:
    scenario = tmp_path / "my town" / "town.toml"
    data = tmp_path / "series"
    of = fleet(scenario=scenario, data=data, runs=tmp_path / "results")
    services = loaded(of, tmp_path / "compose.yaml")["services"]
    prepare = services["prepare"]
    assert prepare["command"][2:] == ["/scenario/town.toml", "--data", "/data"]
    assert prepare["volumes"] == [
        "./results:/runs",
        "./my town:/scenario:ro",
        "./series:/data:ro",
    ]
    run = "${PEERWATT_RUN:-compose-town}"
    assert f"./results/{run}:/runs/{run}" in services["coordinator"]["volumes"]


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    assert loaded(fleet())["services"]["prepare"]["build"]["context"] == ".."
    assert loaded(fleet(), ROOT / "compose.yaml")["services"]["prepare"]["build"]["context"] == "."
    elsewhere = loaded(fleet(), tmp_path / "compose.yaml")["services"]
    assert elsewhere["prepare"]["build"]["context"].startswith("../")


@pytest.mark.parametrize("folder", ["a:b", "a$b"])
def test_path_that_compose_cannot_hold_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(InputError, match=r"found ':' or '\$'"):
        render(fleet(runs=tmp_path / folder), tmp_path / "compose.yaml")


def test_only_its_own_files_are_written_over(tmp_path: Path) -> None:
    out = tmp_path / "new" / "compose.yaml"
    emit(render(fleet(), out), out, MARK)
    emit(render(fleet(members=["west"]), out), out, MARK)
    assert out.read_text().startswith(MARK)
    assert "prosumer-west" in out.read_text()
    out.write_text("services: {}\n")
    with pytest.raises(InputError, match="was not written by `peerwatt compose`"):
        emit(render(fleet(), out), out, MARK)
    assert out.read_text() == "services: {}\n"


def test_source_must_be_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no docker/Dockerfile"):
        source_tree(tmp_path)
