"""``peerwatt meter test`` against devices of the test's own, as a command."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys

import pytest
from meter_setup import meter_config
from telegrams import tic

from runtime.configuration import MetersConfig
from runtime.rundir import RunDirectory

COMMAND = [sys.executable, "-m", "runtime", "meter", "test"]


def tic_at(wh, wrong=""):
    return tic([("EAST", f"{wh:09d}")], "standard", wrong)


@pytest.fixture
def line():
    meter_end, our_end = pty.openpty()
    yield meter_end, os.ttyname(our_end)
    os.close(meter_end)
    os.close(our_end)


async def sending(meter_end, telegrams, pause_s=0.1):
    while True:
        for telegram in telegrams:
            os.write(meter_end, telegram)
            await asyncio.sleep(pause_s)


async def output_of(*arguments, beside=None):
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *map(str, arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    task = asyncio.create_task(beside(process)) if beside else None
    out, err = await asyncio.wait_for(process.communicate(), 60)
    if task:
        task.cancel()
    return process.returncode, out.decode(), err.decode()


async def test_what_a_device_tells_is_printed_with_the_energy_of_slots(line):
    meter_end, device = line
    rising = [tic_at(1000 + number) for number in range(1000)]
    rising.insert(3, tic_at(1003, wrong="EAST"))
    code, out, err = await output_of(
        *("--source", f"tic:{device}", "--seconds", 3, "--slot-seconds", 1, "--json"),
        beside=lambda _: sending(meter_end, rising),
    )
    assert code == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    samples = [event for event in events if event["event"] == "sample"]
    slots = [event for event in events if event["event"] == "slot"]
    assert len(samples) >= 10
    assert {sample["unit"] for sample in samples} == {"Wh"}
    assert samples[0]["register_kwh"] == samples[0]["raw"] / 1000
    assert [event["reason"] for event in events if event["event"] == "refused"] in (
        [],
        ["frame without EAST; wrong checksum of EAST"],
    )
    total_kwh = (samples[-1]["raw"] - samples[0]["raw"]) / 1000
    assert sum(slot["energy_kwh"] for slot in slots) == pytest.approx(total_kwh, abs=1e-8)
    assert {slot["quality"] for slot in slots} == {"metered"}
    assert [slot["seconds"] for slot in slots[:-1]] == [1.0] * (len(slots) - 1)


async def test_an_interrupt_ends_it_in_words_with_the_slot_so_far(line):
    meter_end, device = line
    sender = asyncio.create_task(sending(meter_end, [tic_at(5000 + number) for number in range(1000)]))
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "--source", f"tic:{device}", "--seconds", "300"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    )
    async with asyncio.timeout(60):
        lines = [(await process.stdout.readline()).decode().rstrip("\n") for _ in range(10)]
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        rest, errors = await process.communicate()
    sender.cancel()
    assert process.returncode == 0, errors
    lines += rest.decode().splitlines()
    assert lines[0] == "connected"
    assert " Wh = 5." in lines[1]
    assert lines[-1].startswith("slot ")
    assert lines[-1].endswith("kWh, metered")


async def test_a_device_that_says_nothing_is_a_failure_with_the_reason():
    code, out, err = await output_of("--source", "tic:/dev/ttyNOSUCH0", "--seconds", 1)
    assert code == 1
    assert "lost: /dev/ttyNOSUCH0" in out
    assert "nothing came within 1 s: /dev/ttyNOSUCH0" in err


async def test_a_simulated_meter_is_tried_with_a_runs_member(tmp_path):
    directory = RunDirectory(tmp_path / "summer")
    directory.meters_config.parent.mkdir(parents=True)
    MetersConfig(meters=[meter_config()]).save(directory.meters_config)
    source = "simulated:?outage=01:00-02:00"
    code, out, err = await output_of(
        "--source", source, "--run", directory.path, "--member", "school", "--json"
    )
    assert code == 0, err
    slots = [json.loads(line) for line in out.splitlines()]
    assert [slot["energy_kwh"] for slot in slots if slot["role"] == "load"] == [1.0, None, 3.0, 4.0]
    assert slots[1]["quality"] == "missing"
    assert "simulated outage" in slots[1]["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "simulated:"], "name one with --run and --member"),
        (["--source", "simulated:", "--run", "x"], "--run and --member go together"),
        (["--source", "mqtt://host?unit=W"], "expected a topic"),
        (["--source", "tic:/dev/ttyS99", "--seconds", "0"], "0.1"),
    ],
)
async def test_what_cannot_be_tried_is_said_and_exits_with_2(arguments, message):
    code, out, err = await output_of(*arguments)
    assert (code, out) == (2, "")
    assert message in err
