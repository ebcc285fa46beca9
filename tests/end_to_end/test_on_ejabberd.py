"""``peerwatt run --xmpp ejabberd``: two nodes carry one community, with the embedded server's ledger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from runtime.messaging.connection import Connection
from tests.end_to_end.fleets import COORDINATOR, SERVER, Run, call, eventually, fleet, peerwatt, still_running
from tests.end_to_end.street import write_street

ON_ONE_NODE = ("--xmpp", "ejabberd")
ON_TWO_NODES = (*ON_ONE_NODE, "--xmpp-nodes", "2")
FIRST, SECOND = "127.0.0.1", "127.0.0.2"


@pytest.fixture(scope="module")
def embedded_ledger(tmp_path_factory) -> bytes:
    """The street's ledger on the embedded server."""
    folder = tmp_path_factory.mktemp("embedded")
    with fleet(write_street(folder), folder) as run:
        run.succeed()
        return (run.path / "ledger.csv").read_bytes()


def sessions_by_node(run: Run) -> dict[str, int]:
    """How many connections of the fleet's agents there are with each node."""
    connection = Connection.load(run.path / "connection.json")
    by_node = dict.fromkeys(connection.hosts, 0)
    for process in run.descendants():
        try:
            if "beam.smp" in process.name():
                continue
            made = process.net_connections()
        except psutil.NoSuchProcess:
            continue
        for each in made:
            if each.raddr and each.raddr[1] == connection.port and each.status == psutil.CONN_ESTABLISHED:
                by_node[each.raddr[0]] += 1
    return by_node


@pytest.mark.parametrize("nodes", [ON_ONE_NODE, ON_TWO_NODES], ids=["one", "two"])
def test_the_ledger_is_the_embedded_servers_and_the_servers_record_agrees(tmp_path, embedded_ledger, nodes):
    with fleet(write_street(tmp_path), tmp_path, *nodes, "--server-record") as run:
        run.await_slot(0)
        spread = sessions_by_node(run)
        run.succeed()
    assert len(spread) == (2 if nodes is ON_TWO_NODES else 1)
    assert min(spread.values()) >= 2, "agents are on every node"
    assert (run.path / "ledger.csv").read_bytes() == embedded_ledger
    proof = call("verify", run.path, "--server", "--json")
    assert proof.returncode == 0, proof.stdout + proof.stderr
    assert json.loads(proof.stdout)["server"]["messages"] > 100
    handed = run.path / "server" / "ejabberd" / "handed"
    secrets = [path.read_text().strip() for path in (run.path / "server" / "secrets").iterdir()]
    held = b"".join(path.read_bytes() for path in handed.iterdir()).decode()
    assert len(secrets) > 10
    assert not [secret for secret in secrets if secret in held]


def test_agents_of_a_node_that_is_killed_go_to_the_other_and_nothing_is_lost(tmp_path, embedded_ledger):
    with fleet(write_street(tmp_path, slot_seconds=0.6), tmp_path, *ON_TWO_NODES) as run:
        run.await_slot(2)
        # Nothing goes on without the coordinator, so that there is time to look; it is back on its own later.
        coordinator = psutil.Process(run.pid_of(COORDINATOR))
        coordinator.suspend()
        before = sessions_by_node(run)
        run.kill(f"{SERVER}-2")

        def all_on_the_first() -> bool:
            now = sessions_by_node(run)
            return now[SECOND] == 0 and now[FIRST] >= sum(before.values()) - 1

        try:
            eventually(all_on_the_first, "all agents are on the node that is left")
        finally:
            coordinator.resume()
        told = run.succeed()
    assert before[SECOND] >= 2
    assert "xmpp server 2 was killed by signal 9; started again (1)" in told
    assert (run.path / "ledger.csv").read_bytes() == embedded_ledger


def test_the_node_that_was_there_first_may_be_the_one_that_is_killed(tmp_path, embedded_ledger):
    """What is left carries on alone, and the first joins it when it is back."""
    with fleet(write_street(tmp_path, slot_seconds=0.6), tmp_path, *ON_TWO_NODES) as run:
        run.await_slot(4)
        run.kill(f"{SERVER}-1")
        run.succeed()
    assert (run.path / "ledger.csv").read_bytes() == embedded_ledger
    words = (run.path / "logs" / f"{SERVER}-1.stderr").read_text()
    assert f"ejabberd@{FIRST} joins ejabberd@{SECOND}" in words


def test_a_run_whose_fleet_was_killed_goes_on_on_the_cluster(tmp_path, embedded_ledger):
    with fleet(write_street(tmp_path), tmp_path, *ON_TWO_NODES) as run:
        run.await_slot(4)
        nodes = [each for each in run.descendants() if each.name() == "beam.smp"]
        run.process.kill()
        eventually(lambda: not still_running(nodes), "the nodes end with the fleet that started them", 20.0)
    assert len(nodes) == 2
    with fleet(run.path, tmp_path, command="resume") as resumed:
        resumed.succeed()
    assert (run.path / "ledger.csv").read_bytes() == embedded_ledger


def test_ctrl_c_leaves_no_node(tmp_path):
    with fleet(write_street(tmp_path), tmp_path, *ON_TWO_NODES) as run:
        run.await_slot(2)
        processes = run.descendants()
        run.process.send_signal(signal.SIGINT)
        code, _, _ = run.end()
        assert code == 130
        # The fork server, which serves nobody any more, sees its own end a moment later.
        eventually(lambda: not still_running(processes), "every process has gone", 20.0)


def test_without_ejabberd_nothing_is_started(tmp_path):
    done = subprocess.run(
        peerwatt("run", write_street(tmp_path), "--runs", tmp_path / "runs", *ON_TWO_NODES),
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "apt-get install --no-install-recommends ejabberd" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("options", [("--xmpp-nodes", "2"), (*ON_ONE_NODE, "--xmpp-nodes", "0")])
def test_nodes_are_ejabberds_and_at_least_one(tmp_path, options):
    done = call("run", write_street(tmp_path), "--runs", tmp_path / "runs", *options)
    assert done.returncode == 2
    assert "--xmpp-nodes: found" in done.stderr
    assert not Path(tmp_path / "runs").exists()
