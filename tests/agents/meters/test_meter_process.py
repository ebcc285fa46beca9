"""Meter processes over a real embedded server, with a prosumer that stands in for the fleet's."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time

import psutil
import pytest
from meter_fleet import Process, Run, StandInProsumer
from meter_setup import horizon, meter_config
from typer.testing import CliRunner

from agents.meters.attached import DETACH_LIMIT_S, TakingLeave
from agents.meters.machine import AttachedMeterMachine
from agents.meters.process import AttachedMeterAgent
from agents.meters.source import open_source
from runtime.cli import meter_process
from runtime.cli.meter import app
from runtime.errors import FleetError, InputError
from runtime.messagelog.reader import log_paths
from runtime.messagelog.record import RecordKind
from runtime.messagelog.verify import FindingKind, verify
from runtime.messagelog.writer import MessageLog
from runtime.messaging import taken_place
from runtime.messaging.agent import ConnectedAgent
from runtime.protocol.bodies import MeterAttach, MeterDetach, Reading


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path / "summer")
    yield made
    for state in (made.path / "meters").glob("*.json"):  # what a failed test has left
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(json.loads(state.read_text())["pid"]).kill()
    made.stop_server()


@pytest.fixture
async def prosumer(run):
    """Makes stand-in prosumers, connected."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(**options):
            agent = StandInProsumer(run.connection, **options)
            await agent.start()
            stack.push_async_callback(agent.stop)
            return agent

        yield make


@pytest.fixture
def process():
    """Starts ``python -m agents`` processes."""
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            made = Process(*arguments)
            stack.callback(made.clean_up)
            return made

        yield start


async def peerwatt(*arguments):
    """``peerwatt meter …`` in a thread, so that the stand-in prosumer can answer meanwhile."""
    return await asyncio.to_thread(CliRunner().invoke, app, [str(argument) for argument in arguments])


def of_its_own(run):
    """What is wrong with the run's logs, apart from there being none of the stand-in prosumer."""
    return [finding for finding in verify(log_paths(run.directory.logs_dir)) if finding.kind != "no-log"]


async def test_one_process_meters_all_members_over_a_crash(run, prosumer, process):
    school, house = await prosumer(), await prosumer(member="house")
    meters = process("meters", "--run", run.path)
    ready = await meters.step("ready")
    assert ready["agents"] == ["school.meter", "house.meter"]
    first, reading = await school.ask("school.meter", 0, 2, ["load", "pv"], "s1")
    assert isinstance(reading, Reading)
    assert [(record.n, record.v) for record in reading.e] == [("load", 3.0), ("pv", 0.4)]
    assert (await house.ask("house.meter", 1, 0, ["load"], "h1"))[1].e[0].v == 11.0
    house.end_metering("house.meter")
    async with asyncio.timeout(10):
        while "metering-ended" not in run.directory.log("house.meter").read_text():
            await asyncio.sleep(0.02)

    meters.signal(signal.SIGKILL)
    await meters.ended()
    meters = process("meters", "--run", run.path)
    await meters.step("ready")
    again, _ = await school.ask("school.meter", 0, 2, ["load", "pv"], "s1")
    assert again == first  # the very message: it knows what it answered
    fresh, _ = await school.ask("school.meter", 0, 3, ["load"], "s2")
    assert fresh.message_id != first.message_id
    # At first, unasked after the crash since it may not have been sent before, and to the repeated request.
    assert len([envelope for envelope, _ in school.received if envelope == first]) == 3
    school.end_metering("school.meter")  # that house's has ended, it knows from its log
    assert await meters.ended() == (0, "")
    assert of_its_own(run) == []


async def test_a_process_told_to_stop_leaves_at_once_and_without_complaint(run, process):
    meters = process("meters", "--run", run.path)
    await meters.step("ready")
    began = time.monotonic()
    meters.signal(signal.SIGTERM)
    assert await meters.ended() == (0, "")
    assert time.monotonic() - began < 4


def csv(tmp_path, column="load"):
    path = tmp_path / "device.csv"
    path.write_text(f"{column}\n" + "".join(f"{100 + row}\n" for row in range(8)))
    return f"csv:{path}?{column}={column}&unit=Wh"


