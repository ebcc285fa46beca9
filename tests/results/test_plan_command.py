"""``peerwatt plan`` as a person uses it: what is planned, tables, pictures, the command, errors."""

from __future__ import annotations

import csv
import json
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from agents.planning.command import answer
from runtime.cli import main
from runtime.cli.plan import show
from runtime.planned import PlanAnswer, PlanRequest
from runtime.preferences import BatteryAgeing, Preference
from runtime.results.plan_figures import write_plan_figures
from runtime.results.plan_tables import FRONT_COLUMNS, PLAN_COLUMNS, write_plan_tables
from runtime.scenario.resolve import resolve
from tests.scenario.scenarios import write

SUN = "values = [0,0,0,0,0,0,1,2,4,6,8,9,9,8,6,4,2,1,0,0,0,0,0,0]"
CHANGES = (
    ("production = { constant = 1.0", f"production = {{ {SUN}"),
    (
        "import = 0.25",
        'import = [{ from = "06:00", to = "22:00", price_eur_per_kwh = 0.3 },'
        ' { from = "22:00", to = "06:00", price_eur_per_kwh = 0.15 }]',
    ),
)


def peerwatt(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["peerwatt", *map(str, arguments)])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return write(tmp_path, *CHANGES)


def request(scenario: Path, member: str = "school", **fields: object) -> PlanRequest:
    resolved = resolve(scenario)
    return PlanRequest(
        **{
            "member": resolved.member_config(member),
            "session": 0,
            "import_price_eur_per_kwh": [float(p) for p in resolved.import_price_eur_per_kwh[0]],
            "export_price_eur_per_kwh": [float(p) for p in resolved.export_price_eur_per_kwh[0]],
            "objectives": ["cost"],
            "ageing": BatteryAgeing(),
            **fields,
        }
    )


def test_a_plan_adds_up(scenario: Path) -> None:
    found = answer(request(scenario))
    (plan,) = found.plans
    assert found.shown is plan
    assert found.certified_loss == pytest.approx(0, abs=1e-9)
    assert plan.cost_eur < found.idle.cost_eur
    prices = zip(found.import_price_eur_per_kwh, found.export_price_eur_per_kwh, strict=True)
    cost = sum(
        net * (buy if net > 0 else sell) for net, (buy, sell) in zip(plan.net_kwh, prices, strict=True)
    )
    assert plan.cost_eur == pytest.approx(cost)
    assert plan.peak_import_kw == pytest.approx(max(plan.net_kwh))  # slots of an hour
    slots = zip(plan.net_kwh, plan.battery_kwh, found.load_kwh, found.pv_kwh, strict=True)
    assert all(net + battery == pytest.approx(load - pv) for net, battery, load, pv in slots)
    assert found.self_sufficiency(plan) == pytest.approx(1 - plan.grid_import_kwh / 96)


def test_each_wish_is_met_better_than_by_the_cheapest_plan(scenario: Path) -> None:
    cheapest = answer(request(scenario)).plans[0]
    peak = answer(request(scenario, objectives=["peak"])).plans[0]
    assert peak.peak_import_kw < cheapest.peak_import_kw - 0.1
    front = answer(request(scenario, objectives=["cost", "peak"], front=True))
    assert peak.peak_import_kw == pytest.approx(front.plans[-1].peak_import_kw, rel=1e-4)
    ageing = BatteryAgeing(replacement_eur_per_kwh=600)
    dear = request(scenario, objectives=["cost", "wear"], ageing=ageing)
    worn = answer(dear).plans[0]
    ignoring = answer(request(scenario, ageing=ageing)).plans[0]
    assert worn.cost_eur + worn.wear_eur < ignoring.cost_eur + ignoring.wear_eur
    knee = answer(request(scenario, objectives=["cost", "peak"])).plans[0]
    assert cheapest.cost_eur <= knee.cost_eur <= peak.cost_eur
    assert peak.peak_import_kw <= knee.peak_import_kw <= cheapest.peak_import_kw


