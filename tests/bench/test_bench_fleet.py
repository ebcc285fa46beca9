"""``peerwatt bench fleet`` as a person runs it, on the smallest of fleets."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

COMMAND = [sys.executable, "-m", "runtime", "bench", "fleet"]


def processes_of(folder):
    """Processes that were started with something in ``folder``."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        environment = process.info["environ"] or {}
        if environment.get("TMPDIR") == str(folder):
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def test_a_small_fleet_is_measured_and_nothing_is_left(tmp_path):
    done = subprocess.run(
        [*COMMAND, "--members", "2", "--slots", "3", "--no-day", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (size,) = found["sizes"]
    assert (size["members"], size["slots"], size["plain_processes"], size["restarts"]) == (2, 3, 2, 0)
    assert set(size["memory"]) == {"prosumer", "coordinator", "meters", "server"}
    assert all(0 < each["uss_mib"]["max"] < each["rss_mib"]["max"] for each in size["memory"].values())
    for name in ("ready_s", "round_s", "messaging_round_s", "solving_s", "slot_s", "plain_round_s"):
        assert 0 < size[name]["median"] <= size[name]["max"], name
    assert size["messages"] > 2 * 3 * 5
    assert size["times_plain"] == sorted(size["times_plain_by_turn"])[1] > 0
    assert len(size["times_plain_by_turn"]) == 3
    assert [aim["limit"] for aim in found["aims"]] == [25.0, 2.0]
    assert "2 members: plain slixmpp" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


def test_members_that_share_a_process_are_measured(tmp_path):
    options = ["--members", "", "--packed", "6", "--members-per-process", "4", "--slots", "3", "--no-day"]
    done = subprocess.run(
        [*COMMAND, *options, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["sizes"] == []
    (packed,) = found["packed"]
    assert (packed["members"], packed["members_per_process"], packed["workers"]) == (6, 4, 2)
    assert (packed["slots"], packed["restarts"]) == (3, 0)
    assert 0 < packed["round_s"]["median"] <= packed["round_s"]["max"]
    assert packed["messages_per_s"] == pytest.approx(12 / packed["round_s"]["median"])
    assert packed["alone_uss_mib"] < packed["memory"]["prosumer"]["uss_mib"]["max"]
    grown_mib = packed["memory"]["prosumer"]["uss_mib"]["max"] - packed["alone_uss_mib"]
    assert packed["further_member_uss_mib"] == pytest.approx(grown_mib / 3)
    assert [aim["limit"] for aim in found["aims"]] == [1.0, 1.0]
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--packed", "ten"], "--packed: found 'ten', expected numbers from 1 to 1000"),
        (["--packed", "1"], "--packed: found 1, expected at least 2 members"),
        (
            ["--packed", "4", "--members-per-process", "1"],
            "--members-per-process: found 1, expected at least 2",
        ),
    ],
)
def test_members_that_cannot_share_a_process_are_named(options, said):
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert said in done.stderr


def test_ctrl_c_leaves_nothing_behind(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "--members", "2", "--slots", "1000", "--no-day"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    for line in process.stderr:
        if "connected" in line:
            break
    process.send_signal(signal.SIGINT)
    process.stderr.read()
    assert process.wait(60) == 130
    process.stderr.close()
    deadline_s = time.monotonic() + 10
    while processes_of(tmp_path) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("members", ["", "four", "0", "4,1001"])
def test_sizes_that_are_none_are_named(members):
    done = subprocess.run([*COMMAND, "--members", members], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"--members: found {members!r}, expected numbers from 1 to 1000" in done.stderr
