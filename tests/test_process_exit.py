"""How a process of agents leaves: done, or stopped before it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

AGENT = """
import asyncio, sys
from runtime.process import PrintingWatcher, serve

class Agent:
    local_part = "house"
    connected = True
    async def start(self): pass
    async def stop(self): pass

def agents():
    agent = Agent()
    agent.finished = asyncio.get_running_loop().create_future()
    agent.refused = asyncio.get_running_loop().create_future()
    if sys.argv[1:] == ["finishes"]:
        agent.finished.set_result(None)
    return [agent]

sys.exit(serve(agents, PrintingWatcher()))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("named", "stopped"), [("", 0), ("143", 143)])
def test_who_was_stopped_says_so_where_an_engine_has_to_know(number, named, stopped):
    env = {**os.environ, "PEERWATT_STOPPED_EXIT_CODE": named}
    with subprocess.Popen([sys.executable, "-c", AGENT], env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while b"ready" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait(20) == stopped


def test_who_has_finished_is_done_everywhere():
    env = {**os.environ, "PEERWATT_STOPPED_EXIT_CODE": "143"}
    done = subprocess.run([sys.executable, "-c", AGENT, "finishes"], env=env, capture_output=True, timeout=30)
    assert done.returncode == 0


def test_what_is_no_exit_code_is_refused_before_anything_starts():
    env = {**os.environ, "PEERWATT_STOPPED_EXIT_CODE": "soon"}
    done = subprocess.run([sys.executable, "-c", AGENT], env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "PEERWATT_STOPPED_EXIT_CODE: expected an exit code from 0 to 255, found 'soon'" in done.stdout
