"""The paper's case through the whole fleet: to the cent where the paper's scenarios are known exactly."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from contextlib import ExitStack, closing
from decimal import Decimal
from pathlib import Path

import pytest

from tests.end_to_end.fleets import call, cost_eur, fleet, grid_import_kwh, ledger_of

BUILDINGS = ["building-1", "building-2", "building-3", "building-4"]

# Cost [EUR] and import [kWh] by building, then in all, computed from the paper's equations 1 to 11 in units
# put right (capacities in kWh, loads in W) and a feed-in tariff of 0.035 EUR/kWh.
PV_ONLY = {
    "cost": ["15.299497", "120.139689", "37.909757", "16.108872", "189.457816"],
    "import": ["261.526633", "2016.020301", "637.825965", "273.661118", "3189.034017"],
}
PV_BATTERY_RULE = {
    "cost": ["15.201283", "120.066337", "37.268007", "15.724109", "188.259736"],
    "import": ["260.329633", "2015.126301", "629.005965", "268.012118", "3172.474017"],
}
TOLERANCE = Decimal("1e-6")


@pytest.fixture(scope="module")
def runs(lorient_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of every setting, and the community's once more; two at a time."""
    folder = tmp_path_factory.mktemp("lorient")
    pairs = [["pv-only", "pv-battery-rule"], ["community", "community-again"], ["pv-battery-optimised"]]
    for names in pairs:
        with ExitStack() as stack:
            started = [
                stack.enter_context(
                    fleet(
                        "lorient",
                        folder,
                        *("--data", lorient_folder, "--setting", name.removesuffix("-again"), "--json"),
                        name=name,
                    )
                )
                for name in names
            ]
            for run in started:
                run.succeed()
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize(("setting", "known"), [("pv-only", PV_ONLY), ("pv-battery-rule", PV_BATTERY_RULE)])
def test_the_papers_scenarios_cost_and_import_what_the_equations_say(
    runs: dict[str, Path], setting: str, known: dict[str, list[str]]
) -> None:
    run = runs[setting]
    indicators = json.loads((run / "indicators.json").read_bytes())["run"]
    for member, cost, imported in zip([*BUILDINGS, None], known["cost"], known["import"], strict=True):
        assert abs(cost_eur(run, member) - Decimal(cost)) <= TOLERANCE, member
        assert abs(grid_import_kwh(run, member) - Decimal(imported)) <= TOLERANCE, member
        told = indicators["members"][member] if member else indicators["community"]
        assert told["bill_eur"] == pytest.approx(float(cost), abs=1e-6)
        assert told["import_kwh"] == pytest.approx(float(imported), abs=1e-6)


def test_own_plans_beat_the_rule_on_every_member_with_a_battery(runs: dict[str, Path]) -> None:
    for member in BUILDINGS:
        gain_eur = cost_eur(runs["pv-battery-rule"], member) - cost_eur(runs["pv-battery-optimised"], member)
        assert gain_eur > Decimal("0.1"), member


def test_the_community_pays_less_than_its_members_alone(runs: dict[str, Path]) -> None:
    assert cost_eur(runs["community"]) < cost_eur(runs["pv-battery-optimised"])
    indicators = json.loads((runs["community"] / "indicators.json").read_bytes())["run"]
    assert indicators["community"]["saving_eur"] > 0


def test_the_share_of_the_achievable_saving_is_told_against_the_coordinated_optimum(
    runs: dict[str, Path],
) -> None:
    for name, least in (("community", 0.3), ("pv-battery-optimised", -1e-3)):
        told = json.loads((runs[name] / "indicators.json").read_bytes())["run"]["community"]
        assert told["optimum_cost_eur"] == pytest.approx(170.774030, abs=1e-5)
        saved = told["alone_cost_eur"] - told["bill_eur"]
        assert told["score"] == pytest.approx(saved / (told["alone_cost_eur"] - 170.774030), abs=1e-5)
        assert told["score"] >= least
        # at the least what every round and every slot takes
        assert told["messages"] >= 2 * 4 * 144
        assert told["disclosed_numbers_per_slot"] >= 1


def test_the_same_scenario_and_seed_twice_gives_the_same_bytes(runs: dict[str, Path]) -> None:
    for name in ("ledger.csv", "bills.csv"):
        assert (runs["community"] / name).read_bytes() == (runs["community-again"] / name).read_bytes()


@pytest.mark.parametrize("setting", ["community", "pv-battery-optimised"])
def test_members_pay_what_the_community_pays_the_grid_to_the_last_decimal(
    runs: dict[str, Path], setting: str
) -> None:
    balance: dict[str, Decimal] = defaultdict(Decimal)
    community_by_slot: dict[str, Decimal] = defaultdict(Decimal)
    for row in ledger_of(runs[setting]):
        energy_kwh, price, amount = (
            Decimal(row[key]) for key in ("energy_kwh", "price_eur_per_kwh", "amount_eur")
        )
        assert amount == energy_kwh * price
        for account, sign in ((row["debit"], 1), (row["credit"], -1)):
            balance[account] += sign * amount
            if account == "community":
                community_by_slot[row["slot"]] += sign * amount
    assert set(balance) == {"grid", *(f"member:{name}" for name in BUILDINGS)} | (
        {"community"} if setting == "community" else set()
    )
    assert all(amount == 0 for amount in community_by_slot.values())
    members = sum((balance[f"member:{name}"] for name in BUILDINGS), Decimal(0))
    assert members == -balance["grid"]
    assert members == cost_eur(runs[setting])


def test_bills_add_up_to_the_ledger_and_the_database_says_the_same(runs: dict[str, Path]) -> None:
    run = runs["community"]
    with closing(sqlite3.connect(run / "results.sqlite")) as database:
        bills = database.execute("select member, exact_eur, amount_eur from bills").fetchall()
    assert [member for member, _, _ in bills] == BUILDINGS
    for member, exact, amount in bills:
        assert Decimal(exact) == cost_eur(run, member)
        assert abs(Decimal(exact) - Decimal(amount)) < Decimal("0.01")
    total = sum((Decimal(amount) for _, _, amount in bills), Decimal(0))
    assert abs(total - cost_eur(run)) <= Decimal("0.005")


def test_all_that_was_said_arrived_once(runs: dict[str, Path]) -> None:
    checked = call("messages", runs["community"], "--verify")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "unchanged" in checked.stdout
