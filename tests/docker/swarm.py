"""Stacks on this machine's engine as a swarm of one node."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine import outcome, run

LIMIT_S = 240.0


def until(condition: Callable[[], bool], what: Callable[[], str], limit_s: float = LIMIT_S) -> None:
    """Wait for something; ``what`` says what is instead."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.5)


@contextlib.contextmanager
def swarm_of_one() -> Iterator[None]:
    """This engine as a swarm; as it was before afterwards."""
    mine = run("docker", "info", "--format", "{{.Swarm.LocalNodeState}}", timeout_s=30).strip() != "active"
    if mine:
        run("docker", "swarm", "init", "--advertise-addr", "127.0.0.1", timeout_s=60)
    try:
        yield
    finally:
        if mine:
            run("docker", "swarm", "leave", "--force", timeout_s=60)


@dataclass(frozen=True)
class Stack:
    """A stack of the swarm.

    Attributes:
        name: no other project's, whose network may be there still.
    """

    name: str

    @classmethod
    def named(cls, purpose: str) -> Stack:
        """One that no other test has."""
        return cls(f"peerwatt-{purpose}-{os.getpid()}")

    def deploy(self, file: Path) -> None:
        run("docker", "stack", "deploy", "--resolve-image", "never", "-c", file, self.name, timeout_s=120)

    def logs(self, *services: str) -> str:
        said = [
            outcome("docker", "service", "logs", "--raw", "--tail", "40", f"{self.name}_{each}", timeout_s=30)
            for each in services
        ]
        return "\n".join(each.stdout + each.stderr for each in said)

    def tasks(self, service: str) -> list[str]:
        """What became of a service's containers, such as ``Complete 3 seconds ago``, the newest first.

        Without those that the engine could not start: its remounting of secrets sometimes finds them busy
        (moby issue 48783), and the swarm tries again.
        """
        said = "{{.CurrentState}} {{.Error}}"
        lines = run(
            *("docker", "service", "ps", "--no-trunc", "--format", said, f"{self.name}_{service}"),
            timeout_s=30,
        ).splitlines()
        return [line for line in lines if "starting container failed" not in line]

    def wait_until_complete(self, *services: str) -> None:
        """Wait until services have ended well."""
        until(
            lambda: all("".join(self.tasks(service)[:1]).startswith("Complete") for service in services),
            lambda: self.logs(*services),
        )

    def process_of(self, service: str, program: str) -> int:
        """Number, on this machine, of the process of a service's container that runs a program."""
        (container,) = run(
            *(
                "docker",
                "ps",
                "--quiet",
                "--filter",
                f"label=com.docker.swarm.service.name={self.name}_{service}",
            ),
            timeout_s=30,
        ).split()
        lines = run("docker", "top", container, "-eo", "pid,comm", timeout_s=30).splitlines()[1:]
        (process,) = [int(line.split()[0]) for line in lines if line.split()[1] == program]
        return process

    def volume(self, name: str) -> Path | None:
        """Where a volume is on this machine; None before it is there."""
        said = outcome("docker", "volume", "inspect", f"{self.name}_{name}", timeout_s=30)
        return Path(json.loads(said.stdout)[0]["Mountpoint"]) if said.returncode == 0 else None

    def left(self) -> str:
        """What the engine still has of it, but for volumes."""
        mine = f"label=com.docker.stack.namespace={self.name}"
        return "".join(
            run("docker", *kind, "--quiet", "--filter", mine, timeout_s=30)
            for kind in (("ps", "--all"), ("network", "ls"), ("secret", "ls"), ("config", "ls"))
        )

    def remove(self) -> None:
        """Remove all of it."""

        def gone() -> bool:
            # Again and again: a network on which there are containers still is left where it is.
            outcome("docker", "stack", "rm", self.name, timeout_s=120)
            return not self.left()

        until(gone, self.left)
        mine = f"label=com.docker.stack.namespace={self.name}"
        for volume in run("docker", "volume", "ls", "--quiet", "--filter", mine, timeout_s=30).split():
            outcome("docker", "volume", "rm", volume, timeout_s=30)
