"""The paper's numbers to the digit by its own accounting, and the corrected ones; each slip by itself."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from agents.devices.battery import rule_trajectory
from runtime.devices import Battery
from runtime.replication.accounting import (
    ALONE,
    CORRECTED,
    PUBLISHED,
    STEPS,
    Accounting,
    Counted,
    count,
    simulated_day,
)
from runtime.replication.paper_case import TABLE_III, FloatArray, PaperCase, PaperScenario, read_case
from runtime.replication.storage import building_days


@pytest.fixture(scope="module")
def case(lorient_folder: Path) -> PaperCase:
    return read_case(lorient_folder)[1]


def by_rule(case: PaperCase, accounting: Accounting) -> FloatArray:
    return np.array(
        [
            rule_trajectory(np.array(day.load_kwh) - np.array(day.pv_kwh), day.battery, day.slot_hours)
            for day in building_days(case, accounting, "pv-battery-rule")
        ]
    ).T


def counted(case: PaperCase, accounting: Accounting, scenario: PaperScenario) -> Counted:
    stored = by_rule(case, accounting) if scenario == "pv-battery-rule" else None
    day = simulated_day(case, accounting, stored)
    return count(day, accounting, accounting.feed_in_eur_per_kwh(scenario))


@pytest.mark.parametrize(
    ("scenario", "index_percent", "cost_eur"),
    [("pv-only", 21.935837, 154.527500), ("pv-battery-rule", 23.817573, 152.702762)],
)
def test_published_accounting_gives_the_published_numbers(
    case: PaperCase, scenario: PaperScenario, index_percent: float, cost_eur: float
) -> None:
    found = counted(case, PUBLISHED, scenario)
    assert found.self_sufficiency_percent == pytest.approx(index_percent, abs=1e-6)
    assert found.cost_eur == pytest.approx(cost_eur, abs=1e-6)
    # the paper cuts 23.8176 to 23.81
    assert abs(found.self_sufficiency_percent - TABLE_III[scenario].index_percent) < 0.01
    assert abs(found.cost_eur - TABLE_III[scenario].cost_eur) <= 0.005


@pytest.mark.parametrize(
    ("scenario", "self_sufficiency_percent", "cost_eur", "import_kwh"),
    [
        ("pv-only", 3.986302, 189.457816, 3189.034017),
        ("pv-battery-rule", 4.484882, 188.259736, 3172.474017),
    ],
)
def test_corrected_accounting_gives_what_the_equations_say(
    case: PaperCase,
    scenario: PaperScenario,
    self_sufficiency_percent: float,
    cost_eur: float,
    import_kwh: float,
) -> None:
    found = counted(case, CORRECTED, scenario)
    assert found.self_sufficiency_percent == pytest.approx(self_sufficiency_percent, abs=1e-6)
    assert found.cost_eur == pytest.approx(cost_eur, abs=1e-6)
    assert found.import_kwh == pytest.approx(import_kwh, abs=1e-6)


# Worked out by an independent program of a few lines: index [%], cost [EUR].
BY_ITSELF = {
    "slip-1": {"pv-only": (3.817643, 189.942031), "pv-battery-rule": (5.113727, 188.743951)},
    "slip-2": {"pv-only": (21.935837, 154.043285), "pv-battery-rule": (23.817573, 152.218547)},
    "slip-3": {"pv-only": (22.772467, 153.169614), "pv-battery-rule": (23.685719, 150.197368)},
    "soc-max": {"pv-only": (21.935837, 154.527500), "pv-battery-rule": (23.796967, 152.724339)},
    "feed-in": {"pv-only": (21.935837, 154.527500), "pv-battery-rule": (23.817573, 152.702762)},
}


@pytest.mark.parametrize("key", list(BY_ITSELF))
def test_each_change_by_itself(case: PaperCase, key: str) -> None:
    scenarios: tuple[PaperScenario, ...] = ("pv-only", "pv-battery-rule")
    for scenario in scenarios:
        found = counted(case, ALONE[key], scenario)
        assert (found.self_sufficiency_percent, found.cost_eur) == pytest.approx(
            BY_ITSELF[key][scenario], abs=1e-6
        )


def test_steps_go_from_published_to_corrected_a_change_at_a_time() -> None:
    flags = [list(vars(accounting).values()) for _, accounting in STEPS]
    assert STEPS[0] == ("published", PUBLISHED)
    assert STEPS[-1] == ("feed-in", CORRECTED)
    for before, after in pairwise(flags):
        assert sum(b != a for b, a in zip(before, after, strict=True)) == 1
        assert sum(after) == sum(before) + 1


def tiny(load_kwh: list[list[float]], pv_kw: list[list[float]], price: list[float]) -> PaperCase:
    members = len(load_kwh[0])
    return PaperCase(
        members=[f"m{place}" for place in range(members)],
        slot_hours=0.5,
        load_kwh=np.array(load_kwh),
        pv_kw=np.array(pv_kw),
        batteries=[Battery(capacity_kwh=10.0)] * members,
        seeds=[1] * members,
        import_price_eur_per_kwh=np.array(price),
    )


def test_a_day_of_three_slots_by_hand() -> None:
    """Two members; the battery of the first gives 1 kWh in slot 0 and takes 2 kWh in slot 2."""
    case = tiny([[4.0, 1.0], [2.0, 2.0], [3.0, 1.0]], [[0.0, 0.0], [2.0, 6.0], [0.0, 0.0]], [0.1, 0.2, 0.4])
    stored = np.array([[4.0, 5.0], [4.0, 5.0], [6.0, 5.0]])

    day = simulated_day(case, CORRECTED, stored)
    assert day.net_kwh.tolist() == [[3.0, 1.0], [1.0, -1.0], [5.0, 1.0]]
    found = count(day, CORRECTED, 0.05)
    assert found.import_kwh == 11.0
    assert found.export_kwh == 1.0
    assert found.cost_eur == pytest.approx(4 * 0.1 + 1 * 0.2 + 6 * 0.4 - 0.05)
    assert found.self_sufficiency_percent == pytest.approx(100 * (13 - 11) / 13)

    day = simulated_day(case, PUBLISHED, stored)
    assert day.pv_kwh[2].tolist() == [2.0, 6.0]
    assert day.net_kwh.tolist() == [[4.0, 1.0], [3.0, 1.0], [0.0, -4.0]]  # at construction, slots 0 and 1
    assert day.stored_kwh is not None
    assert day.stored_kwh.tolist() == [[5.0, 5.0], [4.0, 5.0], [4.0, 5.0]]
    found = count(day, PUBLISHED, 0.05)
    assert found.cost_eur == pytest.approx(5 * 0.1 + 4 * 0.1 + 0 * 0.2)
    assert found.self_sufficiency_percent == pytest.approx(0 / 5 + 1 / 5 + 4 / 4)


def test_the_programs_have_another_feed_in_tariff_with_batteries_than_without() -> None:
    assert PUBLISHED.feed_in_eur_per_kwh("pv-only") == 0.035
    assert PUBLISHED.feed_in_eur_per_kwh("pv-battery-optimised") == 0.10
    assert CORRECTED.feed_in_eur_per_kwh("pv-battery-optimised") == 0.035


def test_the_text_of_the_programs_soc_max(case: PaperCase) -> None:
    assert [PUBLISHED.battery(battery).soc_max for battery in case.batteries] == [0.9] * 4
    assert [CORRECTED.battery(battery).soc_max for battery in case.batteries] == [0.8] * 4
