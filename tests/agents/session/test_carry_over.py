"""What a session leaves to the next: stored energy within bounds, plans later by the slots that passed."""

from __future__ import annotations

import numpy as np
import pytest

from agents.planning.planner import planner_for
from agents.planning.problem import Plan, PlanningProblem
from agents.session.carry_over import CarriedOver, shifted, with_stored
from runtime.devices import Battery

BATTERY = Battery(capacity_kwh=10, soc_min=0.2, soc_max=0.8, soc_start=0.5)
PRICES = np.array([0.1, 0.3, 0.1, 0.4, 0.1, 0.3])


def plan() -> Plan:
    problem = PlanningProblem(
        residual_load_kwh=np.ones(6),
        battery=BATTERY,
        slot_hours=1.0,
        import_price_eur_per_kwh=PRICES,
        export_price_eur_per_kwh=np.full(6, 0.05),
    )
    return planner_for("optimised", 1).plan(problem)


@pytest.mark.parametrize(("stored_kwh", "begun_kwh"), [(3.3, 3.3), (8.0 + 1e-12, 8.0), (1.9, 2.0)])
def test_a_battery_begins_with_what_is_stored_within_its_bounds(stored_kwh: float, begun_kwh: float) -> None:
    begun = with_stored(BATTERY, stored_kwh)
    assert begun.stored_start_kwh == pytest.approx(begun_kwh)
    assert begun.soc_min <= begun.soc_start <= begun.soc_max
    assert begun.capacity_kwh == BATTERY.capacity_kwh


def test_an_earlier_plan_is_a_start_for_the_slots_after_those_that_passed() -> None:
    earlier = plan()
    later = shifted(earlier, 2, 6)
    assert later.stored_energy_kwh[:4].tolist() == earlier.stored_energy_kwh[2:].tolist()
    assert later.stored_energy_kwh[4:].tolist() == [earlier.stored_energy_kwh[-1]] * 2
    assert later.net_kwh.size == 6
    assert shifted(earlier, 2, 3).stored_energy_kwh.tolist() == earlier.stored_energy_kwh[2:5].tolist()


def test_a_plan_that_has_passed_altogether_is_no_start() -> None:
    earlier = plan()
    assert CarriedOver(5.0, 5.0, 6, plan=earlier, alone_plan=earlier).warm_start(6) is None
    assert CarriedOver(5.0, 5.0, 2, plan=earlier).warm_start(6, alone=True) is None
    warm = CarriedOver(5.0, 4.0, 2, plan=earlier).warm_start(6)
    assert warm is not None
    assert warm.stored_energy_kwh.size == 6
