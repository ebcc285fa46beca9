"""Planning problems for the tests: the paper's four buildings, and random members."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from agents.devices.battery import charge_limit_kwh, discharge_limit_kwh
from agents.devices.pv import pv_energy_kwh
from agents.planning.problem import PlanningProblem
from agents.planning.tariff import BlockTariff
from agents.planning.wear import StandingPrice, WearCost
from runtime.devices import Battery, PvArray

SLOT_HOURS = 1 / 6
CAPACITY_KWH = (3.99, 2.98, 29.4, 18.83)
_ARRAYS = ((180, 0.16), (650, 0.153), (250, 0.144), (150, 0.16))
_LOADS = ("30001480014107", "30001480282717", "30001480640919", "50083502116836")


def lorient_problem(folder: Path, building: int, feed_in=0.035, pv_times=1.0, **battery) -> PlanningProblem:
    """One of the paper's buildings (0 to 3), corrected units."""
    with next(folder.glob("Donn*Solaire/03-01-2020")).open() as file:
        ghi = [float(row["GHI"]) for row in csv.DictReader(file)]
    with (folder / "DonneesEnergyConsometers" / "spotPrice.csv").open() as file:
        price = np.array([float(row["kwhPrice"]) for row in csv.DictReader(file, delimiter=";")])
    load = np.loadtxt(folder / "Forecasted" / _LOADS[building]) / 1000 * SLOT_HOURS
    area, efficiency = _ARRAYS[building]
    pv = pv_times * pv_energy_kwh(ghi, PvArray(area_m2=area, efficiency=efficiency), SLOT_HOURS)
    return PlanningProblem(
        residual_load_kwh=load - pv,
        battery=Battery(capacity_kwh=CAPACITY_KWH[building], **battery),
        slot_hours=SLOT_HOURS,
        import_price_eur_per_kwh=price,
        export_price_eur_per_kwh=np.minimum(price, 0.035) if feed_in == "capped" else np.full(144, feed_in),
    )


def lossy(building: int) -> dict[str, float]:
    """Losses, power limits and an end SOC for one of the paper's buildings."""
    return {
        "soc_end_min": 0.5,
        "self_discharge_per_slot": 1e-4,
        "charge_efficiency": 0.95,
        "discharge_efficiency": 0.95,
        "charge_limit_kw": CAPACITY_KWH[building] / 2,
        "discharge_limit_kw": CAPACITY_KWH[building] / 2,
    }


def random_problem(seed: int, kind: str, slots: int) -> PlanningProblem:
    """A random member: ``convex``, ``negative`` (prices), ``feed-in`` (above import) or ``proximal``."""
    rng = np.random.default_rng([seed, slots, len(kind)])
    slot_hours = float(rng.choice([0.25, 0.5, 1.0]))
    hour = np.arange(slots) * slot_hours % 24
    load = (rng.gamma(2, 0.4, slots) + np.exp(-((hour - 19) ** 2) / 6)) * slot_hours * rng.uniform(0, 3)
    pv = np.maximum(0, np.sin((hour - 6) / 12 * np.pi)) * rng.uniform(0, 6) * slot_hours
    price_in = rng.uniform(0.05, 0.35, slots) if rng.random() < 0.8 else np.full(slots, 0.2)
    price_out = np.minimum(price_in, rng.uniform(0.02, 0.1))
    if kind == "negative":
        price_in = price_in - 0.15
        price_out = np.minimum(price_in, price_out - rng.uniform(0, 0.1))
    elif kind == "feed-in":
        price_out = rng.uniform(0.05, 0.35, slots)
    capacity = 10 ** rng.uniform(-2, 3)
    battery: dict[str, float] = {"soc_start": rng.uniform(0.2, 0.8)}
    if rng.random() < 0.5:
        battery["soc_end_min"] = rng.uniform(0.1, battery["soc_start"])
    if rng.random() < 0.7:
        battery |= {
            "self_discharge_per_slot": 10 ** rng.uniform(-5, -2),
            "charge_efficiency": rng.uniform(0.8, 1),
            "discharge_efficiency": rng.uniform(0.8, 1),
        }
    if rng.random() < 0.7:
        battery |= {
            "charge_limit_kw": capacity * rng.uniform(0.2, 1),
            "discharge_limit_kw": capacity * rng.uniform(0.2, 1),
        }
    weight, reference = 0.0, None
    if kind == "proximal":
        weight = 10 ** rng.uniform(-2, 0)
        reference = load - pv + rng.normal(0, 0.5, slots)
    return PlanningProblem(
        residual_load_kwh=load - pv,
        battery=Battery(capacity_kwh=capacity, **battery),
        slot_hours=slot_hours,
        import_price_eur_per_kwh=price_in,
        export_price_eur_per_kwh=price_out,
        proximal_weight_eur_per_kwh2=weight,
        reference_net_kwh=reference,
    )


