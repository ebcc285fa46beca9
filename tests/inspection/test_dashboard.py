import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from runtime.fleet.lock import sole_supervisor
from runtime.inspection import dashboard as served_dashboard
from runtime.inspection import follower
from runtime.inspection.access import Token
from runtime.inspection.accounts import MemberAccount
from runtime.inspection.dashboard import Dashboard, serve
from runtime.inspection.follower import RunFollower
from runtime.inspection.state import RunState
from runtime.inspection.tail import LogTail
from runtime.messagelog.writer import MessageLog
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.floods import FLOODED
from runtime.records import CoordinatorRecord
from runtime.rundir import COORDINATOR, RunDirectory
from tests.inspection.browser import browser
from tests.machines.communities import Community
from tests.machines.logged import leave_behind


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    path = tmp_path_factory.mktemp("run") / "village"
    community = Community(seed=11, members=5, slots=8, sessions=2)
    directory = leave_behind(community, path)
    for config in community.member_configs:
        config.save(directory.member_config(config.name))
    return directory


def folded(run: RunDirectory) -> RunState:
    state = RunState(["m0", "m1", "m2", "m3", "m4"])
    for line in LogTail(run.logs_dir).look(60):
        state.feed(*line)
    return state


@asynccontextmanager
async def served(run: RunDirectory, token: str | Path | None = None) -> AsyncIterator[str]:
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    dashboard = Dashboard(run.path, run.logs_dir, token=None if token is None else Token(token))
    serving = asyncio.create_task(serve(dashboard, "127.0.0.1", 0, ready.set_result))
    try:
        yield f"http://127.0.0.1:{await asyncio.wait_for(ready, 10)}/"
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


# -- the state -----------------------------------------------------------------------------------------


def test_state_agrees_with_the_record(finished: RunDirectory) -> None:
    record = CoordinatorRecord.load(finished.coordinator_record)
    state = folded(finished)
    for session in record.sessions:
        shown = state.as_json(session.session, finished=True)["shown"]
        taken = sum(float(entry.energy_kwh) for entry in session.ledger if entry.kind == "grid-import")
        traded = sum(float(entry.energy_kwh) for entry in session.ledger if entry.kind == "local-purchase")
        assert sum(shown["import_kwh"]) == pytest.approx(taken)
        assert sum(shown["traded_kwh"]) == pytest.approx(traded)
        costs = [entry["cost"] for entry in shown["costs_eur"]]
        recorded = [held.community_cost_eur for held in session.rounds]
        assert costs[: len(recorded)] == pytest.approx(recorded, abs=1e-6)
        prices = [None if price is None else float(price) for price in session.local_price_eur_per_kwh]
        assert shown["local_price"] == prices
    told = state.as_json(finished=True)
    assert told["phase"] == "done"
    bills = {bill.member: bill.amount_eur for bill in record.sessions[-1].bills}
    assert {member["name"]: Decimal(member["owed_eur"]) for member in told["members"]} == bills
    owed = dict.fromkeys(bills, Decimal(0))
    for bill in (bill for session in record.sessions for bill in session.bills):
        owed[bill.member] += bill.amount_eur
    assert owed != bills
    assert {member["name"]: Decimal(member["owed_in_all_eur"]) for member in told["members"]} == owed
    assert told["alarms"] == []


def line_of(log: MessageLog, **more: Any) -> tuple[str, str, bytes]:
    fields: dict[str, Any] = {
        "sender": "coordinator@h", "recipient": "m0@h", "performative": Performative.REQUEST,
        "protocol": "operation", "conversation": "session-0", "message_id": "1",
        "body": '{"type":"delivery-request","session":0,"slot":0}', "expects_reply": True,
    }  # fmt: skip
    note = more.pop("note", None)
    log.append_out(Envelope(**(fields | more)), note)
    line = log.path.read_bytes().splitlines()[-1]
    return json.loads(line)["at"], log.agent, line