async def test_a_meter_is_attached_listed_and_detached_by_command(run, prosumer, tmp_path):
    school = await prosumer()
    source = csv(tmp_path)
    result = await peerwatt("attach", run.path, "school", "--source", source)
    assert (result.exit_code, result.output) == (
        0,
        f"school: load now metered by {source} from session 1 slot 1\n",
    )
    assert school.bodies(MeterAttach) == [MeterAttach(roles=["load"], source=source)]
    for slot in (1, 2):
        _, reading = await school.ask("school.meter2", 0, slot, ["load"], f"r{slot}")
        assert [(record.n, record.v) for record in reading.e] == [("load", (100 + slot) / 1000)]

    again = await peerwatt("attach", run.path, "school", "--source", "simulated:")
    assert isinstance(again.exception, InputError)
    assert f"has {source} attached" in str(again.exception)

    listed = json.loads((await peerwatt("list", run.path, "--json")).output)
    state = json.loads((run.path / "meters" / "school.meter2.json").read_text())
    assert listed == [
        {
            "member": "school",
            "pid": state["pid"],
            "source": source,
            "roles": ["load"],
            "since": listed[0]["since"],
            "session": 0,
            "slot": 1,
            "state": "attached",
        }
    ]
    assert psutil.Process(state["pid"]).create_time() == pytest.approx(state["process_started_s"])
    assert "meter2" in (run.path / "meters" / "school.meter2.log").read_text()

    began = time.monotonic()
    result = await peerwatt("detach", run.path, "school")
    assert time.monotonic() - began < DETACH_LIMIT_S  # it leaves once its leave is acknowledged
    assert (result.exit_code, result.output) == (
        0,
        "school: detached; its own meter counts again from session 1 slot 3\n",
    )
    assert school.bodies(MeterDetach) == [MeterDetach()]
    assert not psutil.pid_exists(state["pid"]) or psutil.Process(state["pid"]).status() == "zombie"
    assert (await peerwatt("list", run.path)).output == "no meter is attached\n"
    result = await peerwatt("detach", run.path, "school")
    assert "no meter is attached" in str(result.exception)


async def test_attaching_again_is_a_new_life_in_the_same_log(run, prosumer, tmp_path):
    school = await prosumer()
    for source in ("simulated:", csv(tmp_path)):
        result = await peerwatt("attach", run.path, "school", "--source", source, "--role", "load")
        assert result.exit_code == 0, result.exception
        await school.ask("school.meter2", 0, 1, ["load"], f"r-{source}")
        assert (await peerwatt("detach", run.path, "school")).exit_code == 0
    values = [reading.e[0].v for reading in school.bodies(Reading)]
    assert values == [2.0, 0.101]
    log = MessageLog.open(run.directory.log("school.meter2"), "school.meter2")
    sent = [record.envelope.message_id for record in log.records() if record.kind is RecordKind.OUT]
    log.close()
    assert len(sent) == len(set(sent)) == 6
    assert of_its_own(run) == []


async def test_a_refused_meter_says_why_and_leaves_nothing(run, prosumer):
    await prosumer(refuse="school has no pv to be metered")
    result = await peerwatt("attach", run.path, "school", "--source", "simulated:")
    assert isinstance(result.exception, FleetError)
    assert "not attached: school has no pv to be metered" in str(result.exception)
    assert not (run.path / "meters" / "school.meter2.json").exists()
    assert (await peerwatt("list", run.path)).output == "no meter is attached\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["office", "--source", "simulated:"], "found no member 'office', expected one of school, house"),
        (
            ["house", "--source", "simulated:", "--role", "pv"],
            "found 'pv', but house has load and net to be metered",
        ),
        (["school", "--source", "modbus:3"], "found the kind 'modbus', expected one of csv:, http:"),
        (["school", "--source", "csv:none.csv?load=a&unit=kWh"], "none.csv: cannot be read"),
        (["school", "--source", "simulated:", "--connection", "none.json"], "none.json: cannot read"),
    ],
)
async def test_what_cannot_be_attached_is_said_and_exits_with_2(run, arguments, message):
    result = await peerwatt("attach", run.path, *arguments)
    assert isinstance(result.exception, InputError)
    assert result.exception.exit_code == 2
    assert message in str(result.exception)


async def test_a_run_that_is_not_running_takes_no_meter(run, tmp_path):
    for place, message in (
        (tmp_path / "winter", "no such run; expected a run's directory"),
        (tmp_path, "is it a run?"),
    ):
        result = await peerwatt("attach", place, "school", "--source", "simulated:")
        assert message in str(result.exception)
        assert isinstance(result.exception, InputError)
    dead = run.connection.model_copy(update={"port": 1})
    dead.save(tmp_path / "dead.json")
    result = await peerwatt(
        *("attach", run.path, "school", "--source", "simulated:", "--connection", tmp_path / "dead.json")
    )
    assert isinstance(result.exception, InputError)
    assert "is not running: no server at 127.0.0.1:1" in str(result.exception)
    run.directory.coordinator_record.parent.mkdir()
    run.directory.coordinator_record.write_text("{}")
    result = await peerwatt("attach", run.path, "school", "--source", "simulated:")
    assert isinstance(result.exception, InputError)
    assert "the run has finished" in str(result.exception)


