"""``peerwatt run --xmpp prosody``: an installed Prosody of the run's own; the embedded server's ledger."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from pathlib import Path

import psutil
import pytest

from runtime.messaging.connection import Connection
from tests.end_to_end.fleets import SERVER, call, eventually, fleet, peerwatt, still_running
from tests.end_to_end.street import write_street

ON_PROSODY = ("--xmpp", "prosody")


@pytest.fixture(scope="module")
def embedded_ledger(tmp_path_factory) -> bytes:
    """The street's ledger on the embedded server."""
    folder = tmp_path_factory.mktemp("embedded")
    with fleet(write_street(folder), folder) as run:
        run.succeed()
        return (run.path / "ledger.csv").read_bytes()


def test_the_ledger_is_the_embedded_servers_and_the_servers_record_agrees(tmp_path, embedded_ledger):
    with fleet(write_street(tmp_path), tmp_path, *ON_PROSODY, "--server-record") as run:
        pid = eventually(lambda: run.pid_of(SERVER), "Prosody runs")
        run.await_slot(0)
        assert "prosody" in " ".join(psutil.Process(pid).cmdline())
        listening = [c.laddr for c in psutil.Process(pid).net_connections() if c.status == psutil.CONN_LISTEN]
        run.succeed()
    connection = Connection.load(run.path / "connection.json")
    assert [tuple(address) for address in listening] == [("127.0.0.1", connection.port)]
    assert (run.path / "ledger.csv").read_bytes() == embedded_ledger
    proof = call("verify", run.path, "--server", "--json")
    assert proof.returncode == 0, proof.stdout + proof.stderr
    assert json.loads(proof.stdout)["server"]["messages"] > 100
    handed = run.path / "server" / "prosody" / "handed"
    secrets = [path.read_text().strip() for path in (run.path / "server" / "secrets").iterdir()]
    held = b"".join(path.read_bytes() for path in handed.iterdir()).decode()
    assert len(secrets) > 10
    assert not [secret for secret in secrets if secret in held]
    assert stat.S_IMODE(handed.stat().st_mode) == 0o700


def test_prosody_that_is_killed_is_started_again_and_nothing_is_lost(tmp_path, embedded_ledger):
    with fleet(write_street(tmp_path), tmp_path, *ON_PROSODY) as run:
        run.await_slot(4)
        run.kill(SERVER)
        told = run.succeed()
    assert "xmpp server was killed by signal 9; started again" in told
    assert (run.path / "ledger.csv").read_bytes() == embedded_ledger


def test_a_run_whose_fleet_was_killed_goes_on_on_prosody(tmp_path, embedded_ledger):
    with fleet(write_street(tmp_path), tmp_path, *ON_PROSODY) as run:
        run.await_slot(4)
        prosody = psutil.Process(run.pid_of(SERVER))
        run.process.kill()
        eventually(lambda: not still_running([prosody]), "Prosody ends with the fleet that started it", 20.0)
    port = Connection.load(run.path / "connection.json").port
    with fleet(run.path, tmp_path, command="resume") as resumed:
        resumed.await_slot(10)
        assert "prosody" in " ".join(psutil.Process(resumed.pid_of(SERVER)).cmdline())
        resumed.succeed()
    assert Connection.load(run.path / "connection.json").port == port
    assert (run.path / "ledger.csv").read_bytes() == embedded_ledger


def test_ctrl_c_leaves_no_prosody(tmp_path):
    with fleet(write_street(tmp_path), tmp_path, *ON_PROSODY) as run:
        run.await_slot(2)
        processes = run.descendants()
        run.process.send_signal(signal.SIGINT)
        code, _, _ = run.end()
        assert code == 130
        # The fork server, which serves nobody any more, sees its own end a moment later.
        eventually(lambda: not still_running(processes), "every process has gone", 20.0)
    words = (run.path / "logs" / f"{SERVER}.stderr").read_text()
    assert "Received SIGTERM" in words


def test_without_prosody_nothing_is_started(tmp_path):
    scenario = write_street(tmp_path)
    done = subprocess.run(
        peerwatt("run", scenario, "--runs", tmp_path / "runs", *ON_PROSODY),
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "found no Prosody" in done.stderr
    assert "apt install prosody" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_prosody_that_does_not_start_says_why(tmp_path):
    broken = tmp_path / "bin" / "prosody"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'general error: no such module' >&2\nexit 1\n")
    broken.chmod(0o755)
    done = subprocess.run(
        peerwatt("run", write_street(tmp_path), "--runs", tmp_path / "runs", "--name", "run", *ON_PROSODY),
        env={**os.environ, "PATH": f"{broken.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "the XMPP server did not start: general error: no such module" in done.stderr
    assert not list((tmp_path / "runs" / "run" / "logs").glob("*.jsonl"))


def test_accounts_are_for_servers_of_others(tmp_path):
    done = call("run", write_street(tmp_path), *ON_PROSODY, "--accounts", Path("accounts.toml"))
    assert done.returncode == 2
    assert "expected --xmpp HOST[:PORT]" in done.stderr
