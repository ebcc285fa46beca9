"""The paper's case: read from the authors' files, its energies and costs without any battery."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from runtime.scenario import resolve
from runtime.scenario.resolved import ResolvedScenario

DATA = Path(os.environ.get("PEERWATT_LORIENT", Path(__file__).parents[2].parent / "shared" / "lorient"))


@pytest.fixture(scope="module")
def lorient() -> ResolvedScenario:
    return resolve("lorient", DATA)


def test_the_day_is_the_papers(lorient: ResolvedScenario) -> None:
    (horizon,) = lorient.horizons
    assert (horizon.slots, horizon.slot_minutes, horizon.local(0).isoformat()) == (
        144,
        10,
        "2020-01-02T00:00:00+00:00",
    )
    batteries = [lorient.member_config(name).battery for name in lorient.members]
    assert [(b.capacity_kwh, b.soc_min, b.soc_max, b.soc_start) for b in batteries] == [
        (capacity, 0.2, 0.8, 0.5) for capacity in (3.99, 2.98, 29.4, 18.83)
    ]


def test_imports_and_costs_with_photovoltaics_only(lorient: ResolvedScenario) -> None:
    """Energy is power times slot length; eq. 1 with feed-in revenue, eq. 4."""
    expected = {
        "building-1": (261.526633, 15.299497),
        "building-2": (2016.020301, 120.139689),
        "building-3": (637.825965, 37.909757),
        "building-4": (273.661118, 16.108872),
    }
    import_price = np.array([float(price) for price in lorient.import_price_eur_per_kwh[0]])
    export_price = np.array([float(price) for price in lorient.export_price_eur_per_kwh[0]])
    totals = np.zeros(2)
    for name, (import_kwh, cost_eur) in expected.items():
        config = lorient.member_config(name)
        session = config.sessions[0]
        pv_kwh = np.array(session.ghi_w_per_m2) * config.pv.area_m2 * config.pv.efficiency / 1000 / 6
        net_kwh = np.array(session.load_kwh) - pv_kwh
        imported, exported = np.maximum(net_kwh, 0), np.maximum(-net_kwh, 0)
        cost = imported @ import_price - exported @ export_price
        assert imported.sum() == pytest.approx(import_kwh, abs=1e-6)
        assert cost == pytest.approx(cost_eur, abs=1e-6)
        totals += imported.sum(), cost
    assert totals == pytest.approx([3189.034017, 189.457816], abs=1e-6)


def test_slots_in_which_the_grid_pays_more_than_it_asks(lorient: ResolvedScenario) -> None:
    assert lorient.export_above_import_slots() == [[5, 17, 77, 81, 82, 83, 137, 143]]