async def test_a_killed_meter_is_found_gone_and_can_still_be_detached(run, prosumer):
    school = await prosumer()
    await peerwatt("attach", run.path, "school", "--source", "simulated:")
    pid = json.loads((run.path / "meters" / "school.meter2.json").read_text())["pid"]
    process = psutil.Process(pid)
    process.kill()
    await asyncio.to_thread(psutil.wait_procs, [process], 10)
    assert (await peerwatt("list", run.path)).output.endswith(": gone\n")
    result = await peerwatt("detach", run.path, "school")
    assert result.exit_code == 0, result.exception
    assert len(school.bodies(MeterAttach)) == 2
    assert school.bodies(MeterDetach) == [MeterDetach()]


async def test_a_meter_that_does_not_leave_is_killed_and_then_detached(run, prosumer, monkeypatch):
    monkeypatch.setattr(meter_process, "LEAVE_LIMIT_S", 0.3)
    school = await prosumer()
    await peerwatt("attach", run.path, "school", "--source", "simulated:")
    pid = json.loads((run.path / "meters" / "school.meter2.json").read_text())["pid"]
    psutil.Process(pid).suspend()
    result = await peerwatt("detach", run.path, "school")
    assert isinstance(result.exception, FleetError)
    assert "was killed; detach it again" in str(result.exception)
    monkeypatch.undo()
    result = await peerwatt("detach", run.path, "school")
    assert result.exit_code == 0, result.exception
    assert school.bodies(MeterDetach) == [MeterDetach()]


async def test_a_meter_whose_run_is_over_leaves_and_is_listed_as_ended(run, prosumer):
    school = await prosumer()
    await peerwatt("attach", run.path, "school", "--source", "simulated:")
    pid = json.loads((run.path / "meters" / "school.meter2.json").read_text())["pid"]
    school.end_metering("school.meter2")
    await asyncio.to_thread(psutil.wait_procs, [psutil.Process(pid)], 10)
    assert (await peerwatt("list", run.path)).output.endswith(": ended\n")
    result = await peerwatt("detach", run.path, "school")
    assert "the run is over" in str(result.exception)
    assert (await peerwatt("list", run.path)).output == "no meter is attached\n"


async def test_a_meter_waits_for_its_prosumers_leave_for_five_seconds_at_most(run, prosumer, process):
    school = await prosumer(silent={MeterDetach})
    meter = process("meter", "--run", run.path, "--member", "school", "--source", "simulated:")
    await meter.step("attached")
    began = time.monotonic()
    meter.signal(signal.SIGTERM)
    await meter.step("detach-unanswered")
    code, errors = await meter.ended()
    assert (code, errors) == (0, "")
    assert 3 < time.monotonic() - began < 8
    assert school.bodies(MeterDetach)


@pytest.mark.parametrize("comes_back", [False, True])
async def test_an_attached_meter_does_not_outlive_a_server_that_is_gone_for_good(
    run, prosumer, monkeypatch, comes_back
):
    monkeypatch.setattr(TakingLeave, "lost_limit_s", 3.0 if comes_back else 0.0)
    school = await prosumer()
    jids = run.connection.jid("school.meter2"), run.connection.jid("school")
    source = open_source("simulated:", meter_config())
    machine = AttachedMeterMachine(*jids, source, "simulated:", ["load"], [horizon()], id_prefix="x-")
    log = MessageLog.open(run.directory.log("school.meter2"), "school.meter2")
    meter = AttachedMeterAgent(run.connection, "school.meter2", machine, log, lambda phase, detail: None)
    await meter.start()
    try:
        await school.ask("school.meter2", 0, 0, ["load"], "r0")
        meter.client.transport.abort()
        if comes_back:
            async with asyncio.timeout(10):
                while not (meter.last_ending and meter.connected):
                    await asyncio.sleep(0.02)
            _, reading = await school.ask("school.meter2", 0, 1, ["load"], "r1")
            assert isinstance(reading, Reading)
            await asyncio.sleep(3.2)
            assert not meter.finished.done()
        else:
            with pytest.raises(FleetError, match="server has been gone for 0 s"):
                await asyncio.wait_for(meter.finished, 5)
    finally:
        await meter.stop()


