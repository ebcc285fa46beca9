"""Figures: the right ones for each setting, drawn from the right numbers."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from synthetic import make_run

from runtime.results.figures import PANELS, write_figures
from runtime.results.series import community_series, member_series, time_axis


@pytest.mark.parametrize(
    ("setting", "stems"),
    [
        ("pv-only", ["figure-3-consumption-production-import"]),
        ("pv-battery-rule", ["figure-4-consumption-production-import", "figure-5-state-of-charge"]),
        ("pv-battery-optimised", ["figure-6-consumption-production-import", "figure-7-state-of-charge"]),
        ("community", ["figure-6-consumption-production-import", "figure-7-state-of-charge"]),
    ],
)
def test_each_setting_has_the_papers_figures(tmp_path: Path, setting: str, stems: list[str]) -> None:
    coordinator, members = make_run(4, slots=24, slot_minutes=60, setting=setting)
    files = write_figures(tmp_path / "figures", coordinator, members)
    expected = {f"{s}.{kind}" for s in [*stems, "figure-prices-and-exchange"] for kind in ("png", "svg")}
    assert {f.name for f in files} == expected == {f.name for f in (tmp_path / "figures").iterdir()}
    for file in files:
        content = file.read_bytes()
        assert content.startswith(b"\x89PNG" if file.suffix == ".png" else b"<?xml")
    text = (tmp_path / "figures" / f"{stems[0]}.svg").read_text()
    for word in (
        "house-1",
        "consumer-4",
        "production",
        "mean power in the slot [kW]",
        "12:00",
        "Europe/Paris",
    ):
        assert word in text, word


def test_figures_name_every_member_of_a_large_community(tmp_path: Path) -> None:
    coordinator, members = make_run(PANELS + 6, slots=6, slot_minutes=240)
    files = write_figures(tmp_path, coordinator, members)
    text = next(f for f in files if f.name == "figure-6-consumption-production-import.svg").read_text()
    assert all(name in text for name in coordinator.members)
    assert "net at the meter [kW]" in text


def test_the_same_run_gives_the_same_pictures(tmp_path: Path) -> None:
    coordinator, members = make_run(2, slots=12, slot_minutes=120)
    first = write_figures(tmp_path / "a", coordinator, members)
    second = write_figures(tmp_path / "b", coordinator, members)
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_a_run_without_settled_slots_draws_nothing(tmp_path: Path) -> None:
    coordinator, members = make_run(2, slots=12, slot_minutes=120)
    empty = coordinator.sessions[0].model_copy(update={"deliveries": [], "ledger": []})
    coordinator = coordinator.model_copy(update={"sessions": [empty]})
    assert write_figures(tmp_path / "figures", coordinator, members) == []


def test_a_member_without_a_record_is_drawn_without_its_load(tmp_path: Path) -> None:
    coordinator, members = make_run(3, slots=12, slot_minutes=120)
    del members["office-2"]
    office = member_series(coordinator, members)[1]
    assert np.isnan(office.load_kw).all()
    assert not np.isnan(office.net_kw).any()
    assert office.soc is None
    assert len(write_figures(tmp_path, coordinator, members)) == 6


def test_series_are_mean_power() -> None:
    coordinator, members = make_run(3, slots=96, slot_minutes=15, missing=(("house-1", 5),))
    house = member_series(coordinator, members)[0]
    own = members["house-1"].sessions[0]
    assert house.load_kw == pytest.approx(4 * np.array(own.load_kwh))
    assert house.pv_kw == pytest.approx(4 * np.array(own.pv_kwh))
    assert house.net_kw == pytest.approx(4 * np.array(own.net_kwh), abs=1e-8)
    assert house.soc == pytest.approx(np.array(own.stored_kwh) / 5.0)
    assert list(np.flatnonzero(house.unmetered)) == [5]


def test_exchange_of_the_community_balances_and_shows_the_settled_price() -> None:
    coordinator, members = make_run(5, slots=24, slot_minutes=60, suspended=(12,))
    community = community_series(coordinator)
    net = sum(s.net_kw for s in member_series(coordinator, members))
    assert community.import_kw - community.export_kw == pytest.approx(net, abs=1e-8)
    traded = community.local_kw > 0
    assert traded.any()
    assert not traded[12]
    assert community.suspended[12]
    middle = (community.grid_import_price_eur_per_kwh + community.grid_export_price_eur_per_kwh) / 2
    assert community.local_price_eur_per_kwh[traded] == pytest.approx(middle[traded])
    assert np.isnan(community.local_price_eur_per_kwh[~traded]).all()


def test_days_months_apart_are_drawn_side_by_side(tmp_path: Path) -> None:
    coordinator, members = make_run(2, 2, slots=24, slot_minutes=60)
    assert time_axis(coordinator).breaks_hours == [], "the second day follows the first"
    winter = coordinator.sessions[1].horizon.model_copy(
        update={"start": datetime(2024, 12, 20, tzinfo=ZoneInfo("Europe/Paris"))}
    )
    second = coordinator.sessions[1].model_copy(update={"horizon": winter})
    coordinator = coordinator.model_copy(update={"sessions": [coordinator.sessions[0], second]})
    axis = time_axis(coordinator)
    assert axis.breaks_hours == [24.0]
    assert axis.edges_hours[-1] == 48.0
    files = write_figures(tmp_path, coordinator, members)
    text = next(f for f in files if f.suffix == ".svg").read_text()
    assert "21 Jun" in text
    assert "20 Dec" in text


@pytest.mark.parametrize(("apart", "lines"), [(0.0, 1), (0.02, 2)])
def test_agreed_prices_that_are_one_are_one_line(tmp_path: Path, apart: float, lines: int) -> None:
    coordinator, members = make_run(4, slots=24, slot_minutes=60)
    for session in coordinator.sessions:
        taken = session.agreed_import_price_eur_per_kwh
        session.agreed_export_price_eur_per_kwh[:] = [price - apart for price in taken]
    write_figures(tmp_path, coordinator, members)
    text = (tmp_path / "figure-prices-and-exchange.svg").read_text()
    assert ("agreed among members" in text) == (lines == 1)
    assert ("agreed: for energy taken" in text) == (lines == 2)
