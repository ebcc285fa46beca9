"""Faults of a server's nodes: which processes they hit, and when."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runtime.drills.base import Struck
from runtime.drills.moments import Moment
from runtime.drills.nodes import KillNode, Netsplit, RestartNodes
from runtime.drills.processes import KillServer
from runtime.fleet.ejabberd import EjabberdChildren
from runtime.xmpp.ejabberd.local import NodeProcess
from runtime.xmpp.ejabberd.node import Node
from runtime.xmpp.local import free_port

LIMIT_S = 10.0


@dataclass
class Cluster:
    """Two nodes, played by processes that only wait."""

    server: EjabberdChildren

    @property
    def running(self) -> list[bool]:
        return [node.exit_code is None for node in self.server.nodes]

    def come_back(self, number: int) -> None:
        self.server.nodes[number].process = sleeper()

    def await_end(self, number: int) -> int:
        process = self.server.nodes[number].process
        assert process is not None
        return process.wait(LIMIT_S)


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    port = free_port(["127.0.0.1", "127.0.0.2"])
    server = EjabberdChildren(tmp_path / "server", tmp_path / "accounts.json", tmp_path / "errors", count=2)
    server.nodes = [
        NodeProcess(
            Node(domain="x.test", nodes_interface=f"127.0.0.{number}", nodes_port=port),
            tmp_path / f"{number}.log",
        )
        for number in (1, 2)
    ]
    made = Cluster(server)
    for number in range(2):
        made.come_back(number)
    yield made
    server.kill()


def struck(cluster: Cluster, tmp_path: Path, seed: int = 1) -> Struck:
    moment = Moment(phase="operating", session=0, number=1, delay_s=0.0)
    children: list[Any] = [cluster.server]
    return Struck(lambda: children, "house", moment, seed, tmp_path / "flag", ("house",), ("coordinator",))


def test_one_node_is_killed_which_the_seed_says(cluster: Cluster, tmp_path: Path) -> None:
    hit = set()
    for seed in range(6):
        KillNode(struck(cluster, tmp_path, seed)).strike()
        end_s = time.monotonic() + LIMIT_S
        while all(cluster.running) and time.monotonic() < end_s:
            time.sleep(0.01)
        number = cluster.running.index(False)
        assert cluster.await_end(number) == -signal.SIGKILL
        assert cluster.running.count(True) == 1
        cluster.come_back(number)
        hit.add(number)
    assert hit == {0, 1}


def test_all_nodes_of_a_server_that_dies_are_killed(cluster: Cluster, tmp_path: Path) -> None:
    KillServer(struck(cluster, tmp_path)).strike()
    assert [cluster.await_end(number) for number in (0, 1)] == [-signal.SIGKILL] * 2


def test_nodes_are_restarted_one_after_the_other(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serves = [False]
    monkeypatch.setattr(NodeProcess, "serves", lambda _: serves[0])
    fault = RestartNodes(struck(cluster, tmp_path))
    fault.strike()
    assert cluster.await_end(0) == -signal.SIGTERM
    fault.step("slot", {"session": 0, "slot": 2})
    fault.step("restarted", {})
    assert cluster.running == [False, True], "the second is not ended before the first is back"
    cluster.come_back(0)
    fault.step("slot", {"session": 0, "slot": 3})
    time.sleep(0.1)
    assert cluster.running == [True, True], "the second is not ended before the first takes logins"
    serves[0] = True
    fault.step("slot", {"session": 0, "slot": 3})
    assert cluster.await_end(1) == -signal.SIGTERM
    fault.step("restarted", {})
    cluster.come_back(1)
    for slot in (4, 5):
        fault.step("slot", {"session": 0, "slot": slot})
    time.sleep(0.1)
    assert cluster.running == [True, True], "each is restarted once"


def test_nodes_that_are_parted_are_looked_for_at_proxies(cluster: Cluster, tmp_path: Path) -> None:
    """What another node dials is the proxy; the node listens behind it, and gives others up soon."""
    fault = Netsplit(struck(cluster, tmp_path))
    before = [process.node for process in cluster.server.nodes]
    fault.prepare(cluster.server)
    after = [process.node for process in cluster.server.nodes]
    assert [node.nodes_interface for node in after] == ["127.0.1.1", "127.0.1.2"]
    assert [node.interface for node in after] == [node.interface for node in before], "agents dial as ever"
    assert all(new.nodes_silence_s < old.nodes_silence_s for new, old in zip(after, before, strict=True))