class Thief(ConnectedAgent):
    most_returns = 0


async def test_an_attached_meter_whose_place_was_taken_comes_back_and_attaches_again(run, prosumer, caplog):
    school = await prosumer()
    jids = run.connection.jid("school.meter2"), run.connection.jid("school")
    source = open_source("simulated:", meter_config())
    machine = AttachedMeterMachine(*jids, source, "simulated:", ["load"], [horizon()], id_prefix="x-")
    log = MessageLog.open(run.directory.log("school.meter2"), "school.meter2")
    meter = AttachedMeterAgent(run.connection, "school.meter2", machine, log, lambda phase, detail: None)
    thief = Thief(run.connection, "school.meter2")
    await meter.start()
    try:
        await school.ask("school.meter2", 0, 0, ["load"], "r0")
        await thief.start()
        async with asyncio.timeout(10):
            while len(school.bodies(MeterAttach)) < 2:
                await asyncio.sleep(0.02)
        assert thief.refused.done()
        _, reading = await school.ask("school.meter2", 0, 1, ["load"], "r1")
        assert isinstance(reading, Reading)
        assert [each.levelname for each in caplog.records if each.message == taken_place.EVENT] == ["ERROR"]
        assert not meter.refused.done()
    finally:
        await thief.stop()
        await meter.stop()
    assert school.bodies(MeterDetach)
    assert of_its_own(run) == []


async def test_in_the_foreground_an_interrupt_detaches(run, prosumer):
    school = await prosumer()
    program = "from runtime.cli.meter import app; app()"
    command = [sys.executable, "-c", program, "attach", run.path, "school", "--source", "simulated:"]
    command.append("--foreground")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as foreground:
        line = await asyncio.to_thread(foreground.stdout.readline)
        assert line == "school: load, pv now metered by simulated: from session 1 slot 1\n"
        await asyncio.sleep(0.2)
        assert foreground.poll() is None
        foreground.send_signal(signal.SIGINT)
        rest, _ = await asyncio.to_thread(foreground.communicate, None, 10)
    assert rest == "school: detached; its own meter counts again from session 1 slot 1\n"
    assert foreground.returncode == 0
    assert school.bodies(MeterDetach) == [MeterDetach()]
    assert not (run.path / "meters" / "school.meter2.json").exists()


def test_prosumers_share_the_meters_imports_and_stay_lean():
    program = (
        "import sys, agents.meters.process, agents.meters.csv_replay;"
        "print(sorted({'pandas', 'scipy', 'matplotlib', 'pvlib', 'pyjabber', 'sqlalchemy', 'typer', 'rich'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert FindingKind.NO_LOG == "no-log"


async def test_several_meters_at_once_each_with_roles_and_an_account_of_its_own(run, prosumer, tmp_path):
    school = await prosumer()
    (tmp_path / "load.csv").write_text("load\n1\n2\n3\n4\n")
    source = f"csv:{tmp_path / 'load.csv'}?load=load&unit=kWh"
    for number, (given, role) in enumerate(
        [(source, "load"), ("simulated:", "pv"), ("simulated:?scale=2", "net")], start=2
    ):
        result = await peerwatt("attach", run.path, "school", "--source", given, "--role", role, "--json")
        assert result.exit_code == 0, result.exception
        assert school.bodies(MeterAttach)[-1].roles == [role]
        account = f"school.meter{number}"
        _, reading = await school.ask(account, 0, 1, [role], f"several-{number}")
        assert list(reading.energies_kwh) == [role]
    again = await peerwatt("attach", run.path, "school", "--source", "simulated:", "--role", "pv")
    assert isinstance(again.exception, InputError)
    assert "has simulated: attached for pv" in str(again.exception)
    listed = json.loads((await peerwatt("list", run.path, "--json")).output)
    assert [(each["roles"], each["state"]) for each in listed] == [
        (["load"], "attached"),
        (["pv"], "attached"),
        (["net"], "attached"),
    ]
    one = await peerwatt("detach", run.path, "school", "--role", "pv")
    assert one.exit_code == 0, one.exception
    listed = json.loads((await peerwatt("list", run.path, "--json")).output)
    assert [each["roles"] for each in listed] == [["load"], ["net"]]
    rest = await peerwatt("detach", run.path, "school")
    assert rest.exit_code == 0, rest.exception
    assert rest.output.count("its own meter counts again") == 2
    assert (await peerwatt("list", run.path)).output == "no meter is attached\n"
