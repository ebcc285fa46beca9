import csv
import io
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from runtime.cli.messages import messages
from runtime.devices import Battery
from runtime.errors import InputError, LogError
from runtime.messagelog.facts import body_facts
from runtime.messagelog.summaries import SUMMARISERS, plainly, summarise
from runtime.messagelog.writer import MessageLog
from runtime.protocol import bargain_bodies, bodies, community_bodies
from runtime.protocol.envelope import Envelope, Performative

PROGRAM = "import typer; from runtime.cli.messages import messages; typer.run(messages)"
app = typer.Typer()
app.command()(messages)


def peerwatt_messages(run: Any, *options: str) -> Result:
    result = CliRunner().invoke(app, [str(run.dir.path), *options])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def listed(run: Any, *options: str) -> list[str]:
    result = peerwatt_messages(run, "--json", *options)
    assert result.exit_code == 0
    return [json.loads(line)["id"] for line in result.stdout.splitlines()]


def test_lists_each_message_in_a_line_of_plain_words(run: Any) -> None:
    result = peerwatt_messages(run)
    assert result.exit_code == 0
    lines = [re.sub(" +", " ", line) for line in result.stdout.splitlines()]
    assert len(lines) == 8
    assert lines[0] == (
        "2026-06-01 10:00:00.000 coordinator → school cfp price-signal session 1 round 3 "
        "prices: 0.1000 to 0.2000 for energy taken, 0.0500 EUR/kWh for energy given"
    )
    assert lines[1] == (
        "2026-06-01 10:00:01.000 school → coordinator propose position session 1 round 3 "
        "takes 1.500 kWh, gives 0.250 kWh in 2 slots"
    )
    assert lines[5].endswith("school.meter → school inform acknowledged session 1 slot 7 taken in")
    assert "\x1b" not in result.stdout


def test_remarks_are_shown(new_run: Any) -> None:
    run = new_run("remarks")
    again = run.say("school", "coordinator", "inform", {"type": "acknowledged"})
    run.log("school").append_out(again, "resent")
    run.log("coordinator").append_in(again, "duplicate")
    run.log("school").append_out(
        run.envelope("school", "coordinator", "inform", {"type": "new", "a": 1, "b": [1]})
    )
    run.log("school").append_out(run.envelope("school", "nobody", "inform", {}))
    ends = [line[105:].strip() for line in peerwatt_messages(run).stdout.splitlines()]
    assert ends == [
        "taken in [resent; duplicate]",
        "a 1, b [1 value] [not received]",
        "{} [its recipient has no log here]",
    ]


OPTIONS: list[tuple[str, list[int]]] = [
    ("--agent school", [1, 2, 5, 6]),
    ("--agent school --with coordinator", [1, 2]),
    ("--performative cfp", [1, 3]),
    ("--type reading-request", [5, 7]),
    ("--round 3 --agent office", [3, 4]),
    ("--slot 7", [5, 6, 7, 8]),
    ("--session 1 --limit 3", [1, 2, 3]),
    ("--grep OFFICE.meter", [7, 8]),
    ("--since 2026-06-01T10:00:06", [7, 8]),
    ("--since 2026-06-01T12:00:06+02:00 --until 2026-06-01T10:00:07Z", [7]),
]


@pytest.mark.parametrize(("options", "expected"), OPTIONS)
def test_options_choose_messages(run: Any, options: str, expected: list[int]) -> None:
    assert listed(run, *shlex.split(options)) == [f"m{number}" for number in expected]


def test_json_says_all_that_is_known(run: Any) -> None:
    entry = json.loads(peerwatt_messages(run, "--json", "--limit", "1").stdout)
    assert entry["body"]["import_price_eur_per_kwh"] == [0.1, 0.2]
    assert (entry["from"], entry["sent"], entry["received"], entry["delay_s"]) == (
        "coordinator@host",
        1,
        1,
        0.002,
    )
    assert (entry["session"], entry["round"], entry["slot"], entry["notes"]) == (0, 3, None, [])


def test_full_shows_the_whole_body(run: Any) -> None:
    text = peerwatt_messages(run, "--full", "--type", "position", "--agent", "school").stdout
    assert json.loads(text.split("\n", 1)[1])["grid_import_kwh"] == [1.5, 0.0]


