"""Planning problems to measure on: seeded random members, and the paper's four buildings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.building import series_of
from agents.planning.problem import PlanningProblem
from runtime.devices import Battery
from runtime.scenario.resolve import resolve

FloatArray = NDArray[np.float64]

SHAPES = ("two-level", "flat", "hourly", "negative", "noisy")
SLOTS = (96, 144, 288)
FEED_IN = ("below import", "above import")


@dataclass(frozen=True, eq=False)
class Instance:
    """A problem, its name and the suite it belongs to."""

    name: str
    suite: str
    problem: PlanningProblem


def random_instances(count: int) -> Iterator[Instance]:
    """Random members over a day; the first ``count`` of a fixed sequence.

    Batteries of 2 to 30 kWh, half of them with losses, self-discharge and power limits, a third with an end
    SOC; loads with morning and evening peaks; PV up to 6 kW. Of each tariff shape, half has a feed-in tariff
    never above the import price, half one that is above it in some slots or all.
    """
    kinds = list(product(FEED_IN, SLOTS, SHAPES))
    for number in range(count):
        feed_in, slots, shape = kinds[number % len(kinds)]
        problem = _random_problem(number, shape, slots, feed_in)
        yield Instance(f"{shape}, {slots} slots, #{number}", f"feed-in {feed_in}", problem)


def intraday_instances(count: int) -> Iterator[Instance]:
    """Members with surplus and lossy batteries at an intraday market's prices, for ageing and fronts.

    144 slots. Prices rise or fall with the hours and jump back between them, as quarter-hourly products do
    around the ramps of a day: shallow cycles pay, which a price on throughput cannot tell from deep ones.
    """
    slots = 144
    for number in range(count):
        rng = np.random.default_rng([number, slots, 7])
        base = _random_problem(2 * number + 1, "hourly", slots, "below import")
        assert base.battery is not None, "random members have batteries"
        hour = np.arange(slots) / 6
        ramp = np.sin((hour.astype(int) - 4) / 12 * 2 * np.pi)
        saw = -0.04 * ramp * (hour % 1.0 - 5 / 12)
        day = 0.06 + 0.012 * np.sin((hour - 15) / 12 * 2 * np.pi)
        price = np.maximum(day + saw + rng.normal(0, 0.004, slots), 0.02)
        problem = replace(
            base,
            battery=base.battery.model_copy(update={"soc_end_min": base.battery.soc_start}),
            import_price_eur_per_kwh=price,
            export_price_eur_per_kwh=np.minimum(price, 0.035),
        )
        yield Instance(f"intraday, #{number}", "intraday prices", problem)


def lorient_trade_offs(data: Path) -> tuple[list[Instance], list[Instance]]:
    """The paper's buildings with lossy batteries and end SOC: for ageing as they are, for fronts PV × 6.

    Args:
        data: folder with the authors' data.

    Raises:
        InputError: the folder is not what it should be.
    """
    ageing, fronts = [], []
    for instance in lorient_instances(data):
        if not instance.name.endswith("lossy, end SOC 0.5, feed-in 0.035"):
            continue
        problem = instance.problem
        if instance.suite == "Lorient, PV × 1":
            ageing.append(instance)
        else:  # a front needs least-cost plans to be told from others, so no feed-in above import
            capped = np.minimum(problem.import_price_eur_per_kwh, 0.035)
            fronts.append(replace(instance, problem=replace(problem, export_price_eur_per_kwh=capped)))
    return ageing, fronts


def lorient_instances(data: Path) -> Iterator[Instance]:
    """The paper's buildings, corrected units: PV × 1 and 6, ideal and lossy, end free or held, two tariffs.

    Args:
        data: folder with the authors' data.

    Raises:
        InputError: the folder is not what it should be.
    """
    resolved = resolve("lorient", data)
    terms = resolved.coordinator_config().sessions[0]
    prices = np.array(terms.import_price_eur_per_kwh, dtype=np.float64)
    for member in resolved.members:
        config = resolved.member_config(member)
        if config.battery is None:
            continue
        load_kwh, pv_kwh = series_of(config.sessions[0], config.pv)
        horizon = config.sessions[0].horizon
        variants = product((1, 6), (False, True), (None, 0.5), (0.035, 0.10))
        for pv_times, lossy, soc_end, feed_in in variants:
            changes: dict[str, float | None] = {"soc_end_min": soc_end}
            if lossy:
                changes |= {
                    "self_discharge_per_slot": 1e-4,
                    "charge_efficiency": 0.95,
                    "discharge_efficiency": 0.95,
                    "charge_limit_kw": config.battery.capacity_kwh / 2,
                    "discharge_limit_kw": config.battery.capacity_kwh / 2,
                }
            problem = PlanningProblem(
                residual_load_kwh=load_kwh - pv_times * pv_kwh,
                battery=config.battery.model_copy(update=changes),
                slot_hours=horizon.slot_hours,
                import_price_eur_per_kwh=prices,
                export_price_eur_per_kwh=np.full(prices.size, feed_in),
            )
            losses = "lossy" if lossy else "ideal"
            end = "end free" if soc_end is None else f"end SOC {soc_end}"
            name = f"{member}, PV × {pv_times}, {losses}, {end}, feed-in {feed_in}"
            yield Instance(name, f"Lorient, PV × {pv_times}", problem)


def _random_problem(number: int, shape: str, slots: int, feed_in: str) -> PlanningProblem:
    rng = np.random.default_rng([number, slots])
    slot_hours = 24.0 / slots
    hour = np.arange(slots) * slot_hours
    peaks = np.exp(-((hour - 7.5) ** 2) / 2) + 2 * np.exp(-((hour - 19.5) ** 2) / 4)
    load_kw = rng.uniform(0.3, 3.0) * (0.2 + peaks) * rng.gamma(4.0, 0.25, slots)
    clouds = np.clip(1.2 - rng.gamma(2.0, 0.2, slots), 0.1, 1.0)
    pv_kw = rng.uniform(0.0, 6.0) * np.maximum(np.sin((hour - 6) / 12 * np.pi), 0.0) * clouds
    price = _import_prices(rng, shape, slots)
    if feed_in == "below import":
        export = np.minimum(price, rng.uniform(0.02, 0.10))
    else:
        # Fixed, from just above the least import price to just above the greatest.
        span = float(price.max() - price.min())
        export = np.full(slots, float(price.min()) + rng.uniform(0.1, 1.05) * max(span, 0.02))
    capacity = float(rng.uniform(2.0, 30.0))
    changes: dict[str, float] = {"soc_start": float(rng.uniform(0.2, 0.8))}
    if number % 2:
        changes |= {
            "self_discharge_per_slot": 1e-4,
            "charge_efficiency": float(rng.uniform(0.9, 0.98)),
            "discharge_efficiency": float(rng.uniform(0.9, 0.98)),
            "charge_limit_kw": capacity / 3,
            "discharge_limit_kw": capacity / 3,
        }
    if number % 3 == 0:
        changes["soc_end_min"] = 0.5
    return PlanningProblem(
        residual_load_kwh=(load_kw - pv_kw) * slot_hours,
        battery=Battery(capacity_kwh=capacity, **changes),
        slot_hours=slot_hours,
        import_price_eur_per_kwh=price,
        export_price_eur_per_kwh=export,
    )


def _import_prices(rng: np.random.Generator, shape: str, slots: int) -> FloatArray:
    whole_hour = np.arange(slots) * 24 // slots
    hourly: FloatArray
    match shape:
        case "two-level":
            night = (whole_hour < 6) | (whole_hour >= 22)
            hourly = np.where(night, rng.uniform(0.10, 0.18), rng.uniform(0.20, 0.30))
        case "flat":
            hourly = np.full(slots, rng.uniform(0.12, 0.30))
        case "hourly":
            hourly = _day_ahead(rng)[whole_hour]
        case "negative":
            hourly = (_day_ahead(rng) - rng.uniform(0.10, 0.16))[whole_hour]
        case _:
            hourly = np.maximum(_day_ahead(rng)[whole_hour] + rng.normal(0, 0.03, slots), 0.01)
    return hourly


def _day_ahead(rng: np.random.Generator) -> FloatArray:
    """24 hourly prices [EUR/kWh] with two humps, as on a day-ahead market."""
    hour = np.arange(24)
    humps = np.exp(-((hour - 8) ** 2) / 8) + 1.5 * np.exp(-((hour - 19) ** 2) / 8)
    prices: FloatArray = 0.08 + 0.08 * humps + rng.normal(0, 0.015, 24)
    return np.maximum(prices, 0.01)
