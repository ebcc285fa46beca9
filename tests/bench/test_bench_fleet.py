"""``peerwatt bench fleet`` as a person runs it, on the smallest of fleets."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from runtime.cli.bench_fleet import systems_of
from runtime.errors import InputError

COMMAND = [sys.executable, "-m", "runtime", "bench", "fleet"]


def processes_of(folder):
    """Processes that were started with something in ``folder``."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        environment = process.info["environ"] or {}
        if environment.get("TMPDIR") == str(folder):
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def test_a_small_fleet_is_measured_beside_others_and_nothing_is_left(tmp_path, temporary):
    picture = tmp_path / "figures.png"
    done = subprocess.run(
        [
            *COMMAND,
            "--members",
            "2,3",
            "--slots",
            "12",
            "--turns",
            "2",
            "--no-day",
            "--json",
            "--plot",
            str(picture),
        ],
        capture_output=True,
        text=True,
        timeout=480,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    size, _ = found["sizes"]
    assert (size["members"], size["slots"], size["processes"], size["restarts"]) == (2, 12, 2, 0)
    assert set(size["memory"]) == {"prosumer", "coordinator", "meters", "server"}
    for kind, each in size["memory"].items():  # the two are read one after the other
        assert 0 < each["uss_mib"]["max"] < 1.2 * each["rss_mib"]["max"], (kind, each)
    assert set(size["beside"]) == {"plain", "mango"}
    for figures in (size, size["planned"], *size["beside"].values()):
        for name in {"ready_s", "round_s", "solving_s", "slot_s"} & set(figures):
            spread = figures[name]
            assert 0 < spread["lower"] <= spread["median"] <= spread["upper"] <= spread["max"], name
    assert size["planned"]["messages"] > 2 * 12 * 5
    for other in size["beside"].values():
        assert other["processes"] == 2
        assert len(other["fleet_times_by_turn"]) == 2
        assert other["fleet_times"] == pytest.approx(sum(other["fleet_times_by_turn"]) / 2)
        assert other["messages_per_s"] == pytest.approx(4 / other["round_s"]["median"])
        assert 1 < other["member_uss_mib"] < other["memory"]["rss_mib"]["max"]
    growth = found["grows_with_members_to_the_power"]
    assert {"ready_s", "round_s", "plain_round_s", "mango_round_s", "member_uss_mib"} <= set(growth)
    assert [aim["limit"] for aim in found["aims"]] == [25.0, 2.0] * 2
    assert "2 members, turn 2 of 2: plain slixmpp" in done.stderr
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert list(temporary.iterdir()) == []
    assert processes_of(temporary) == []


def test_members_that_share_a_process_are_measured_and_printed(temporary):
    options = ["--packed", "6", "--members-per-process", "4", "--slots", "12", "--turns", "1", "--no-day"]
    done = subprocess.run(
        [*COMMAND, *options, "--beside", "plain"],
        capture_output=True,
        text=True,
        timeout=480,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert done.returncode == 0, done.stderr
    lines = {line[:34].strip(): line[34:].split() for line in done.stdout.splitlines() if line[:1].strip()}
    assert "6 in 2" in done.stdout.splitlines()[0]
    assert lines["restarts, messages resent"][0] == "0,"
    assert float(lines["each member, USS [MiB]"][0]) < 5
    assert "met" in done.stdout
    assert "6 members, 4 a process: each further one" in done.stdout
    assert "mango" not in done.stdout.split("The others carry")[0]
    assert list(temporary.iterdir()) == []
    assert processes_of(temporary) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--packed", "ten"], "--packed: found 'ten', expected numbers from 1 to 1000"),
        (["--packed", "1"], "--packed: found 1, expected at least 2 members"),
        (["--beside", "plain,spade"], "--beside: found 'spade', expected plain and mango, or one of them"),
        (["--xmpp", "openfire"], "--xmpp: found 'openfire', expected embedded, prosody, ejabberd"),
        (["--plot", "figures.svg"], "--plot: found figures.svg, expected a .png file"),
        (["--members", "", "--packed", ""], "--members, --packed: found no size, expected at least one"),
        (
            ["--packed", "4", "--members-per-process", "1"],
            "--members-per-process: found 1, expected at least 2",
        ),
    ],
)
def test_what_cannot_be_measured_is_named(options, said):
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert said in done.stderr


def test_ctrl_c_leaves_nothing_behind(temporary):
    process = subprocess.Popen(
        [*COMMAND, "--members", "2", "--slots", "1000", "--no-day"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    for line in process.stderr:
        if "connected" in line:
            break
    process.send_signal(signal.SIGINT)
    process.stderr.read()
    assert process.wait(60) == 130
    process.stderr.close()
    deadline_s = time.monotonic() + 10
    while processes_of(temporary) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert processes_of(temporary) == []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("members", ["four", "0", "4,1001"])
def test_sizes_that_are_none_are_named(members):
    done = subprocess.run([*COMMAND, "--members", members], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"--members: found {members!r}, expected numbers from 1 to 1000" in done.stderr


def test_mango_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'mango-agents>=2\.4'"):
        systems_of("mango")
    assert systems_of("plain") == ["plain"]
