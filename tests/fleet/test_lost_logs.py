"""A run is not gone on with where an agent's log is lost: it would begin anew and confuse all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.configuration import MeterConfig, MetersConfig
from runtime.errors import InputError
from runtime.fleet.lost_logs import check_no_log_is_lost
from runtime.messagelog.writer import MessageLog
from runtime.protocol.bodies import Acknowledged
from runtime.protocol.envelope import Envelope, Performative
from runtime.rundir import RunDirectory, controller_account
from runtime.setpoints import SetpointTable
from tests.machines.communities import DOMAIN, Community
from tests.machines.logged import leave_behind

AGENTS = ["coordinator", "m0", "m1", "m1.meter"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    directory = leave_behind(Community(3, members=3, slots=2), tmp_path_factory.mktemp("run"))
    files = [directory.coordinator_config, *directory.logs_dir.iterdir()]
    return {str(path.relative_to(directory.path)): path.read_bytes() for path in files}


def run_of(files: dict[str, bytes], folder: Path) -> RunDirectory:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return RunDirectory(folder)


def test_a_run_with_all_its_logs_can_go_on(whole: dict[str, bytes], tmp_path: Path) -> None:
    check_no_log_is_lost(run_of(whole, tmp_path))


@pytest.mark.parametrize("found", ["no file", "an empty file"])
@pytest.mark.parametrize("agent", AGENTS)
def test_a_log_that_is_lost_is_named(whole: dict[str, bytes], tmp_path: Path, agent: str, found: str) -> None:
    directory = run_of(whole, tmp_path)
    if found == "no file":
        directory.log(agent).unlink()
    else:
        directory.log(agent).write_bytes(b"")
    with pytest.raises(
        InputError, match=rf"{agent}\.jsonl: found {found}, expected the log of {agent}, of whom"
    ):
        check_no_log_is_lost(directory)


def test_who_never_began_has_lost_nothing(whole: dict[str, bytes], tmp_path: Path) -> None:
    """Killed as the fleet was started: some have opened their logs, and nobody was heard yet."""
    directory = run_of(whole, tmp_path)
    for path in directory.logs_dir.iterdir():
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    directory.log("m1").unlink()
    check_no_log_is_lost(directory)


def test_a_run_without_logs_was_never_begun(whole: dict[str, bytes], tmp_path: Path) -> None:
    check_no_log_is_lost(run_of({name: text for name, text in whole.items() if "logs" not in name}, tmp_path))


def steered(whole: dict[str, bytes], folder: Path, setpoint: SetpointTable | None) -> RunDirectory:
    """The run, with a controller of m0's battery that has answered m0; its log is not there."""
    directory = run_of(whole, folder)
    meters = [
        MeterConfig(
            member=f"m{number}", roles=["load"], setpoint=setpoint if number == 0 else None, sessions=[]
        )
        for number in range(3)
    ]
    MetersConfig(meters=meters).save(directory.meters_config)
    answer = Envelope(
        sender=f"{controller_account('m0')}@{DOMAIN}",
        recipient=f"m0@{DOMAIN}",
        performative=Performative.CONFIRM,
        protocol="setpoint",
        conversation="setpoint",
        message_id="1",
        body=Acknowledged().to_json(),
        in_reply_to="9",
    )
    log = MessageLog.open(directory.log("m0"), "m0")
    log.append_in(answer)
    log.close()
    return directory


def test_a_lost_log_of_a_controller_is_named(whole: dict[str, bytes], tmp_path: Path) -> None:
    setpoint = SetpointTable(target="mqtt://h/t", max_charge_kw=3, max_discharge_kw=3)
    directory = steered(whole, tmp_path, setpoint)
    words = r"m0\.controller\.jsonl: found no file, expected the log of m0\.controller, of whom m0\.jsonl has"
    with pytest.raises(InputError, match=words):
        check_no_log_is_lost(directory)
    account = controller_account("m0")
    log = MessageLog.open(directory.log(account), account)
    log.append_event("started", {})
    log.close()
    check_no_log_is_lost(directory)


def test_a_controller_that_was_attached_by_hand_is_not_waited_for(
    whole: dict[str, bytes], tmp_path: Path
) -> None:
    """It does not come back with its fleet, and each time it is attached it is a new one."""
    check_no_log_is_lost(steered(whole, tmp_path, None))