def priced_problem(seed: int, kind: str, slots: int) -> PlanningProblem:
    """A random member under a richer cost: names joined by ``+`` out of

    ``block`` (a community's block tariff), ``falling`` (a block cheaper above its threshold), ``pairs`` (two
    pairs of prices), ``peak``, ``reached`` (a peak reached before), ``wear``, ``standing``, ``proximal``,
    ``feed-in`` (above import).
    """
    parts = kind.split("+")
    base = "feed-in" if "feed-in" in parts else "proximal" if "proximal" in parts else "convex"
    problem = random_problem(seed, base, slots)
    rng = np.random.default_rng([seed, slots, *kind.encode()])
    scale = float(np.abs(problem.residual_load_kwh).max())
    low, high = problem.export_price_eur_per_kwh, problem.import_price_eur_per_kwh
    threshold = rng.normal(0, 0.7, slots) * scale
    threshold[rng.random(slots) < 0.2] = 0.0
    changes: dict[str, object] = {}
    if "block" in parts:
        changes |= {"import_price_eur_per_kwh": low, "block": BlockTariff(threshold, high, high)}
    if "falling" in parts:
        changes |= {
            "import_price_eur_per_kwh": high,
            "export_price_eur_per_kwh": high,
            "block": BlockTariff(threshold, low, low),
        }
    if "pairs" in parts:
        changes["block"] = BlockTariff(threshold, high + rng.uniform(0, 0.2, slots), high)
    if "peak" in parts:
        changes["peak_charge_eur_per_kw"] = 10 ** rng.uniform(-2, 1)
    if "reached" in parts:
        changes["peak_reached_kw"] = float(rng.uniform(0, 1.2)) * scale / problem.slot_hours
    if "wear" in parts:
        prices = np.sort(rng.uniform(0, 0.1, 3))
        changes["wear"] = WearCost(tuple(prices.tolist()), (0.1, 0.3))
    if "standing" in parts:
        changes["wear"] = WearCost(
            (0.02,), (), (StandingPrice(0.4, below_eur_per_kwh_h=0.01), StandingPrice(0.6, 0.001, 0.02))
        )
    return replace(problem, **changes)


def assert_sound(problem, plan) -> None:
    """Bounds, limits, end SOC, balance and battery equations hold."""
    battery, hours = problem.battery, problem.slot_hours
    slack = 1e-9 * max(1.0, battery.capacity_kwh)
    stored = plan.stored_energy_kwh
    assert stored.shape == plan.net_kwh.shape == plan.battery_kwh.shape == (problem.slots,)
    assert stored.min() >= battery.stored_min_kwh - slack
    assert stored.max() <= battery.stored_max_kwh + slack
    assert stored[-1] >= (battery.soc_end_min or 0) * battery.capacity_kwh - slack
    assert plan.battery_kwh.max() <= discharge_limit_kwh(battery, hours) + slack
    assert plan.battery_kwh.min() >= -charge_limit_kwh(battery, hours) - slack
    # Equations 3 and 8 to 10, written out.
    np.testing.assert_allclose(plan.net_kwh + plan.battery_kwh, problem.residual_load_kwh, atol=slack)
    used = (1 - battery.self_discharge_per_slot) * np.append(battery.stored_start_kwh, stored[:-1]) - stored
    delivered = np.where(used > 0, used * battery.discharge_efficiency, used / battery.charge_efficiency)
    np.testing.assert_allclose(plan.battery_kwh, delivered, atol=slack)
