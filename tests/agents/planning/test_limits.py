"""Limit prices: what energy is worth to a member, by hand and within the grid's tariffs."""

from __future__ import annotations

import numpy as np
import pytest

from agents.planning.limits import limit_prices_eur_per_kwh
from agents.planning.planner import planner_for
from agents.planning.problem import PlanningProblem
from runtime.devices import Battery


def limits_of(
    residual_kwh: list[float],
    buy: list[float],
    sell: list[float],
    battery: Battery | None,
    grid: tuple[float, float] = (0.4, 0.05),
) -> tuple[np.ndarray, np.ndarray]:
    problem = PlanningProblem(np.array(residual_kwh), battery, 1.0, np.array(buy), np.array(sell))
    plan = planner_for("optimised", 1).plan(problem)
    slots = len(residual_kwh)
    limits = limit_prices_eur_per_kwh(problem, plan, np.full(slots, grid[0]), np.full(slots, grid[1]))
    return plan.net_kwh, limits


def test_without_a_battery_the_grid_is_the_alternative() -> None:
    _, limits = limits_of([1.0, -1.0, 0.0], [0.3] * 3, [0.1] * 3, None)
    assert limits.tolist() == [0.4, 0.05, 0.4]


def test_energy_to_be_stored_is_worth_what_it_will_save() -> None:
    battery = Battery(capacity_kwh=10.0, soc_min=0.0, soc_max=1.0, soc_start=0.0, charge_efficiency=0.8)
    net_kwh, limits = limits_of([0.0, 2.0], [0.1, 0.3], [0.05, 0.05], battery)
    assert net_kwh == pytest.approx([2.5, 0.0])
    assert limits[0] == pytest.approx(0.3 * 0.8)


def test_a_surplus_that_can_be_stored_is_not_given_away() -> None:
    # Half of the surplus is stored at full power, or given: the last kWh given could not be stored.
    battery = Battery(capacity_kwh=10.0, soc_min=0.0, soc_max=1.0, soc_start=0.0, charge_limit_kw=1.0)
    net_kwh, limits = limits_of([-2.0, 4.0], [0.3, 0.3], [0.1, 0.1], battery)
    assert net_kwh == pytest.approx([-1.0, 3.0])
    assert limits[0] == pytest.approx(0.05)


def test_what_is_given_is_worth_what_it_would_save_if_it_were_stored() -> None:
    battery = Battery(capacity_kwh=10.0, soc_min=0.0, soc_max=1.0, soc_start=0.0)
    net_kwh, limits = limits_of([-2.0, 4.0], [0.36, 0.3], [0.35, 0.05], battery)
    assert net_kwh == pytest.approx([-2.0, 4.0])
    assert limits == pytest.approx([0.3, 0.4])


@pytest.mark.parametrize("seed", range(5))
def test_limits_lie_between_the_grids_tariffs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    residual, buy = rng.normal(0, 1, 48), rng.uniform(0.1, 0.35, 48)
    battery = Battery(capacity_kwh=6.0, charge_efficiency=0.95, discharge_efficiency=0.95)
    _, limits = limits_of(residual.tolist(), buy.tolist(), (buy - 0.08).tolist(), battery)
    assert ((limits >= 0.05) & (limits <= 0.4)).all()
    assert len(np.unique(limits.round(6))) > 2
