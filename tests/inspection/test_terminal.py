"""A run on a terminal: what is shown is what logs and records say, at 80 by 24, and keys do what they say."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from runtime.errors import InputError
from runtime.inspection.follower import RunFollower
from runtime.inspection.terminal.filter_words import filter_of
from runtime.inspection.terminal.frame import (
    alarm_line,
    battery_text,
    member_rows,
    series_lines,
    sparkline,
    title_line,
    whole_frame,
)
from runtime.inspection.terminal.screen import HELP, RunScreen
from runtime.messagelog.filters import MessageFilter
from runtime.records import CoordinatorRecord, MemberRecord
from runtime.rundir import RunDirectory
from tests.machines.communities import Community
from tests.machines.logged import leave_behind

MEMBERS = 9
SIZE = (80, 24)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    community = Community(seed=11, members=MEMBERS, slots=8, sessions=2)
    directory = leave_behind(community, tmp_path_factory.mktemp("run") / "village")
    for config in community.member_configs:
        config.save(directory.member_config(config.name))
    return directory


def followed(run: RunDirectory) -> RunFollower:
    follower = RunFollower(run.path, run.logs_dir)
    while follower.look():
        pass
    return follower


# -- text --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "width", "drawn"),
    [
        ([], 5, ""),
        ([None, None], 5, ""),
        ([0.0, 7.0], 5, "▁█"),
        ([3.0, 3.0, None], 5, "▁▁ "),
        ([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"),
        ([0.0, 0.0, 4.0, 4.0], 2, "▁█"),
        ([None, None, 0.0, 2.0, 4.0, None], 3, " ▁█"),
    ],
)
def test_values_as_bars(values: list[float | None], width: int, drawn: str) -> None:
    assert sparkline(values, width) == drawn


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=300), st.integers(1, 100))
def test_bars_are_never_wider_than_there_is_room(values: list[float | None], width: int) -> None:
    drawn = sparkline(values, width)
    assert len(drawn) <= width
    assert set(drawn) <= set(" ▁▂▃▄▅▆▇█")


def test_a_filter_as_it_is_typed() -> None:
    assert filter_of("") == MessageFilter()
    assert filter_of(" no  meter ") == MessageFilter(text="no meter")
    assert filter_of("agent=school with=coordinator type=position round=3 slot=0 taken") == MessageFilter(
        agent="school", peer="coordinator", body_type="position", round=3, slot=0, text="taken"
    )
    for words, named in (
        ("round=x", "round"),
        ("session=0", "from 1 on"),
        ("agnet=school", "agnet=school"),
        ("type=", "type="),
    ):
        with pytest.raises(InputError, match=named):
            filter_of(words)


def test_members_and_series_are_those_of_the_records(finished: RunDirectory) -> None:
    record = CoordinatorRecord.load(finished.coordinator_record)
    state = followed(finished).snapshot()
    bills = {bill.member: f"{bill.amount_eur:.2f}" for bill in record.sessions[-1].bills}
    rows = {cells[0]: cells for cells in member_rows(state)}
    assert {name: cells[4] for name, cells in rows.items()} == bills
    batteries = 0
    for name, cells in rows.items():
        member = MemberRecord.load(finished.member_record(name))
        stored = member.sessions[-1].stored_kwh
        known = stored and member.battery_capacity_kwh
        expected = f"{100 * stored[-1] / member.battery_capacity_kwh:.0f} %" if known else "–"
        assert cells[3] == expected
        assert cells[6] == "16/16"
        total = sum(bill.amount_eur for one in record.sessions for bill in one.bills if bill.member == name)
        assert cells[5] == f"{total:.2f}"
        batteries += bool(known)
    assert batteries > 0
    assert battery_text([]) == "–"
    local = [float(p) for p in record.sessions[-1].local_price_eur_per_kwh if p is not None]
    lines = list(series_lines(state, 80))
    assert f"{min(local):.4f} … {max(local):.4f} EUR/kWh" in lines[0]
    assert len(lines) == 7
    assert title_line("village", state).endswith("done · session 2/2 · round "
                                                 f"{state['round']} · slot 8/8")  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(finished: RunDirectory, width: int) -> None:
    state = followed(finished).snapshot()
    rows = [{"at": "2024-06-01T10:11:12.131415Z", "from": "m0", "to": "coordinator", "performative": "inform",
             "text": "x" * 300, "note": None}]  # fmt: skip
    lines = whole_frame("village", state, rows, width).splitlines()
    assert max(map(len, lines)) <= width
    assert any("10:11:12" in line for line in lines)


def test_nothing_that_acts_on_a_terminal_gets_through(finished: RunDirectory) -> None:
    evil = "\x1b]0;owned\x07\x9b31m"
    state = followed(finished).snapshot()
    state["members"][0] |= {"name": evil, "doing": evil, "meter": evil}
    state["community"], state["problem"] = evil, evil
    state["alarms"] = [{"at": "2024-06-01T10:11:12", "agent": evil, "text": evil}]
    text = whole_frame(evil, state, [], 500) + alarm_line(state["alarms"][0])
    assert "]0;owned" in text
    assert all(char.isprintable() or char == "\n" for char in text)


# -- the program -------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def shown(run: RunDirectory, words: str = "") -> AsyncIterator[tuple[RunScreen, Pilot[None]]]:
    screen = RunScreen(RunFollower(run.path, run.logs_dir), words)
    async with screen.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: screen.query_one("#members", DataTable).row_count == MEMBERS + 1)
        await until(pilot, lambda: "done" in part(screen, "title") and "→" in part(screen, "lines"))
        yield screen, pilot


async def until(pilot: Pilot[None], condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await pilot.pause(0.05)


def part(screen: RunScreen, name: str) -> str:
    return str(screen.screen_stack[0].query_one(f"#{name}", Static).visual)


async def test_everything_is_on_the_screen_at_80_by_24(finished: RunDirectory) -> None:
    async with shown(finished) as (screen, pilot):
        assert "village" in part(screen, "title")
        await until(pilot, lambda: screen.query_one("#series").region.height == 7)
        for name in ("title", "counts", "members", "series", "what", "stream"):
            region = screen.query_one(f"#{name}").region
            assert region.height > 0
            assert region.right <= SIZE[0]
            assert region.bottom <= SIZE[1]
        assert screen.query_one("#stream").region.height >= 3
        members = screen.query_one("#members", DataTable)
        assert members.virtual_size.width <= SIZE[0]


async def test_a_chosen_member_has_its_own_messages_and_battery(finished: RunDirectory) -> None:
    async with shown(finished) as (screen, pilot):
        assert "batteries, mean" in part(screen, "series")
        await pilot.press("down", "down", "down")
        await until(pilot, lambda: part(screen, "what").endswith(": m2"))
        await until(pilot, lambda: all("m2" in line for line in part(screen, "lines").splitlines()))
        assert "battery m2" in part(screen, "series")
        await pilot.press("up", "up", "up")
        await until(pilot, lambda: "m4" in part(screen, "lines"))


async def test_a_filter_a_wrong_one_and_none(finished: RunDirectory) -> None:
    async with shown(finished) as (screen, pilot):
        await pilot.press("slash")
        line = screen.query_one("#filter", Input)
        assert line.display
        line.value = "round=x"
        await pilot.press("enter")
        assert line.display
        line.value = "type=position round=1"
        await pilot.press("enter")
        assert not line.display
        await until(pilot, lambda: len(part(screen, "lines").splitlines()) == 2 * MEMBERS)
        assert all(" propose " in line for line in part(screen, "lines").splitlines())
        assert part(screen, "what").endswith("type=position round=1")
        await pilot.press("slash", "escape")
        assert part(screen, "what").endswith("type=position round=1")


async def test_sessions_alarms_help_and_quitting(finished: RunDirectory) -> None:
    async with shown(finished) as (screen, pilot):
        await pilot.press("p")
        await until(pilot, lambda: "session 1/2" in part(screen, "title"))
        await pilot.press("p", "n", "n")
        await until(pilot, lambda: "session 2/2" in part(screen, "title"))
        await pilot.press("a")
        assert part(screen, "what") == "alarms: 0"
        await pilot.press("a", "question_mark")
        await pilot.pause()
        assert len(screen.screen_stack) == 2
        assert max(map(len, HELP.splitlines())) <= 76
        await pilot.press("x")
        assert len(screen.screen_stack) == 1
        await pilot.press("q")
        await pilot.pause()
        assert not screen.is_running


async def test_what_is_written_while_it_is_shown_appears(finished: RunDirectory, tmp_path: Path) -> None:
    live = RunDirectory(tmp_path / "live")
    live.logs_dir.mkdir(parents=True)
    for config in (finished.config_dir / "members").glob("*.json"):
        live.member_config(config.stem).parent.mkdir(parents=True, exist_ok=True)
        live.member_config(config.stem).write_bytes(config.read_bytes())
    screen = RunScreen(RunFollower(live.path, live.logs_dir))
    async with screen.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: screen.query_one("#members", DataTable).row_count == MEMBERS + 1)
        assert part(screen, "series") == "no session yet"
        source = finished.log("coordinator").read_bytes().splitlines(keepends=True)
        asked = next(
            number
            for number, line in enumerate(source)
            if b'"delivery-request\\"' in line and b'\\"slot\\":3' in line
        )
        with live.log("coordinator").open("ab") as log:
            log.writelines(source[: asked + 1])
        await until(pilot, lambda: "slot 4/8" in part(screen, "title"))
        assert "operating" in part(screen, "title")
        assert "batteries, mean" in part(screen, "series")
        with live.log("coordinator").open("ab") as log:
            log.writelines([*source[asked + 1 :], b'{"seq":9999,"at":"2024\n'])
        await pilot.press("a")
        await until(pilot, lambda: "cannot be read" in part(screen, "lines"))


# -- the command -------------------------------------------------------------------------------------------


def top(run: RunDirectory, *options: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runtime", "top", str(run.path), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **more)


def test_one_frame_and_the_state_as_json(finished: RunDirectory) -> None:
    once = top(finished, "--once", env={**os.environ, "COLUMNS": "80"})
    assert once.returncode == 0, once.stderr
    lines = once.stdout.splitlines()
    assert lines[0].startswith("village · ")
    assert max(map(len, lines)) <= 80
    assert sum(" inform " in line or " confirm " in line for line in lines) == 10
    state = json.loads(top(finished, "--json", "--filter", "type=position round=1").stdout)
    assert {row["type"] for row in state["stream"]} == {"position"}
    del state["stream"]
    assert state == json.loads(json.dumps(followed(finished).snapshot()))


def test_without_a_terminal_or_with_a_wrong_filter_it_says_so(finished: RunDirectory) -> None:
    refused = top(finished)
    assert refused.returncode == 2
    assert "found no terminal; --once prints one frame" in refused.stderr
    wrong = top(finished, "--once", "--filter", "slot=last")
    assert wrong.returncode == 2
    assert "slot: found 'last', expected a number" in wrong.stderr


def test_on_a_pseudo_terminal_it_draws_and_leaves_at_q(finished: RunDirectory) -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime", "top", str(finished.path)],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(follower)
    drawn = b""
    try:
        ends_s = time.monotonic() + 40
        while process.poll() is None and time.monotonic() < ends_s:
            if select.select([leader], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    drawn += os.read(leader, 65536)
            if b"done" in drawn and b"session 2/2" in drawn and b"coordinator" in drawn:
                os.write(leader, b"q")
        assert process.poll() == 0, re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", drawn)[-2000:]
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    assert b"\x1b[?1049l" in drawn, "the terminal was not given back"
