"""What agents kept in a cluster can be fetched when they are done."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import yaml
from typer.testing import CliRunner

from runtime.cli.commands import app
from tests.scenario.scenarios import write


def documents(folder: Path, *options: str) -> list[dict]:
    arguments = ("kubernetes", str(write(folder)), "--runs", str(folder / "runs"), "--name", "town", *options)
    made = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert made.exit_code == 0, made.stderr
    return [*yaml.safe_load_all(made.stdout)]


def claims(pod: dict) -> set[str]:
    return {each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"] if each["name"] == "data"}


def test_each_volume_but_the_coordinators_has_a_pod_that_reads_it(tmp_path):
    fleet, pods = documents(tmp_path), documents(tmp_path, "--volumes")
    jobs = {
        each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in fleet if each["kind"] == "Job"
    }
    coordinator = jobs.pop("town-coordinator")
    assert [pod["metadata"]["name"] for pod in pods] == [f"{name}-volume" for name in jobs]
    for pod, job in zip(pods, jobs.values(), strict=True):
        kubernetes_validate.validate(pod, "1.25", strict=True)
        (container,), (did,) = pod["spec"]["containers"], job["containers"]
        assert claims(pod["spec"]) == claims(job)
        (mount,) = container["volumeMounts"]
        assert mount == {
            **next(each for each in did["volumeMounts"] if each["name"] == "data"),
            "readOnly": True,
        }
        assert container["command"] == ["sleep", "infinity"]
        assert not {name for name in container if name.endswith("Probe")}  # nothing gives signs of life
        # As locked as what wrote there, and handed nothing.
        assert container["securityContext"] == did["securityContext"]
        assert pod["spec"]["securityContext"] == job["securityContext"]
        assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["data"]
        assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "volume"
    # The dashboard reads that one, and runs on when the market is over.
    (dashboard,) = (
        each["spec"]["template"]["spec"]
        for each in fleet
        if each["metadata"]["name"] == "town-dashboard" and each["kind"] == "Deployment"
    )
    assert claims(dashboard) == claims(coordinator)


def test_the_pods_of_volumes_are_none_of_the_fleets(tmp_path):
    fleet, pods = documents(tmp_path), documents(tmp_path, "--volumes")
    taken = {(each["kind"], each["metadata"]["name"]) for each in fleet}
    assert not taken & {(each["kind"], each["metadata"]["name"]) for each in pods}
    # No Service or Deployment takes such a pod for its own; the fleet's policy holds for it.
    labels = pods[0]["metadata"]["labels"]
    selectors = {
        each["metadata"]["name"]: each["spec"]["podSelector"]["matchLabels"]
        for each in fleet
        if each["kind"] == "NetworkPolicy"
    }
    holding = [name for name, wanted in selectors.items() if wanted.items() <= labels.items()]
    assert holding == ["town-fleet"]
    for each in fleet:
        if each["kind"] == "Service":
            assert not each["spec"]["selector"].items() <= labels.items()
        if each["kind"] == "Deployment":
            assert not each["spec"]["selector"]["matchLabels"].items() <= labels.items()