def test_silence_refusals_and_repetitions_are_alarms(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    state = RunState(["m0"], lambda: now)
    with MessageLog.open(tmp_path / "coordinator.jsonl", COORDINATOR) as log:
        state.feed(*line_of(log))
        assert state.silent() == []
        now += timedelta(seconds=15)
        (silent,) = state.silent()
        assert silent["agent"] == "m0"
        assert re.match(r"has not answered coordinator's delivery-request for 1[45] s", silent["text"])
        assert state.as_json(finished=True)["alarms"] == []
        state.feed(*line_of(log, note="resent"))
        assert "repeated its message 1 to m0" in state.as_json(finished=False)["alarms"][1]["text"]
    with MessageLog.open(tmp_path / "m0.jsonl", "m0") as log:
        state.feed(
            *line_of(
                log, sender="m0@h", recipient="coordinator@h", message_id="9", in_reply_to="1",
                performative=Performative.REFUSE, body='{"type":"reason","reason":"no meter"}',
                expects_reply=False,
            )
        )  # fmt: skip
        log.append_event(FLOODED, {"sender": "house@h", "messages": 5, "body_bytes": 9})
        line = log.path.read_bytes().splitlines()[-1]
        state.feed(json.loads(line)["at"], log.agent, line)
    assert state.silent() == []
    flooded, refusal, *_ = (alarm["text"] for alarm in state.as_json(finished=False)["alarms"])
    assert flooded == "was flooded by house@h: 5 messages were not listened to"
    assert refusal == "to coordinator, refuse: no meter"


def test_what_is_owed_counts_lines_until_the_bill_takes_their_place() -> None:
    account = MemberAccount()
    for slot, amount in enumerate(("0.1", "0.2", "-0.05")):
        account.bill_line({"session": 0, "slot": slot, "amount_eur": amount})
    for amount in ("0.5", "0.013"):  # a correction takes the place of an earlier one of its slot
        account.adjustment_line({"session": 0, "slot": 1, "amount_eur": amount})
    account.bill_line({"session": 1, "slot": 0, "amount_eur": "7"})
    assert (account.session_eur(0), account.session_eur(1)) == (Decimal("0.263"), Decimal(7))
    assert account.total_eur() == Decimal("7.263")
    for _ in range(2):  # told again, it counts once
        account.session_closed({"session": 0, "amount_eur": "0.26"})
    assert (account.session_eur(0), account.total_eur()) == (Decimal("0.26"), Decimal("7.26"))
    with pytest.raises(ValueError, match="found NaN, expected an amount"):
        account.bill_line({"session": 1, "slot": 1, "amount_eur": "NaN"})
    assert account.total_eur() == Decimal("7.26")


def test_a_run_that_nobody_runs_any_more_has_stopped(
    finished: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory(shutil.copytree(finished.path, tmp_path / "broken-off"))
    run.coordinator_record.unlink()

    def seen() -> dict[str, Any]:
        followed = RunFollower(run.path, run.logs_dir)
        while followed.look():
            pass
        return followed.snapshot()

    monkeypatch.setattr(follower, "SILENT_AFTER_S", 0.0)
    assert seen()["stopped"] == ""  # nobody ever supervised it here: its engine may
    with sole_supervisor(run):
        assert seen()["stopped"] == ""
    state = seen()
    assert "`peerwatt resume broken-off`" in state["stopped"]
    assert state["phase"] == "stopped"
    monkeypatch.setattr(follower, "SILENT_AFTER_S", 600.0)
    with MessageLog.open(run.log("m1"), "m1") as log:
        log.append_event("back", {})
    assert seen()["stopped"] == ""  # somebody has just written


def test_logs_without_the_admission_are_shown_too(finished: RunDirectory, tmp_path: Path) -> None:
    """How many slots a session has is not known then; nobody is blamed for it."""
    whole, part = folded(finished), RunState([])
    for at, agent, line in LogTail(finished.logs_dir).look(60):
        if b'\\"type\\":\\"admission\\"' not in line:
            part.feed(at, agent, line)
    told, known = part.as_json(1, finished=True), whole.as_json(1, finished=True)
    assert told["alarms"] == []
    assert told["shown"]["slots"] == 0
    assert told["shown"]["import_kwh"] == known["shown"]["import_kwh"]
    assert told["shown"]["import_price"][:8] == known["shown"]["import_price"]


def test_the_tail_gives_every_line_once_in_the_order_of_time(finished: RunDirectory, tmp_path: Path) -> None:
    whole = list(LogTail(finished.logs_dir).look(60))
    assert [at for at, _, _ in whole] == sorted(at for at, _, _ in whole)
    assert len(whole) == sum(len(p.read_bytes().splitlines()) for p in finished.logs_dir.glob("*.jsonl"))
    logs = tmp_path / "logs"
    logs.mkdir()
    tail = LogTail(logs)
    seen: list[bytes] = []
    for path in sorted(finished.logs_dir.glob("m*.jsonl")):
        data = path.read_bytes()
        for part in (data[: len(data) // 3], data[len(data) // 3 :]):
            with (logs / path.name).open("ab") as file:
                file.write(part)
            while news := list(tail.look(0.0)):
                seen += [line for _, _, line in news]
    expected = [line for p in finished.logs_dir.glob("m*.jsonl") for line in p.read_bytes().splitlines()]
    assert sorted(seen) == sorted(expected)


# -- the server ----------------------------------------------------------------------------------------


async def test_only_this_machine_and_only_reading(finished: RunDirectory) -> None:
    async with served(finished) as url, aiohttp.ClientSession() as session:
        async with session.get(url) as page:
            assert page.status == 200
            assert "default-src 'none'" in page.headers["Content-Security-Policy"]
            assert not re.search(r"(src|href)=.?https?:", await page.text())
        for method in ("post", "put", "delete"):
            async with session.request(method, url + "state") as answer:
                assert answer.status == 405
        async with session.get(url + "state", headers={"Host": "evil.example"}) as answer:
            assert answer.status == 403
        async with session.get(url + "messages?slot=x") as answer:
            assert answer.status == 400


async def test_elsewhere_it_wants_the_token(finished: RunDirectory) -> None:
    async with served(finished, "secret") as url, aiohttp.ClientSession() as session:
        for path in ("", "state", "messages", "events", "?token=other"):
            async with session.get(url + path) as answer:
                assert answer.status == 403
        async with session.get(url + "?token=secret", headers={"Host": "house.lan"}) as answer:
            assert answer.status == 200
            cookie = answer.cookies["peerwatt_token"]
            assert cookie["httponly"]
        async with session.get(url + "state", cookies={"peerwatt_token": "secret"}) as answer:
            assert answer.status == 200


async def test_a_token_in_a_file_is_read_anew_at_each_request(
    finished: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_dashboard, "HEARTBEAT_S", 0.05)
    kept = tmp_path / "token"
    kept.write_text("first\n")
    async with served(finished, kept) as url, aiohttp.ClientSession() as session:
        events = await session.get(url + "events?token=first")
        assert events.status == 200
        assert await events.content.readline()
        kept.write_text("second\n")
        for token, status in (("first", 403), ("second", 200)):
            async with session.get(url + f"state?token={token}") as answer:
                assert answer.status == status
            async with session.get(url + "state", headers={"Authorization": f"Bearer {token}"}) as answer:
                assert answer.status == status
        # Whoever was following with the old one is not told any more.
        async with asyncio.timeout(10):
            await events.content.read()
        assert events.content.at_eof()
        for content in ("", None):
            kept.write_text("") if content == "" else kept.unlink()
            async with session.get(url + "state?token=second") as answer:
                assert answer.status == 503
                assert str(tmp_path) not in await answer.text()


# -- in a browser --------------------------------------------------------------------------------------

SCALES = "[...document.querySelectorAll('svg')].map(s => s.clientWidth / s.viewBox.baseVal.width)"
NAMES = "[...document.querySelectorAll('#members th button')].map(b => b.textContent).join()"
KINDS = (
    "[...new Set([...document.querySelectorAll('#messages td:nth-child(3)')].map(t => t.textContent))].join()"
)


CUT_OFF = (
    "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth)"
    ".map(e => e.getAttribute('aria-labelledby'))"
)


async def test_a_past_run_in_a_browser(finished: RunDirectory) -> None:
    async with served(finished) as url, browser(url) as tab:
        await tab.until(f"{NAMES} === 'm0,m1,m2,m3,m4'")
        await tab.until("document.querySelectorAll('#messages tr').length === 100")
        assert await tab.run("document.querySelectorAll('#prices path').length") == 3
        batteries = [
            p
            for p in finished.member_record("x").parent.glob("*.json")
            if json.loads(p.read_text())["battery"]
        ]
        assert await tab.run("document.querySelectorAll('#soc path').length") == len(batteries) > 0
        assert "ended" in await tab.run("document.getElementById('facts').textContent")
        sessions = await tab.run("[...document.getElementById('session').options].map(o => o.text).join()")
        assert re.fullmatch(r"1 · \d+ \w+ \d{4},2 · \d+ \w+ \d{4}", sessions), sessions
        heading = await tab.run("document.getElementById('owes').textContent")
        assert heading == "owes, session 2 [EUR]"
        assert (await tab.run("document.title")).startswith("ended · ")
        await tab.run("document.querySelector('[name=type]').value = 'bill-line'")
        await tab.run(
            "document.querySelector('[name=type]').dispatchEvent(new Event('input', {bubbles: true}))"
        )
        await tab.until(f"{KINDS} === 'inform bill-line'")
        await tab.run("document.querySelector('[data-member=m3]').click()")
        await tab.until("document.querySelectorAll('#messages tr').length === 16")
        for width in (1400, 820, 390, 360):
            await tab.call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=900,
                deviceScaleFactor=1,
                mobile=True,
            )
            assert await tab.run("document.documentElement.scrollWidth") <= width
            assert await tab.run(f"{CUT_OFF}.join()") == ""
            await tab.until(f"{SCALES}.every(scale => Math.abs(scale - 1) < 0.02)")
            for chart in ("prices", "flows", "rounds", "soc"):
                labels = await tab.run(
                    f"[...document.querySelectorAll('#{chart} .y')].map(e => e.textContent)"
                )
                ticks = [float(label.replace("\N{MINUS SIGN}", "-")) for label in labels]
                steps = {round(b - a, 9) for a, b in pairwise(ticks)}
                assert len(steps) == 1, labels  # what a label says is where it stands
                assert len({len(label.partition(".")[2]) for label in labels}) == 1
        assert tab.errors == []


async def test_an_event_shows_within_a_second(finished: RunDirectory, tmp_path: Path) -> None:
    """A fleet that goes on: a refused message is among alarms and messages soon after it was written."""
    run = RunDirectory(shutil.copytree(finished.path, tmp_path / "going-on"))
    run.coordinator_record.unlink()
    async with served(run) as url, browser(url) as tab:
        await tab.until("document.getElementById('facts').textContent.startsWith('live')")
        await tab.until("document.querySelectorAll('#messages tr').length === 100")
        await asyncio.sleep(1.5)
        await tab.run("for (let timer = 0; timer < 1000; timer++) clearInterval(timer)")  # events alone count
        delays_s = []
        with MessageLog.open(run.log("m1"), "m1") as log:
            for number in (777, 778, 779):  # one of them at least while the machine does nothing else
                reason = f"fuse {number} has blown"
                log.append_out(
                    Envelope(
                        "m1@village.test", "coordinator@village.test", Performative.REFUSE, "market",
                        "session-1", str(number), f'{{"type":"reason","reason":"{reason}"}}',
                    )
                )  # fmt: skip
                delays_s.append(
                    await tab.until(f"document.getElementById('alarms').textContent.includes('{reason}')")
                    + await tab.until(f"document.getElementById('messages').textContent.includes('{reason}')")
                )
        assert min(delays_s) < 1.0, delays_s
