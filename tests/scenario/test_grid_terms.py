"""Local fee, connection limit and demand charge, from the scenario to what the coordinator is told."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from runtime.grid_terms import GridTerms, mean_power_kw
from runtime.scenario.resolve import resolve
from runtime.scenario.summary import notices
from tests.scenario.scenarios import refusal, write
from tests.scenario.test_new_and_check import peerwatt

TARIFF = "export = 0.10\n"
ALL = """demand_charge_eur_per_kw = 0.25
[grid]
local_fee_eur_per_kwh = 0.015
import_limit_kw = 4.5
export_limit_kw = 0
excess_price_eur_per_kwh = 0.8
"""


def with_grid(folder: Path, text: str) -> Path:
    return write(folder, (TARIFF, TARIFF + text))


def test_the_coordinator_is_told_exactly(tmp_path: Path) -> None:
    (session,) = resolve(with_grid(tmp_path, ALL)).coordinator_config().sessions
    assert session.grid == GridTerms(
        local_fee_eur_per_kwh=Decimal("0.015"),
        import_limit_kw=Decimal("4.5"),
        export_limit_kw=Decimal(0),
        excess_price_eur_per_kwh=Decimal("0.8"),
        demand_charge_eur_per_kw=Decimal("0.25"),
    )


def test_without_the_table_the_grid_asks_nothing_more(tmp_path: Path) -> None:
    (session,) = resolve(write(tmp_path)).coordinator_config().sessions
    assert session.grid == GridTerms()


def test_alone_only_the_demand_charge_counts(tmp_path: Path) -> None:
    resolved = resolve(with_grid(tmp_path, ALL), setting="pv-only")
    (session,) = resolved.coordinator_config().sessions
    assert session.grid == GridTerms(demand_charge_eur_per_kw=Decimal("0.25"))
    assert any("do not apply" in notice for notice in notices(resolved))


def test_a_limit_without_a_price_has_one_that_is_stated(tmp_path: Path) -> None:
    resolved = resolve(with_grid(tmp_path, "[grid]\nimport_limit_kw = 4\n"))
    assert resolved.grid_terms.excess_price_eur_per_kwh == 1
    assert any("charged at 1 EUR/kWh" in notice for notice in notices(resolved))
    assert not notices(resolve(with_grid(tmp_path, ALL)))


def test_a_fee_above_what_trade_spares_suspends_it_and_check_says_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = with_grid(tmp_path, "[grid]\nlocal_fee_eur_per_kwh = 0.15\n")
    assert resolve(path).suspended_slots() == [[]]
    path = with_grid(tmp_path, "[grid]\nlocal_fee_eur_per_kwh = 0.150000001\n")
    assert resolve(path).suspended_slots() == [list(range(24))]
    assert peerwatt(monkeypatch, "check", path) == 0
    assert "24 of 24 slots (at 00:00, 01:00, 02:00, 03:00, ...) what neighbours spare" in " ".join(
        capsys.readouterr().out.split()
    )


def test_check_says_what_the_grid_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = with_grid(tmp_path, ALL)
    assert peerwatt(monkeypatch, "check", path) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Local fee: 0.015 EUR on each kWh" in out
    assert "Connection: at most 4.5 kW in and 0 kW out; 0.8 EUR/kWh above" in out
    assert "Demand charge: 0.25 EUR/kW" in out
    assert peerwatt(monkeypatch, "check", path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["grid"] == {
        "local_fee_eur_per_kwh": 0.015,
        "import_limit_kw": 4.5,
        "export_limit_kw": 0.0,
        "excess_price_eur_per_kwh": 0.8,
        "demand_charge_eur_per_kw": 0.25,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[grid]\nlocal_fee_eur_per_kwh = -0.1\n", ["grid.local_fee_eur_per_kwh", "found -0.1"]),
        ("[grid]\nlocal_fee_eur_per_kwh = 20\n", ["grid.local_fee_eur_per_kwh", "found 20", "10"]),
        ("[grid]\nimport_limit_kw = -1\n", ["grid.import_limit_kw", "found -1"]),
        ("[grid]\nimport_limit_kw = inf\n", ["grid.import_limit_kw", "found inf", "finite"]),
        ("[grid]\nexcess_price_eur_per_kwh = 1\n", ["grid: excess_price_eur_per_kwh", "without a limit"]),
        ("[grid]\nimport_limit = 1\n", ["grid.import_limit: unknown key", "'import_limit_kw'"]),
        ("demand_charge_eur_per_kw = -1\n", ["tariff.demand_charge_eur_per_kw", "found -1"]),
    ],
)
def test_what_will_not_do_is_refused(tmp_path: Path, text: str, words: list[str]) -> None:
    message = refusal(with_grid(tmp_path, text))
    for word in words:
        assert word in message


def test_limits_and_powers_are_turned_exactly_to_a_step() -> None:
    terms = GridTerms(import_limit_kw=Decimal(10), export_limit_kw=Decimal("0.000000001"))
    assert terms.import_limit_kwh(15) == Decimal("2.5")
    assert terms.import_limit_kwh(10) == Decimal("1.666666667")
    assert terms.export_limit_kwh(30) == 0  # half a step, to even
    assert GridTerms().import_limit_kwh(15) is None
    assert mean_power_kw(Decimal("2.5"), 15) == 10
    assert mean_power_kw(Decimal("1"), 7) == Decimal("8.571428571")
    assert GridTerms(local_fee_eur_per_kwh=Decimal("1e-9")).meter_fee_eur_per_kwh == Decimal("5e-10")
