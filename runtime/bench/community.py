"""A synthetic community of any size to measure: simple seeded series, written as a run's configuration."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from runtime.configuration import (
    ClockConfig,
    CoordinatorConfig,
    CoordinatorSession,
    MemberConfig,
    MemberSession,
    MeterConfig,
    MeterRole,
    MetersConfig,
    Timing,
    derive_seed,
)
from runtime.devices import Battery
from runtime.files import write_text_atomically
from runtime.horizon import Horizon
from runtime.rundir import RunDirectory, accounts_of

NAME = "bench"

TIMING = Timing(join_deadline_s=120, round_deadline_s=120, delivery_deadline_s=60)
"""Deadlines that nobody misses on a busy machine: what is measured is how long it takes."""

START = datetime(2025, 6, 21, tzinfo=UTC)
MINUTES_A_DAY = 1440


def member_names(members: int) -> list[str]:
    """Names of the members, in order."""
    return [f"member-{number:04d}" for number in range(members)]


def day(slots: int, after_slots: int = 0) -> Horizon:
    """A summer day of ``slots`` equal slots, which begins so many of them later."""
    minutes = max(1, MINUTES_A_DAY // slots)
    start = START + timedelta(minutes=minutes * after_slots)
    return Horizon(start=start, zone="UTC", slot_minutes=minutes, slots=slots)


def import_price_eur_per_kwh(horizon: Horizon) -> list[Decimal]:
    """A tariff that is dear in the evening."""
    return [Decimal("0.34") if 17 <= start.hour < 21 else Decimal("0.22") for start in horizon.slot_starts()]


def load_kwh(horizon: Horizon, rng: random.Random) -> list[float]:
    """A house's consumption per slot: a base, an evening peak, noise."""
    base_kw, peak_kw = rng.uniform(0.2, 0.6), rng.uniform(0.5, 2.0)
    return [
        round(
            horizon.slot_hours
            * (base_kw + peak_kw * math.exp(-(((_hour(start) - 19) / 2) ** 2)))
            * rng.uniform(0.8, 1.2),
            6,
        )
        for start in horizon.slot_starts()
    ]


def production_kwh(horizon: Horizon, rng: random.Random) -> list[float]:
    """Production per slot of a roof between sunrise at six and sunset at eighteen."""
    peak_kw = rng.uniform(2.0, 6.0)
    return [
        round(horizon.slot_hours * peak_kw * max(0.0, math.sin(math.pi * (_hour(start) - 6) / 12)), 6)
        for start in horizon.slot_starts()
    ]


def _hour(start: datetime) -> float:
    return start.hour + start.minute / 60


def write_community(
    directory: RunDirectory,
    members: int,
    slots: int,
    *,
    sessions: int = 1,
    at_rest: bool = False,
    operated_slots: int | None = None,
    mechanism: str = "mid-market-rate",
    one_after_the_other: bool = False,
) -> None:
    """Write the configuration of every process of a community in which every second member has a battery.

    All have PV; the same members, slots and sessions always give the same files.

    Args:
        directory: a run directory, new.
        members: how many, at least 1.
        slots: slots of a session.
        sessions: how many times the day is negotiated.
        at_rest: nobody has a battery, so that members answer without solving anything.
        operated_slots: of each session; all if None.
        mechanism: of the market.
        one_after_the_other: whether sessions follow each other in time; else all are of the same day.
    """
    names = member_names(members)
    step = (operated_slots or slots) if one_after_the_other else 0
    horizons = [day(slots, step * number) for number in range(sessions)]
    coordinator = CoordinatorConfig(
        community=NAME,
        setting="community",
        mechanism=mechanism,
        members=names,
        timing=TIMING,
        clock=ClockConfig(),
        seed=0,
        sessions=[
            CoordinatorSession(
                horizon=horizon,
                operated_slots=operated_slots,
                import_price_eur_per_kwh=import_price_eur_per_kwh(horizon),
                export_price_eur_per_kwh=[Decimal("0.06")] * slots,
            )
            for horizon in horizons
        ],
    )
    coordinator.save(directory.coordinator_config)
    roles: list[MeterRole] = ["load", "pv"]
    meters = []
    for place, name in enumerate(names):
        rng = random.Random(derive_seed(0, NAME, name))
        days = [
            MemberSession(
                horizon=horizon,
                operated_slots=operated_slots,
                load_kwh=load_kwh(horizon, rng),
                pv_production_kwh=production_kwh(horizon, rng),
            )
            for horizon in horizons
        ]
        battery = Battery(
            capacity_kwh=round(rng.uniform(5, 15), 3), charge_efficiency=0.95, discharge_efficiency=0.95
        )
        MemberConfig(
            name=name,
            kind="house",
            strategy="optimised",
            trades=True,
            battery=battery if place % 2 == 0 and not at_rest else None,
            pv=None,
            seed=derive_seed(0, "member", name),
            timing=TIMING,
            clock=ClockConfig(),
            sessions=days,
            roles=roles,
        ).save(directory.member_config(name))
        meters.append(MeterConfig(member=name, roles=roles, sessions=days))
    MetersConfig(meters=meters).save(directory.meters_config)
    write_text_atomically(directory.accounts_json, json.dumps(accounts_of(names)) + "\n")
