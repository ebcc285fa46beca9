"""One engine, one image and one local run for all tests of containers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from disturbed_fleet import Day, disturbed_day
from engine import Project, base_image, docker_engine, fill_wheelhouse, peerwatt, source_copy
from swarm import swarm_of_one

from runtime.rundir import RunDirectory
from runtime.scenario.load import find_scenario


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with docker_engine(tmp_path_factory.mktemp("engine") / "dockerd.log"):
        yield


@pytest.fixture(scope="session")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, with patience for machines on which a fleet takes minutes to come up again."""
    path = tmp_path_factory.mktemp("scenario") / "patient.toml"
    path.parent.chmod(0o755)  # the containers' user is not the one who runs the tests
    deadlines = "join_deadline_s = 200\nround_deadline_s = 200\ndelivery_deadline_s = 200\n"
    path.write_bytes(find_scenario("example").read_bytes() + f"\n[timing]\n{deadlines}".encode())
    return path


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree, which image and local run are made of."""
    return source_copy(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="session")
def local_ledger(
    scenario: Path, source: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Future[bytes]]:
    """Ledger of the scenario in local processes, run while the image is made."""
    runs = tmp_path_factory.mktemp("local")

    def ledger() -> bytes:
        words = ("--runs", runs, "--name", "local", "--no-figures")
        peerwatt(source, "run", scenario, *words, timeout_s=600)  # beside the build and the fleet
        return RunDirectory(runs / "local").ledger_csv.read_bytes()

    with ThreadPoolExecutor() as beside:
        yield beside.submit(ledger)


@pytest.fixture(scope="session")
def built(engine: None, local_ledger: Future[bytes], source: Path) -> Project:
    """The image, with both servers."""
    with ThreadPoolExecutor() as at_once:
        wheels = at_once.submit(fill_wheelhouse, source)
        base = at_once.submit(base_image).result()
        wheels.result()
    # Not root's even where the tests run as root: the containers must not be.
    user_id = str(os.getuid() or 12345)
    project = Project(
        name="peerwatt-test",
        file=source / "docker" / "compose.yaml",
        run_name="",
        settings={
            "PEERWATT_UID": user_id,
            "PEERWATT_GID": user_id,
            "PEERWATT_BASE": base,
            "PEERWATT_IMAGE": os.environ.get("PEERWATT_TEST_IMAGE", "peerwatt-test"),
            "PEERWATT_HEALTH_INTERVAL": "5s",
        },
    )
    # With ejabberd too, which other stacks need; Debian's packages are the longest part of a build.
    project.compose("build", "--build-arg", "EJABBERD=yes", timeout_s=900)
    return project


@pytest.fixture(scope="session")
def swarm(built: Project) -> Iterator[None]:
    """The engine as a swarm, until the end: joining or leaving one cuts its other networks."""
    with swarm_of_one():
        yield


@pytest.fixture(scope="session")
def day(built: Project, scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A day of the example in containers with all that may befall it; server and dashboard still run."""
    with disturbed_day(built, scenario, tmp_path_factory.mktemp("elsewhere")) as over:
        yield over


@pytest.fixture(scope="session")
def finished(day: Day) -> Project:
    """The fleet of that day."""
    return day.project
