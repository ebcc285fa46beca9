"""``peerwatt report``: from records to results, summary and clear errors."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from synthetic import make_run, save_run
from typer.testing import CliRunner

from coordinator.indicators.command import indicators, write_indicators
from runtime.cli.report import report
from runtime.cli.runs import find_run
from runtime.errors import InputError, PeerwattError
from runtime.results import write_results
from runtime.results.indicators import compute_indicators
from runtime.results.ledger import LedgerError
from runtime.results.reading import read_records
from runtime.results.summary import print_summary, summary

APP = typer.Typer()
APP.command()(report)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return save_run(
        tmp_path / "runs" / "day",
        *make_run(
            4,
            slots=24,
            slot_minutes=60,
            suspended=(10,),
            late=("office-2",),
            estimated=(("house-1", 3),),
            missing=(("school-3", 4), ("school-3", 5)),
        ),
    )


def test_report_by_name_writes_everything(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent.parent)
    done = CliRunner().invoke(APP, ["day", "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    assert {str(p.relative_to(run)) for p in run.rglob("*.*") if "records" not in p.parts} == set(
        result["files"]
    )
    assert "figures/figure-7-state-of-charge.png" in result["files"]
    assert {"bills.html", "bills/house-1.html"} <= set(result["files"])
    community, members = result["run"]["community"], result["run"]["members"]
    assert community["bill_eur"] == pytest.approx(sum(m["bill_eur"] for m in members.values()))
    assert any("office-2 (3 rounds)" in n for n in result["notices"])


def test_report_prints_tables_and_notices(run: Path) -> None:
    done = CliRunner().invoke(APP, [str(run), "--no-figures"], catch_exceptions=False)
    assert done.exit_code == 0
    assert not (run / "figures").exists()
    for words in (
        "house-1",
        "community",
        "saving",
        "[EUR]",
        "[kWh]",
        "self-sufficiency at the community's boundary",
    ):
        assert words in done.stdout, words
    text = " ".join(done.stdout.split())
    assert "! Energy estimated for want of meter readings: house-1 (1 slot)." in text
    assert "settled at the agreed position: school-3 (2 slots)." in text
    assert "suspended in 1 slot, the first at 2024-06-21 10:00" in text


@pytest.mark.parametrize(("setting", "told"), [("community", 1), ("pv-only", 0)])
def test_that_trade_was_suspended_is_told_only_where_there_is_trade(
    tmp_path: Path, setting: str, told: int
) -> None:
    path = save_run(
        tmp_path / "day", *make_run(4, slots=24, slot_minutes=60, suspended=(10,), setting=setting)
    )
    done = CliRunner().invoke(APP, [str(path), "--no-figures", "--json"], catch_exceptions=False)
    assert sum("suspended" in notice for notice in json.loads(done.stdout)["notices"]) == told


def test_reporting_again_changes_nothing(run: Path) -> None:
    write_indicators(run)
    write_results(run, figures=False)
    before = {p: p.read_bytes() for p in run.iterdir() if p.is_file()}
    assert {p.name for p in before} >= {"ledger.csv", "bills.csv", "results.sqlite", "indicators.json"}
    write_indicators(run)
    write_results(run, figures=False)
    assert before == {p: p.read_bytes() for p in run.iterdir() if p.is_file()}


def test_an_unbalanced_ledger_is_an_error_and_leaves_no_results(run: Path) -> None:
    write_indicators(run)
    path = run / "records" / "coordinator.json"
    record = json.loads(path.read_text())
    record["sessions"][0]["ledger"][0]["amount_eur"] += "1"
    path.write_text(json.dumps(record))
    with pytest.raises(LedgerError, match="session 0, slot"):
        write_results(run)
    assert not (run / "ledger.csv").exists()


def test_results_need_the_indicators_first(run: Path) -> None:
    with pytest.raises(InputError, match=r"indicators\.json: missing; `python -m coordinator indicators"):
        write_results(run)


def test_unknown_run_is_named_with_those_that_exist(run: Path) -> None:
    with pytest.raises(InputError, match=r"night: no such run.*: day"):
        find_run("night", run.parent)
    with pytest.raises(InputError, match="there are none"):
        find_run("night", run.parent / "nowhere")
    assert find_run("day", run.parent) == run
    assert find_run(str(run), Path("elsewhere")) == run


def test_a_run_that_has_not_ended_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"coordinator\.json: missing; the coordinator writes it when the run ends"
    ):
        report(str(tmp_path))


def test_a_damaged_record_is_named_with_its_field(run: Path) -> None:
    path = run / "records" / "members" / "house-1.json"
    record = json.loads(path.read_text())
    record["sessions"][0]["load_kwh"][7] = "much"
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"house-1\.json: sessions\.0\.load_kwh\.7: .*number"):
        report(str(run))


def test_why_indicators_could_not_be_computed_is_passed_on(run: Path) -> None:
    path = run / "records" / "coordinator.json"
    record = json.loads(path.read_text())
    del record["sessions"][0]["deliveries"][0]
    path.write_text(json.dumps(record))
    with pytest.raises(PeerwattError, match="slot 0 has no delivery of 'house-1'"):
        compute_indicators(run)


def printed(result: dict, width: int) -> str:
    out = io.StringIO()
    print_summary(result, Console(file=out, width=width))
    return out.getvalue()


def test_numbers_are_never_cut_and_zero_has_no_minus() -> None:
    coordinator, members = make_run(4, slots=24, slot_minutes=60)
    result = summary(coordinator, indicators(coordinator, members))
    result["run"]["members"]["consumer-4"] |= {"load_kwh": 123456789012345.8, "alone_cost_eur": 1.2151}
    narrow = [line for line in printed(result, 80).splitlines() if "123456789012345.8" in line]
    assert len(narrow) == 1
    assert narrow[0].startswith("consumer… "), "the name gives way"
    assert "0.0%" in narrow[0]
    assert "-0.00" not in narrow[0]
    assert " 0.00 " in narrow[0]
    assert "consumer-4 " in printed(result, 120)


def test_a_saving_is_the_difference_of_the_two_figures_beside_it() -> None:
    coordinator, members = make_run(4, slots=24, slot_minutes=60)
    result = summary(coordinator, indicators(coordinator, members))
    # 78.364 alone and 76.2375 to pay, of which the bill in whole cents is 76.24
    result["run"]["members"]["consumer-4"] |= {
        "alone_cost_eur": 78.364,
        "billed_eur": 76.24,
        "saving_eur": 2.1265,
    }
    row = next(line for line in printed(result, 120).splitlines() if line.startswith("consumer-4"))
    assert row.split()[5:8] == ["78.36", "76.24", "+2.12"]


@pytest.mark.parametrize(
    ("stored_change_kwh", "said"), [(-4.0, True), (-0.4, False), (4.0, False), (None, False)]
)
def test_batteries_that_end_emptier_are_a_notice(stored_change_kwh: float | None, said: bool) -> None:
    coordinator, members = make_run(4, slots=24, slot_minutes=60)
    computed = indicators(coordinator, members)
    computed["run"]["community"] |= {
        "import_kwh": 37.2,
        "export_kwh": 14.3,
        "stored_change_kwh": stored_change_kwh,
    }
    found = [n for n in summary(coordinator, computed)["notices"] if "4.0 kWh less than they began" in n]
    assert bool(found) == said
    assert not said or "soc_end_min" in found[0]


def test_what_has_no_meaning_is_a_dash() -> None:
    coordinator, members = make_run(4, slots=24, slot_minutes=60, setting="pv-only")
    text = printed(summary(coordinator, indicators(coordinator, members)), 100)
    assert text.startswith(f"{coordinator.community}: pv-only ")  # where nobody trades no mechanism counts
    assert "–" in next(line for line in text.splitlines() if "mean price of local trade" in line)
    assert "nan" not in text.lower()


def test_a_member_without_a_record_file_is_left_out(run: Path) -> None:
    (run / "records" / "members" / "school-3.json").unlink()
    assert list(read_records(run)[1]) == ["house-1", "office-2", "consumer-4"]
    assert write_indicators(run)["run"]["members"]["school-3"]["saving_eur"] is None
    assert any("school-3" in notice for notice in write_results(run, figures=False)["notices"])


def test_members_without_record_absent_or_worse_off_are_noticed() -> None:
    coordinator, members = make_run(4, slots=24, slot_minutes=60)
    richer = members["house-1"].sessions[0].model_copy(update={"alone_net_kwh": [-9.0] * 24})
    members["house-1"] = members["house-1"].model_copy(update={"sessions": [richer]})
    notices = summary(coordinator, indicators(coordinator, members))["notices"]
    assert notices == ["Pay more than alone: house-1."]
    del members["school-3"]
    coordinator = coordinator.model_copy(update={"absent": ["ghost"]})
    notices = summary(coordinator, indicators(coordinator, members))["notices"]
    assert notices[0] == "Never joined: ghost."
    assert "school-3" in notices[1]


@settings(max_examples=20, deadline=None)
@given(members=st.integers(1, 10), seed=st.integers(0, 10_000), sessions=st.integers(1, 2))
def test_indicators_of_any_settled_community(members: int, seed: int, sessions: int) -> None:
    coordinator, own = make_run(members, sessions, slots=24, slot_minutes=60, seed=seed)
    run = indicators(coordinator, own)["run"]
    community = run["community"]
    # with the feed-in tariff below the import tariff everywhere, netting pays and nobody loses
    assert community["members_worse_off"] == 0
    assert community["bill_eur"] <= community["metered_cost_eur"] + 1e-6
    assert community["local_sale_kwh"] == pytest.approx(
        community["import_kwh"] - community["boundary_import_kwh"], abs=1e-6
    )
    assert community["local_sale_kwh"] == pytest.approx(
        community["export_kwh"] - community["boundary_export_kwh"], abs=1e-6
    )
    at_meters, at_boundary = community["self_sufficiency"], community["boundary_self_sufficiency"]
    assert at_meters is not None
    assert at_meters <= at_boundary + 1e-9 <= 1 + 2e-9
    for values in run["members"].values():
        assert values["bill_eur"] == pytest.approx(values["billed_eur"], abs=0.0101 * sessions)
        assert values["peak_import_kw"] >= 0
        assert values["load_factor"] is None or 0 < values["load_factor"] <= 1