def test_events_are_shown_on_demand(run: Any) -> None:
    run.log("school").append_event("restarted", {"pid": 1})
    shown = [line for line in peerwatt_messages(run, "--events").stdout.splitlines() if " event " in line]
    assert len(shown) == 6
    assert shown[-1].endswith('{"pid": 1}')
    assert "restarted" not in peerwatt_messages(run).stdout


def test_export_writes_what_is_chosen(run: Any, tmp_path: Path) -> None:
    assert peerwatt_messages(run, "--export", str(tmp_path / "out.jsonl")).stdout.startswith(
        "8 rows written to"
    )
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 8
    peerwatt_messages(run, "--type", "position", "--export", str(tmp_path / "out.csv"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [(row["id"], row["round"], row["delay_s"]) for row in rows] == [
        ("m2", "3", "0.002"),
        ("m4", "3", "0.002"),
    ]
    assert json.loads(rows[1]["body"])["grid_import_kwh"] == [2.5, 0.0]


def test_stats_count(run: Any) -> None:
    again = run.say("school", "coordinator", "inform", {"type": "acknowledged"}, delay_s=0.05)
    run.log("school").append_out(again, "resent")
    run.log("coordinator").append_in(again, "duplicate")
    run.log("school").append_out(run.envelope("school", "coordinator", "inform", {"type": "x"}))
    text = peerwatt_messages(run, "--stats").stdout
    assert text.startswith("10 messages; 1 resend, 1 duplicate, 1 not received\n")
    assert "delay: p50 2.0 ms, p95 50.0 ms, max 50.0 ms\n" in text
    counts = json.loads(peerwatt_messages(run, "--stats", "--json").stdout)
    assert counts["by_performative"] == {"inform": 4, "cfp": 2, "propose": 2, "request": 2}
    assert counts["by_type"]["acknowledged"] == 3
    assert (counts["sent_by_agent"]["school"], counts["received_by_agent"]["coordinator"]) == (4, 3)


def test_verify_passes_a_good_run_and_fails_a_changed_one(run: Any) -> None:
    good = peerwatt_messages(run, "--verify")
    assert (good.exit_code, good.stdout) == (0, "5 logs: unchanged, and every message arrived once\n")
    path = run.dir.log("school")
    path.write_bytes(path.read_bytes().replace(b"1.5", b"0.5"))
    bad = peerwatt_messages(run, "--verify")
    assert bad.exit_code == 1
    assert "school.jsonl, line 3: its hash does not match" in bad.stdout
    assert bad.stdout.endswith("5 logs: 1 finding\n")


def test_a_changed_log_is_not_listed_as_if_it_were_good(run: Any) -> None:
    path = run.dir.log("school")
    path.write_bytes(path.read_bytes().replace(b"1.5", b"0.5"))
    with pytest.raises(LogError, match=r"school\.jsonl, line 3"):
        peerwatt_messages(run)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--since yesterday", "--since: expected an instant like .* found 'yesterday'"),
        ("--export out.xlsx", r"--export out.xlsx: expected a name ending in .jsonl or .csv"),
        ("--export /dev/null/x.csv", "--export /dev/null/x.csv: cannot be written"),
        ("--session 0", "session: found 0, expected a number from 1 on"),
        ("--follow --verify", "--follow: goes with none of"),
    ],
)
def test_bad_options_are_named(run: Any, options: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        peerwatt_messages(run, *options.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--agent", "schol"), "no message matches; --agent: found 'schol', logs are here of coordinator, "),
        (
            ("--with", "school", "--type", "positon"),
            "no message matches; --type: found 'positon', types are ",
        ),
        (("--agent", "school", "--round", "77"), "no message matches\n"),
        (("--agent", "schol", "--id", "1", "--full"), "no message matches; --agent: found 'schol', logs"),
    ],
)
def test_what_nobody_is_called_is_said_where_nothing_matches(
    run: Any, options: tuple[str, ...], said: str
) -> None:
    result = peerwatt_messages(run, *options)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(said)


