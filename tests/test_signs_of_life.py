"""Signs of life: given by the event loop itself, and `connected` only while its agents are."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime import signs_of_life as signs
from runtime.deployment.containers import sign_command

AGENT = """
import asyncio, sys, time
from runtime.process import PrintingWatcher, serve

def plan():
    ends_s = time.monotonic() + 5
    while time.monotonic() < ends_s:
        pass

class Agent:
    local_part = "house"
    connected = True
    async def start(self): pass
    async def stop(self): pass

def agents():
    agent = Agent()
    agent.finished = asyncio.get_running_loop().create_future()
    agent.refused = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().run_in_executor(None, plan)
    return [agent]

sys.exit(serve(agents, PrintingWatcher()))
"""


def seen(sign: Path, within_s: float) -> bool:
    """Whether the command that engines run finds the sign to be as fresh."""
    return subprocess.run(["sh", "-c", sign_command(sign, within_s)], check=False, timeout=20).returncode == 0


def wait_for(sign: Path, within_s: float, expected: bool) -> None:
    deadline = time.monotonic() + 20
    while seen(sign, within_s) is not expected:
        assert time.monotonic() < deadline, f"{sign}: expected fresh: {expected}"
        time.sleep(0.1)


async def within(seconds: float, condition) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_connected_is_told_apart_from_alive(tmp_path, monkeypatch):
    monkeypatch.setattr(signs, "BEAT_S", 0.02)
    logged_in = False
    async with signs.signs_of_life(lambda: logged_in, tmp_path / "life"):
        await within(5, (tmp_path / "life" / "alive").exists)
        await asyncio.sleep(0.1)
        assert not (tmp_path / "life" / "connected").exists()
        logged_in = True
        await within(5, (tmp_path / "life" / "connected").exists)
        first = (tmp_path / "life" / "connected").stat().st_mtime_ns
        await within(5, lambda: (tmp_path / "life" / "connected").stat().st_mtime_ns > first)
        logged_in = False
        await asyncio.sleep(0.05)
        last = (tmp_path / "life" / "connected").stat().st_mtime_ns
        await asyncio.sleep(0.1)
        assert (tmp_path / "life" / "connected").stat().st_mtime_ns == last


async def test_signs_of_an_earlier_life_are_gone_before_anything_else(tmp_path):
    for name in ("alive", "connected"):
        (tmp_path / name).touch()
    async with signs.signs_of_life(lambda: True, tmp_path):
        assert [*tmp_path.iterdir()] == []  # what is replayed now may take minutes


async def test_without_a_folder_there_are_none(monkeypatch):
    monkeypatch.delenv(signs.VARIABLE, raising=False)
    async with signs.signs_of_life(lambda: pytest.fail("nobody asked")):
        await asyncio.sleep(0)


async def test_a_folder_that_cannot_be_made_is_said_once_and_ends_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(signs, "BEAT_S", 0.01)
    (tmp_path / "file").touch()
    async with signs.signs_of_life(lambda: True, tmp_path / "file" / "life"):
        await asyncio.sleep(0.1)
    assert [record.getMessage() for record in caplog.records] == ["no-signs-of-life"]


def test_a_process_that_is_stopped_is_found_out_and_one_that_plans_is_not(tmp_path):
    life = tmp_path / "life"
    process = subprocess.Popen([sys.executable, "-c", AGENT], env={**os.environ, signs.VARIABLE: str(life)})
    try:
        wait_for(life / "connected", 5, True)
        time.sleep(2 * signs.BEAT_S)
        assert seen(life / "alive", 3)
        process.send_signal(signal.SIGSTOP)
        wait_for(life / "alive", 5, False)
        assert not seen(life / "connected", 5)
        process.send_signal(signal.SIGCONT)
        wait_for(life / "connected", 5, True)
    finally:
        process.kill()
        process.wait(10)
