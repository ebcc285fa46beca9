"""A market on a deployment's server while strangers and members try what they can settles the same ledger."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.cli.prepare import prepare_run
from runtime.deployment.deployment import Deployment
from runtime.deployment.holders import METERS, prosumer
from runtime.messaging.connection import Connection
from runtime.protocol.bodies import MeterAttach
from runtime.protocol.envelope import Performative
from runtime.rundir import COORDINATOR, INSPECTOR, RunDirectory, attached_meter_account
from runtime.xmpp.local import free_port
from tests.deployment import attacks
from tests.deployment.deployed_prosody import DeployedProsody
from tests.end_to_end.fleets import call
from tests.end_to_end.street import MEMBERS, write_street
from tests.messaging.recording_agent import RecordingAgent, inform

LIMIT_S = 240.0

PATIENCE_S = 60.0
"""How long an answer may take in the midst of it, on a machine that does much else."""


def process(deployment: Deployment, module: str, *words: str, holder: str) -> subprocess.Popen[bytes]:
    """One process of the fleet, with nothing but its own handout."""
    command = [sys.executable, "-m", module, *words, "--run", deployment.run.path]
    log = deployment.run.path / f"{holder}.log"
    with log.open("ab") as output:
        return subprocess.Popen(
            [*command, "--handout", deployment.handout(holder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def start_fleet(deployment: Deployment) -> dict[str, subprocess.Popen[bytes]]:
    fleet = {
        COORDINATOR: process(deployment, "coordinator", "run", holder=COORDINATOR),
        METERS: process(deployment, "agents", "meters", holder=METERS),
    }
    for member in MEMBERS:
        name = prosumer(member)
        fleet[name] = process(deployment, "agents", "prosumer", "--member", member, holder=name)
    return fleet


def again_and_again(attack: Callable[[], object], stop: threading.Event, failures: list[str]) -> None:
    while not stop.is_set():
        try:
            attack()
        except Exception:
            failures.append(traceback.format_exc())
            return


async def intrude(deployment: Deployment) -> dict[str, list[Performative]]:
    """Accounts of the community say what is not theirs to say; returns what each was answered."""
    connection = deployment.outside()
    answers = {}
    attach = MeterAttach(roles=["load"], source="simulated:").to_json()
    for account, to in ((attached_meter_account("home"), "bakery"), (INSPECTOR, COORDINATOR)):
        agent = RecordingAgent(connection, account)
        await asyncio.wait_for(agent.start(), PATIENCE_S)
        agent.transmit(
            inform(
                agent.bare_jid,
                connection.jid(to),
                performative=Performative.SUBSCRIBE,
                protocol="metering",
                conversation="metering",
                message_id=f"{account}-1",
                body=attach,
                expects_reply=True,
            )
        )
        await agent.until(lambda agent=agent: agent.envelopes, PATIENCE_S)
        answers[account] = [envelope.performative for envelope in agent.envelopes]
        await agent.stop()
    return answers


def with_a_stolen_name(deployment: Deployment, folder: Path) -> str:
    """A meter of the one house takes the other's name, with the only secret it has; what it dies of."""
    handout = shutil.copytree(deployment.handout(METERS), folder / "stolen")
    secrets = handout / "secrets"
    stolen = deployment.secrets_dir / attached_meter_account("home")
    shutil.copy(stolen, secrets / attached_meter_account("bakery"))
    # One that is refused in a deployment may have come in the midst of a change, and tries on for minutes.
    connection = Connection.load(handout / "connection.json")
    connection.model_copy(update={"secrets_may_change": False}).save(handout / "connection.json")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "agents", "meter", "--run", deployment.run.path, "--member", "bakery"),
            *("--source", "simulated:", "--connection", handout / "connection.json"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("reference")
    done = call("run", write_street(folder, rounds=40), "--runs", folder, "--name", "run", "--no-figures")
    assert done.returncode == 0, done.stderr
    return RunDirectory(folder / "run").ledger_csv.read_bytes()


def test_the_market_settles_the_same_whoever_attacks(tmp_path, reference):
    scenario = write_street(tmp_path, rounds=40, slot_seconds=0.5)
    port = free_port()
    deployment = prepare_run(str(scenario), tmp_path / "run", None, f"127.0.0.1:{port}", f"127.0.0.1:{port}")
    stop, failures = threading.Event(), []
    with DeployedProsody(deployment) as server:
        connection = server.connection
        fleet = start_fleet(deployment)
        # Accounts without an agent, which would notice that its place is taken (test_thief_in_the_market).
        intruder, flooder = (attached_meter_account(member) for member in ("flat", "farm"))
        tries = [
            *(lambda attack=attack: attack(connection, intruder) for attack in attacks.STRANGERS),
            *(lambda attack=attack: attack(connection, intruder) for attack in attacks.MEMBERS),
            *(
                lambda text=text: attacks.sends_malformed_xml(connection, intruder, text)
                for text in attacks.MALFORMED.values()
            ),
        ]

        def all_tries() -> None:
            for one in tries:
                if stop.is_set():
                    return
                one()

        attackers = [
            threading.Thread(target=again_and_again, args=(all_tries, stop, failures)),
            threading.Thread(
                target=again_and_again, args=(lambda: attacks.floods(connection, flooder), stop, failures)
            ),
        ]
        for attacker in attackers:
            attacker.start()
        try:
            answers = asyncio.run(intrude(deployment))
            complaint = with_a_stolen_name(deployment, tmp_path)
            # The attackers keep theirs: an attack that fails for the lack of a secret proves nothing.
            spared = {intruder, flooder, INSPECTOR}
            deployment.rotate([account for account in deployment.accounts() if account not in spared])
            deadline = time.monotonic() + LIMIT_S
            for name, member in fleet.items():
                code = member.wait(deadline - time.monotonic())
                assert code == 0, (deployment.run.path / f"{name}.log").read_text()[-3000:]
        finally:
            stop.set()
            for attacker in attackers:
                attacker.join(30)
            for member in fleet.values():
                member.kill()
        records = [json.loads(line) for line in server.audit.read_text().splitlines()]
    assert failures == []
    # Sessions were ended in the midst of it, and agents logged in with their new secrets.
    assert "stream: reset" in deployment.run.log(COORDINATOR).read_text()
    assert answers == {
        attached_meter_account("home"): [Performative.REFUSE],
        INSPECTOR: [Performative.REFUSE],
    }
    assert "refused the password" in complaint
    made = call("report", deployment.run.path, "--no-figures")
    assert made.returncode == 0, made.stderr
    assert deployment.run.ledger_csv.read_bytes() == reference
    flood = [
        record for record in records if record.get("sender") == f"{flooder}@{connection.domain}/outsider"
    ]
    assert flood, "the flood reached nobody: this proved nothing"