def test_a_front_with_a_choice(scenario: Path, tmp_path: Path) -> None:
    found = answer(
        request(scenario, objectives=["cost", "peak"], front=True, preference=Preference(weights={"peak": 1}))
    )
    assert len(found.plans) > 5
    for earlier, later in pairwise(found.plans):
        assert earlier.cost_eur < later.cost_eur
        assert earlier.peak_import_kw > later.peak_import_kw
    assert found.chosen == len(found.plans) - 1
    names = {path.name for path in write_plan_tables(tmp_path, found) + write_plan_figures(tmp_path, found)}
    assert names == {"plan.csv", "front.csv", "plan.png", "plan.svg", "front.png", "front.svg"}
    with (tmp_path / "front.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == FRONT_COLUMNS
    assert [row["plan"] for row in rows if row["chosen"] == "1"] == [str(len(rows))]
    assert [float(row["peak_import_kw"]) for row in rows] == [p.peak_import_kw for p in found.plans]
    assert "peak import [kW]" in (tmp_path / "front.svg").read_text()


def test_a_front_of_one_plan_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Flat tariffs, feed-in below them, always surplus: charging from it is best in everything.
    flat = write(tmp_path, ("production = { constant = 1.0", "production = { constant = 0.5"))
    found = answer(request(flat, objectives=["cost", "import"], front=True))
    assert len(found.plans) == 1
    show(found)
    text = " ".join(capsys.readouterr().out.split())
    assert "front is a single plan: it is the best in cost and import at once" in text
    show(answer(request(write(tmp_path, *CHANGES), objectives=["cost", "peak"], front=True)))
    assert "single plan" not in capsys.readouterr().out


def test_the_table_of_a_plan_has_pairs_and_charge(scenario: Path, tmp_path: Path) -> None:
    found = answer(request(scenario))
    assert [path.name for path in write_plan_tables(tmp_path, found)] == ["plan.csv"]
    with (tmp_path / "plan.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == PLAN_COLUMNS
    assert rows[0]["start"] == "2024-06-18T00:00:00+02:00"
    for row, net, stored in zip(rows, found.plans[0].net_kwh, found.plans[0].stored_energy_kwh, strict=True):
        assert float(row["grid_import_kwh"]) - float(row["grid_export_kwh"]) == pytest.approx(net)
        assert min(float(row["grid_import_kwh"]), float(row["grid_export_kwh"])) == 0
        assert float(row["soc"]) == pytest.approx(stored / 10)


def test_the_same_plan_is_drawn_the_same(scenario: Path, tmp_path: Path) -> None:
    found = answer(request(scenario))
    for folder in ("a", "b"):
        write_plan_figures(tmp_path / folder, found)
    assert (tmp_path / "a" / "plan.svg").read_bytes() == (tmp_path / "b" / "plan.svg").read_bytes()


def test_the_command_prints_json_and_writes_where_it_is_told(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert peerwatt(monkeypatch, "plan", scenario, "--member", "school", "--json") == 0
    found = PlanAnswer.model_validate(json.loads(capsys.readouterr().out))
    assert found == answer(request(scenario))
    assert not (tmp_path / "plans").exists()
    arguments = ["plan", scenario, "--member", "school", "--front", "--objectives", "cost,peak", "--knee"]
    assert peerwatt(monkeypatch, *arguments) == 0
    printed = capsys.readouterr().out
    assert "front of cost, peak" in printed
    assert printed.count("chosen") == 1
    assert (tmp_path / "plans" / "scenario" / "school" / "front.png").stat().st_size > 10_000


def test_a_member_without_a_battery(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert peerwatt(monkeypatch, "plan", scenario, "--member", "house", "--front", "--out", out) == 0
    assert "no battery" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {"plan.csv", "plan.png", "plan.svg"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--member", "nobody"], "expected one of house, school"),
        (["--member", "school", "--session", "2"], "--session: found 2, expected 1 to 1"),
        (["--member", "school", "--objectives", "cost,speed"], "different ones of cost, import, peak, wear"),
        (["--member", "school", "--weights", "cost"], "found 'cost', expected such as cost=2"),
        (["--member", "school", "--weights", "cost=-1"], "weights.cost: found -1.0, expected at least 0"),
        (["--member", "school", "--weights", "cost=1", "--knee"], "expected one of the two"),
        (["--member", "school", "--cycle-life", "0"], "--cycle-life: found 0.0, expected a number greater"),
        (["--member", "school", "--front", "--objectives", "cost"], "expected two or more for a front"),
        (["--member", "school", "--front", "--setting", "pv-battery-rule"], "found strategy 'rule'"),
        (["--member", "school", "--objectives", "cost,peak", "--weights", "wear=1"], "found wear, expected"),
    ],
)
def test_bad_input_is_named(
    scenario: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    assert peerwatt(monkeypatch, "plan", scenario, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
