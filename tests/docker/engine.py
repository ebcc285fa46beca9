"""A Docker engine, images without a registry, and compose projects for the tests in this folder."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runtime.xmpp.local import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = {
    "docker": "docker.io",
    "dockerd": "docker.io",
    "debootstrap": "debootstrap",
    "openssl": "openssl",
}


Outcome = subprocess.CompletedProcess[str]


def outcome(*command: str | Path, timeout_s: float, env: Mapping[str, str] | None = None) -> Outcome:
    """Run a command to its end, however it ends."""
    return subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


def run(*command: str | Path, timeout_s: float, env: Mapping[str, str] | None = None) -> str:
    """Run a command that has to succeed; its output is in the failure."""
    done = outcome(*command, timeout_s=timeout_s, env=env)
    said = (done.stdout + done.stderr)[-6000:]
    assert done.returncode == 0, f"{' '.join(map(str, command))} ended with {done.returncode}:\n{said}"
    return done.stdout


@functools.cache
def compose_commands() -> list[tuple[str, ...]]:
    """``docker compose`` where the plugin is there, ``docker-compose`` 1.29 where that is.

    PEERWATT_TEST_COMPOSE names one of them where both are there.
    """
    if named := os.environ.get("PEERWATT_TEST_COMPOSE"):
        return [tuple(named.split())]
    found: list[tuple[str, ...]] = []
    if shutil.which("docker") and outcome("docker", "compose", "version", timeout_s=30).returncode == 0:
        found.append(("docker", "compose"))
    if shutil.which("docker-compose"):
        found.append(("docker-compose",))
    return found


def check_tools() -> None:
    missing = {package for tool, package in PACKAGES.items() if shutil.which(tool) is None}
    if not compose_commands():
        missing.add("docker-compose")
    needed = " ".join(sorted(missing))
    assert not missing, f"install these Debian packages to test the container fleet: {needed}"


def _answers() -> bool:
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return False
    # The client succeeds without an engine too; only then is there no "Server Version".
    return done.returncode == 0 and b"Server Version" in done.stdout


@contextlib.contextmanager
def docker_engine(log: Path) -> Iterator[None]:
    """The engine that runs here; without one, our own until the end."""
    check_tools()
    if _answers():
        yield
        return
    with log.open("wb") as output:
        engine = subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 120
        while not _answers():
            text = log.read_text(errors="replace")[-4000:]
            assert engine.poll() is None, f"dockerd ended with {engine.returncode}:\n{text}"
            assert time.monotonic() < deadline, f"dockerd does not answer after 120 s:\n{text}"
            time.sleep(0.2)
        yield
    finally:
        engine.terminate()
        try:
            engine.wait(timeout=30)
        except subprocess.TimeoutExpired:
            engine.kill()
            engine.wait(timeout=10)


def base_image() -> str:
    """Tag of a Debian image with Python; made once for each version of the script that makes it."""
    script = REPOSITORY / "docker" / "base-image.sh"
    recipe = script.read_bytes() + Path("/etc/os-release").read_bytes()
    tag = f"peerwatt-test-base:{hashlib.sha256(recipe).hexdigest()[:12]}"
    known = subprocess.run(["docker", "image", "inspect", tag], capture_output=True, timeout=30, check=False)
    if known.returncode != 0:
        run("sh", script, tag, timeout_s=600)
    return tag


def source_copy(target: Path) -> Path:
    """Copy what the repository tracks or would track, so that a build leaves nothing in it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout
    for name in listed.decode().split("\0"):
        if name and (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)
    return target


def peerwatt(source: Path, *words: str | Path, timeout_s: float = 120) -> str:
    """A command on this machine, outside all containers, of the very source that the image is made of."""
    command = (sys.executable, "-P", "-m", "runtime", *words)  # -P: not what is in the current folder
    return run(*command, timeout_s=timeout_s, env={"PYTHONPATH": str(source)})


def fill_wheelhouse(source: Path) -> None:
    """Put wheels of all locked packages, for this Python, where the image's build looks for them."""
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--requirement", source / "requirements.lock"),
        *("setuptools>=77", "--wheel-dir", source / "docker" / "wheels"),
        timeout_s=600,
    )


@dataclass
class Project:
    """One compose project: its own containers, networks, volumes and run directory."""

    name: str
    file: Path
    run_name: str
    settings: dict[str, str]
    port: int = field(default_factory=free_port)
    dashboard_port: int = field(default_factory=free_port)
    tool: tuple[str, ...] = field(default_factory=lambda: compose_commands()[0])

    @property
    def env(self) -> dict[str, str]:
        ports = {"PEERWATT_PORT": str(self.port), "PEERWATT_DASHBOARD_PORT": str(self.dashboard_port)}
        return {**self.settings, **ports, "PEERWATT_RUN": self.run_name}

    @property
    def source(self) -> Path:
        """The source tree that the image is made of."""
        return self.file.parents[1]

    @property
    def run_directory(self) -> Path:
        return self.source / "runs" / self.run_name

    def compose(self, *arguments: str, timeout_s: float = 120) -> str:
        return run(
            *(*self.tool, "--project-name", self.name, "--file", self.file, *arguments),
            env=self.env,
            timeout_s=timeout_s,
        )

    def container(self, service: str) -> dict[str, object]:
        """What the engine knows of a service's container."""
        ids = run(
            *(
                "docker",
                "ps",
                "--all",
                "--quiet",
                "--filter",
                f"label=com.docker.compose.project={self.name}",
            ),
            *("--filter", f"label=com.docker.compose.service={service}"),
            timeout_s=30,
        ).split()
        assert len(ids) == 1, f"{service}: found {len(ids)} containers, expected one"
        inspected: list[dict[str, object]] = json.loads(run("docker", "inspect", ids[0], timeout_s=30))
        return inspected[0]

    def state(self, service: str) -> dict[str, object]:
        state = self.container(service)["State"]
        assert isinstance(state, dict)
        return state

    def services(self) -> list[str]:
        """Names of all services that have a container."""
        return self.compose("ps", "--all", "--services").split()

    def health(self, service: str) -> str:
        """``starting``, ``healthy`` or ``unhealthy``; empty where nobody asks."""
        health = self.state(service).get("Health")
        return str(health["Status"]) if isinstance(health, dict) else ""

    def restarts(self, service: str) -> int:
        """How often the engine has started a service's container again."""
        count = self.container(service)["RestartCount"]
        assert isinstance(count, int)
        return count

    def up(self, timeout_s: float) -> None:
        """Start everything from images that are there; a failure shows what the services said."""
        try:
            self.compose("up", "--detach", "--no-build", timeout_s=timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs('prepare', 'xmpp')}") from None

    def logs(self, *services: str) -> str:
        return self.compose("logs", "--no-color", "--tail", "60", *services)

    def wait_until_ended(self, service: str, timeout_s: float) -> int:
        """Exit code of a service once it has ended and is not restarted."""
        deadline = time.monotonic() + timeout_s
        while True:
            state = self.state(service)
            if state["Status"] == "exited":
                code = state["ExitCode"]
                assert isinstance(code, int)
                return code
            assert time.monotonic() < deadline, (
                f"{service} has not ended after {timeout_s:.0f} s:\n{self.logs()}"
            )
            time.sleep(0.3)

    def remove(self) -> None:
        """Remove containers, networks and volumes."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "2", timeout_s=120)

    def left_behind(self) -> str:
        """What of this project the engine still has."""
        mine = f"label=com.docker.compose.project={self.name}"
        return "".join(
            run("docker", *kind, "--quiet", "--filter", mine, timeout_s=30)
            for kind in (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
        )