def test_run_is_found_by_name_and_a_missing_one_is_named(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(CliRunner().invoke(app, ["demo"]).stdout.splitlines()) == 8
    (tmp_path / "runs" / "empty").mkdir()
    for name, complaint in (("none", "found neither"), ("empty", "expected message logs .* found none")):
        error = CliRunner().invoke(app, [name]).exception
        assert isinstance(error, InputError)
        assert re.search(complaint, str(error))


def test_head_of_a_pipe_may_close_it(run: Any) -> None:
    for _ in range(400):
        run.say("school", "coordinator", "inform", {"type": "long", "text": "x" * 900})
    program = shlex.join([sys.executable, "-c", PROGRAM, str(run.dir.path)])
    script = f"set -o pipefail; {program} --full | head -n 2"
    piped = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (piped.returncode, piped.stderr) == (0, "")
    assert len(piped.stdout.splitlines()) == 2
    assert "\x1b" not in piped.stdout


def test_colour_on_a_terminal(run: Any) -> None:
    own, other = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-c", PROGRAM, str(run.dir.path), "--limit", "2"]
    subprocess.run(command, stdout=other, env=environment, timeout=60, check=True)
    os.close(other)
    text = os.read(own, 100_000).decode()
    os.close(own)
    assert "\x1b[36m2026-06-01" in text
    assert len(text.splitlines()) == 2


def test_follow_shows_new_messages_and_ends_with_ctrl_c(new_run: Any, tmp_path: Path) -> None:
    run = new_run("live")
    run.dir.path.mkdir(parents=True)
    command = [sys.executable, "-u", "-c", PROGRAM, str(run.dir.path), "-f", "--performative", "inform"]
    following = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert following.stdout is not None
        run.say("school", "coordinator", "inform", {"type": "reason", "reason": "first"})
        assert following.stdout.readline().endswith("first\n")
        late = run.envelope("office", "coordinator", "inform", {"type": "reason", "reason": "second"})
        run.log("office").append_out(late)
        assert following.stdout.readline().endswith("second\n")
        run.log("coordinator").append_in(late, "refused: too late")
        assert following.stdout.readline().endswith("second [refused: too late]\n")
        following.send_signal(signal.SIGINT)
        rest, errors = following.communicate(timeout=20)
    finally:
        following.kill()
        following.wait(20)
    assert (following.returncode, rest, errors) == (0, "", "")


def test_follow_stops_at_the_limit(run: Any) -> None:
    begun = time.monotonic()
    assert listed(run, "--follow", "--limit", "8") == [f"m{number}" for number in range(1, 9)]
    assert time.monotonic() - begun < 10


def test_escape_sequences_of_a_hostile_body_do_not_reach_the_terminal(new_run: Any) -> None:
    run = new_run("hostile")
    run.say("school", "coordinator", "inform", {"type": "\x1b[2Jx", "\x1b]0;y\x07": "\x1b[31m", "\u202e": 1})
    for options in ([], ["--full"], ["--stats"], ["--json"]):
        output = peerwatt_messages(run, *options).stdout
        assert not set("\x1b\x07\u202e") & set(output)
    assert "\\x1b[31m" in peerwatt_messages(run).stdout


NET: dict[str, Any] = {"grid_import_kwh": [1.0, 0.5], "grid_export_kwh": [0.0, 0.0]}
PRICES: dict[str, Any] = {"import_price_eur_per_kwh": [0.2, 0.2], "export_price_eur_per_kwh": [0.1, 0.1]}
SLOT: dict[str, Any] = {"session": 0, "slot": 5}
INSTANTS: dict[str, Any] = {"slot_start": "2024-06-18T01:15:00Z", "slot_end": "2024-06-18T01:30:00Z"}
EXACT = Decimal("0.125")
SAID = [
    (bodies.Join(member="school"), "school asks to take part"),
    (bodies.Admission(community="C", mechanism="m", sessions=[]), "admitted to C: mechanism m, 0 sessions"),
    (bodies.Reason(reason="too\nlate"), "too\\nlate"),
    (
        bodies.PriceSignal(session=0, round=0, **PRICES),
        "the grid's tariffs: 0.2000 for energy taken, 0.1000 EUR/kWh for energy given",
    ),
    (bodies.Position(session=0, round=1, **NET), "takes 1.500 kWh, gives 0.000 kWh in 2 slots"),
    (
        bodies.Agreement(
            session=0, round=4, position_round=3, local_price_eur_per_kwh=[0.2, None], **NET, **PRICES
        ),
        "agreed with the position of round 3: takes 1.500 kWh, gives 0.000 kWh in 2 slots; "
        "0.2000 for energy taken, 0.1000 EUR/kWh for energy given",
    ),
    (bodies.DeclarationRequest(session=0, round=1), "what do you foresee, and which devices have you?"),
    (
        bodies.DeviceDeclaration(
            session=0, round=1, residual_load_kwh=[1.0, 0.5], battery=Battery(capacity_kwh=5.0), **NET
        ),
        "needs 1.500 kWh in 2 slots; has a battery of 5 kWh",
    ),
    (
        bargain_bodies.BargainCall(
            session=0, round=1, members=["school", "house"], max_rounds=40, tolerance_kwh=0.01,
            penalty_eur_per_kwh2=[0.1, 0.1], **PRICES,
        ),
        "bargain among yourselves: 2 members, at most 40 rounds",
    ),
    (
        bargain_bodies.TradeProposal(
            session=0, round=2, purchase_kwh=[1.0, 0.0], sale_kwh=[0.0, 0.25], price_eur_per_kwh=[0.15, 0.2],
            residual_kwh=None, green=True,
        ),
        "would take 1.000 kWh, give 0.250 kWh in 2 slots at 0.1500 to 0.2000 EUR/kWh",
    ),
    (
        bargain_bodies.BargainReport(
            session=0, round=1, rounds=17, **NET,
            trades=[
                bargain_bodies.AgreedTrade(
                    partner="house", slots=[1], purchase_kwh=[0.0], sale_kwh=[0.3], price_eur_per_kwh=[0.2]
                )
            ],
        ),
        "agreed in 17 rounds with house: buys 0.000 kWh, sells 0.300 kWh; "
        "takes 1.500 kWh, gives 0.000 kWh in 2 slots",
    ),
    (bodies.Acknowledged(), "taken in"),
    (bodies.DeliveryRequest(**SLOT, **INSTANTS), "what did the meter measure?"),
    (
        bodies.MeteredDelivery(grid_import_kwh=EXACT, grid_export_kwh=Decimal(0), quality="metered", **SLOT),
        "took 0.125 kWh, gave 0 kWh (metered)",
    ),
    (
        bodies.BillLine(
            local_purchase_kwh=EXACT, local_sale_kwh=EXACT, grid_import_kwh=EXACT, grid_export_kwh=EXACT,
            local_price_eur_per_kwh=EXACT, import_price_eur_per_kwh=EXACT, export_price_eur_per_kwh=EXACT,
            amount_eur=Decimal("-3"), quality="estimated", **SLOT,
        ),
        "pays -3 EUR: community 0.125 bought, 0.125 sold; grid 0.125 in, 0.125 out kWh (estimated)",
    ),
    (
        community_bodies.CommunityStatement(
            session=0, step=2, members=["school", "house"], demand_kwh=[1.0, 0.5], supply_kwh=[0.0, 0.25],
            price_eur_per_kwh=[0.15, 0.2], withdrawn=["house"],
        ),
        "step 2: our 2 members: takes 1.500 kWh, gives 0.250 kWh; "
        "proposes 0.1500 to 0.2000 EUR/kWh for the pool; alone again: house",
    ),
    (
        community_bodies.RelayedTrades(session=0, member="school", trades=[]),
        "school reports trades with none of yours",
    ),
    (
        community_bodies.MeteredExchange(demand_kwh=EXACT, supply_kwh=Decimal(0), contracts=[], **SLOT),
        "we took 0.125 kWh, gave 0 kWh; 0 contracts across",
    ),
    (
        community_bodies.ExchangeEnded(reason="was not heard in time", **SLOT),
        "we go on alone: was not heard in time",
    ),
    (community_bodies.ExchangeClosed(session=0, slots=[0, 1]), "settled together: 2 slots"),
    (bodies.SessionClosed(session=0, amount_eur=EXACT, last=True), "bill 0.125 EUR; the last session"),
    (bodies.MeterAttach(roles=["load", "pv"], source="CSV"), "take my load and pv readings (CSV)"),
    (bodies.MeterAttached(**SLOT), "readings taken from slot 5 on"),
    (bodies.MeterDetach(), "read your own meter again"),
    (bodies.MeteringEnded(), "no more readings needed"),
    (bodies.ReadingRequest(roles=["pv"], **SLOT, **INSTANTS), "pv, please"),
    (bodies.Reading(bt=0.0, e=[bodies.SenmlRecord(n="pv", v=0.25)], **SLOT), "pv 0.25 kWh"),
    (
        bodies.ReadingCorrection(
            bt=0.0,
            e=[bodies.SenmlRecord(n="grid_import", v=0.25), bodies.SenmlRecord(n="grid_export", v=0)],
            **SLOT,
        ),
        "correction: grid_import 0.25 kWh, grid_export 0 kWh",
    ),
    (
        bodies.DeliveryCorrection(
            grid_import_kwh=EXACT, grid_export_kwh=Decimal(0), quality="metered", **SLOT
        ),
        "correction: took 0.125 kWh, gave 0 kWh (metered)",
    ),
    (
        bodies.AdjustmentLine(
            settled_net_kwh=Decimal(1), corrected_net_kwh=EXACT, grid_import_kwh=Decimal("-0.875"),
            grid_export_kwh=Decimal(0), import_price_eur_per_kwh=EXACT, export_price_eur_per_kwh=EXACT,
            amount_eur=Decimal("-3"), quality="metered", **SLOT,
        ),
        "corrected from 1 to 0.125 kWh net: pays -3 EUR; grid -0.875 in, 0 out kWh more (metered)",
    ),
    (
        bodies.SetpointSubscribe(target="mqtt://h/t", dry_run=True),
        "tell me the battery's set-points (mqtt://h/t, dry run)",
    ),
    (bodies.SetpointCancel(), "no further set-points"),
    (
        bodies.Setpoint(charge_kw=1.5, discharge_kw=0, stored_kwh=6.25, **SLOT, **INSTANTS),
        "battery: charge 1.5 kW, to hold 6.250 kWh at the slot's end",
    ),
    (
        bodies.SetpointOutcome(
            outcome="written", charge_kw=0, discharge_kw=2, limited=True, wrote="t {}", reason="ramp", **SLOT
        ),
        "written: discharge 2 kW (less than wanted); ramp; t {}",
    ),
    (
        bodies.SetpointOutcome(outcome="returned", charge_kw=0, discharge_kw=0, reason="none came", **SLOT),
        "control returned; none came",
    ),
    (bodies.SetpointsEnded(), "no further set-points: the battery is its own again"),
]  # fmt: skip


def summary(body: str) -> str:
    envelope = Envelope("a@h", "b@h", Performative.INFORM, "market", "s", "1", body)
    return summarise(envelope, body_facts(envelope))


@pytest.mark.parametrize(("body", "expected"), SAID, ids=lambda case: getattr(case, "type", "")[:20])
def test_every_body_type_has_words(body: bodies.Body, expected: str) -> None:
    assert summary(body.to_json()) == expected


@pytest.mark.parametrize(
    ("amount_eur", "said"),
    [("-0.113079975000000000", "-0.113079975"), ("0E-9", "0"), ("-0E-9", "0"), ("1E+2", "100"), ("20", "20")],
)
def test_exact_numbers_are_said_in_full_and_without_what_they_do_not_need(amount_eur: str, said: str) -> None:
    body = bodies.SessionClosed(session=0, amount_eur=EXACT, last=True)
    assert (
        summary(body.to_json().replace('"0.125"', f'"{amount_eur}"')) == f"bill {said} EUR; the last session"
    )


def test_a_number_of_a_million_digits_is_not_written_out() -> None:
    assert plainly("1E+40") == "1" + 40 * "0"
    with pytest.raises(ArithmeticError):
        plainly("1E+1000000")


def test_no_body_type_is_left_out() -> None:
    types = {kind.model_fields["type"].default for kind in get_args(bodies.AnyBody)}
    assert types == set(SUMMARISERS) == {body.type for body, _ in SAID}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"type":"position","grid_import_kwh":"x"}', "grid_import_kwh x"),
        ('{"type":"session-closed"}', '{"type":"session-closed"}'),
        ('{"type":["a"],"n":{"k":1},"v":0.1234567}', "n {k}, v 0.123457"),
        ("no json", "no json"),
        ("[1]", "[1]"),
        ("x" * 500, "x" * 159 + "…"),
    ],
)
def test_unknown_or_broken_bodies_are_shown_as_they_are(body: str, expected: str) -> None:
    assert summary(body) == expected


def test_interrupted_log_is_shown_with_its_event(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "school.jsonl"
    MessageLog.open(path, "school").close()
    with path.open("ab") as file:
        file.write(b'{"seq":1,"a')
    MessageLog.open(path, "school").close()
    lines = CliRunner().invoke(app, [str(tmp_path), "--events"]).stdout.splitlines()
    assert [line.split()[4] for line in lines] == ["log-opened", "log-continued", "torn-line-removed"]
