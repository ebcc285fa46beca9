"""A thief with a member's secret takes its place at the server; a new secret ends it, the market goes on."""

from __future__ import annotations

import contextlib
import threading
import time

from runtime.cli.prepare import prepare_run
from runtime.messaging import taken_place
from runtime.messaging.client import RESOURCE
from runtime.operations_log import entry_of
from runtime.xmpp.local import free_port
from tests.deployment.attacks import CLOSED, said_until_closed
from tests.deployment.deployed_prosody import DeployedProsody
from tests.deployment.outsider import Outsider
from tests.deployment.test_market_under_attack import start_fleet
from tests.end_to_end.fleets import call
from tests.end_to_end.street import write_street

ROBBED = "home"
LIMIT_S = 240.0


def alarms(deployment):
    """The robbed member's alarms so far."""
    log = deployment.run.path / f"prosumer-{ROBBED}.log"
    entries = map(entry_of, log.read_text().splitlines() if log.exists() else [])
    return [entry for entry in entries if entry and entry["event"] == taken_place.EVENT]


def takes_the_place_again_and_again(connection, secret, shut_out):
    """As fast as it is thrown out, until the secret is none any more."""
    while True:
        with contextlib.suppress(*CLOSED), Outsider(connection) as thief:
            if "<success" not in thief.authenticate(ROBBED, secret):
                shut_out.set()
                return
            thief.binds(RESOURCE)
            said_until_closed(thief)


def test_a_member_that_was_robbed_is_back_once_its_secret_is_changed(tmp_path):
    port = free_port()
    scenario = write_street(tmp_path, rounds=40, slot_seconds=0.5)
    deployment = prepare_run(str(scenario), tmp_path / "run", None, f"127.0.0.1:{port}", f"127.0.0.1:{port}")
    shut_out = threading.Event()
    with DeployedProsody(deployment) as server:
        secret = server.connection.password_for(ROBBED)
        thief = threading.Thread(
            target=takes_the_place_again_and_again, args=(server.connection, secret, shut_out), daemon=True
        )
        fleet = start_fleet(deployment)
        try:
            deadline_s = time.monotonic() + LIMIT_S
            while not deployment.run.log(ROBBED).exists() and time.monotonic() < deadline_s:
                time.sleep(0.1)
            thief.start()
            while len(alarms(deployment)) < 3 and time.monotonic() < deadline_s:
                time.sleep(0.1)
            robbed = alarms(deployment)
            assert all(each.poll() is None for each in fleet.values())
            deployment.rotate([ROBBED])
            assert shut_out.wait(20)
            for name, each in fleet.items():
                code = each.wait(deadline_s - time.monotonic())
                assert code == 0, (deployment.run.path / f"{name}.log").read_text()[-3000:]
        finally:
            for each in fleet.values():
                each.kill()
    assert [alarm["level"] for alarm in robbed] == ["error"] * len(robbed)
    assert len(robbed) >= 3
    assert f"another session of {ROBBED}@" in deployment.run.log(ROBBED).read_text()
    made = call("report", deployment.run.path, "--no-figures")
    assert made.returncode == 0, made.stderr
    proven = call("verify", deployment.run.path)
    assert proven.returncode == 0, proven.stdout + proven.stderr
