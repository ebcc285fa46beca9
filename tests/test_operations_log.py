"""What processes say of their own running: JSON lines on standard error, for people where asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime

import pytest

from runtime.operations_log import entry_of, last_complaint

PROGRAM = """
import logging
from runtime import operations_log
operations_log.configure()
operations_log.configure()
operations_log.say("reconnected", "school", after="connection lost", held_s=1.5)
operations_log.say("refusal", "school", level=logging.WARNING, to="coordinator")
logging.getLogger("some.library").info("not this")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("some.library").exception("a fault: %s", "\\n{")
"""


def said(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_json_lines_each_with_time_level_agent_event_and_fields() -> None:
    entries = [json.loads(line) for line in said().stderr.splitlines()]
    assert [entry["event"] for entry in entries] == ["reconnected", "refusal", "a fault: \n{"]
    assert all(list(entry) == ["time", "level", "agent", "event", "fields"] for entry in entries)
    assert all(datetime.fromisoformat(entry["time"]).tzinfo for entry in entries)
    assert [entry["level"] for entry in entries] == ["info", "warning", "error"]
    assert [entry["agent"] for entry in entries] == ["school", "school", ""]
    assert entries[0]["fields"] == {"after": "connection lost", "held_s": 1.5}
    assert entries[2]["fields"]["logger"] == "some.library"
    assert "ZeroDivisionError" in entries[2]["fields"]["trace"]


def test_text_and_level_by_the_environment() -> None:
    lines = said(PEERWATT_LOG_FORMAT="text", PEERWATT_LOG_LEVEL="warning").stderr.splitlines()
    assert lines[0][8:] == " warning school refusal to=coordinator"
    assert lines[-1] == "ZeroDivisionError: division by zero"
    wrong = said(PEERWATT_LOG_FORMAT="xml").stderr
    assert "PEERWATT_LOG_FORMAT: found 'xml', expected json or text" in wrong


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", ""),
        ("a\nTypeError: b\n", "TypeError: b"),
        (
            'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    b\n'
            "ValidationError: 1 validation error for Terms\nprice\n  Input should be finite\n    see there\n",
            "ValidationError: 1 validation error for Terms price Input should be finite see there",
        ),
        (
            "Traceback (most recent call last):\n  a\nKeyError: 1\n\nDuring handling of it:\n\n"
            "Traceback (most recent call last):\n  b\nTypeError: 2\n",
            "TypeError: 2",
        ),
        (
            "Traceback (most recent call last):\n  a\nKeyError: 1\n"
            '{"time":"t","level":"info","agent":"","event":"ready","fields":{}}\nSegmentation fault\n',
            "Segmentation fault",
        ),
        ('{"time":"t","level":"info","agent":"","event":"ready","fields":{}}\n', ""),
        (
            '{"time":"t","level":"error","agent":"","event":"failed","fields":{"reason":"no disk"}}\n'
            '{"time":"t","level":"info","agent":"","event":"ready","fields":{}}\n',
            "failed: no disk",
        ),
        ('{"level":"info"}', '{"level":"info"}'),
    ],
)
def test_the_last_complaint_is_found_among_other_entries(text: str, complaint: str) -> None:
    assert last_complaint(text) == complaint


def test_what_is_no_entry_is_none() -> None:
    assert entry_of("[1]") is None
    assert entry_of("Traceback (most recent call last):") is None
