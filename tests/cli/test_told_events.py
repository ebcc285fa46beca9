"""A trial that is interrupted loses nothing of what its process told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from runtime.cli.told_events import told_events
from runtime.errors import FleetError, InputError

TELLING = """
import json, signal, time
stopped = []
signal.signal(signal.SIGINT, lambda *_: stopped.append(1))
number = 0
while len(stopped) < 10:
    told = {"event": "sample", "number": number, "interrupts": len(stopped)}
    print(json.dumps(told), flush=number % 7 == 0)
    number += 1
    time.sleep(0.0001)
print(json.dumps({"event": "slot", "number": number}), flush=True)
"""

LIMIT_S = 30.0
"""Who loses a line may wait for it forever; this much is enough on a machine that does much else."""

LISTENING = """
import json, sys
from runtime.cli.told_events import told_events
for event in told_events([sys.executable, "-c", sys.argv[1]], "the source"):
    print(json.dumps(event), flush=True)
"""


def test_an_interrupt_comes_once_loses_no_line_and_the_last_words_come() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LISTENING, TELLING], stdout=subprocess.PIPE, text=True, process_group=0
    ) as process:
        assert process.stdout is not None
        limit = threading.Timer(LIMIT_S, process.kill)  # and who tells ends with who listens
        limit.start()
        events = []
        interrupts = 0
        for line in process.stdout:
            events.append(json.loads(line))
            if events[-1].get("interrupts") == interrupts:  # the one before has arrived
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does
                interrupts += 1
        assert process.wait(20) == 0
        limit.cancel()
    assert interrupts == 10
    assert [event["number"] for event in events] == list(range(len(events)))
    assert [event["event"] for event in events[-2:]] == ["sample", "slot"]


@pytest.mark.parametrize(
    ("program", "error", "reason"),
    [
        ("import sys; sys.exit('error: no such device')", FleetError, "^no such device$"),
        ("import sys; print('error: bad', file=sys.stderr); sys.exit(2)", InputError, "^bad$"),
        ("import sys; sys.exit(3)", FleetError, "^the source's process left with 3$"),
    ],
)
def test_what_ends_badly_is_told_with_its_reason(program: str, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        list(told_events([sys.executable, "-c", program], "the source"))
