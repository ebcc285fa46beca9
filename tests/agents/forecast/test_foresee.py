"""What a member foresees: told or forecast, and joined by what earlier sessions metered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agents.forecast.member import foresee
from runtime.configuration import ClockConfig, MemberConfig, MemberHistory, MemberSession, Timing
from runtime.devices import PvArray
from runtime.errors import InputError
from runtime.horizon import Horizon
from runtime.records import MemberSessionRecord

SLOTS = 24


def config(histories: list[MemberHistory | None], forecast="similar-day") -> MemberConfig:
    start = datetime(2024, 2, 14, tzinfo=UTC)
    return MemberConfig(
        name="house",
        kind="house",
        strategy="optimised",
        trades=True,
        battery=None,
        pv=PvArray(area_m2=10, efficiency=0.2),
        seed=2**52 + 5,
        timing=Timing(),
        clock=ClockConfig(),
        sessions=[
            MemberSession(
                horizon=Horizon(
                    start=start + timedelta(days=number), zone="UTC", slot_minutes=60, slots=SLOTS
                ),
                history=history,
            )
            for number, history in enumerate(histories)
        ],
        roles=["load", "pv"],
        forecast=forecast,
    )


def record(session: int, load_kwh: float, quality: str = "metered") -> MemberSessionRecord:
    row = [0.0] * SLOTS
    return MemberSessionRecord(
        session=session,
        load_kwh=[load_kwh] * SLOTS,
        pv_kwh=[0.5] * SLOTS,
        battery_charge_kwh=row,
        battery_discharge_kwh=row,
        stored_kwh=[],
        net_kwh=row,
        planned_net_kwh=row,
        alone_net_kwh=row,
        quality=[quality] * SLOTS,
        meter=[""] * SLOTS,
        rounds_planned=1,
        planning_seconds=0.0,
    )


def past(load: float | None, days: int = 9) -> MemberHistory:
    sun: list[float | None] = [500.0] * (24 * days)
    sun[-1] = None
    return MemberHistory(load_kwh=[load] * (24 * days), ghi_w_per_m2=sun)


def test_load_and_production_from_the_history() -> None:
    foreseen = foresee(config([past(2.0)]), 0)
    assert foreseen.load_kwh == pytest.approx(np.full(SLOTS, 2.0))
    assert foreseen.pv_kwh == pytest.approx(np.full(SLOTS, 1.0))  # 500 W/m² x 10 m² x 0.2
    assert foreseen.residual_load_kwh == pytest.approx(np.full(SLOTS, 1.0))
    assert foreseen.forecast.pv_series.unmetered_slots == 1
    assert foreseen.forecast.load_series.unmetered_slots == 0


@pytest.mark.parametrize(("quality", "expected"), [("metered", 0.4 * 8 + 0.6 * 2), ("estimated", 2.0)])
def test_what_earlier_sessions_metered_joins_the_history(quality: str, expected: float) -> None:
    foreseen = foresee(config([past(2.0), past(2.0)]), 1, [record(0, 8.0, quality)])
    assert foreseen.load_kwh == pytest.approx(np.full(SLOTS, expected))


def test_boosting_takes_any_members_seed() -> None:
    rng = np.random.default_rng(0)
    history = MemberHistory(load_kwh=rng.gamma(2, 1, 24 * 20).tolist())
    foreseen = foresee(config([history], "boosting"), 0)
    assert foreseen.forecast.load_series.method == "boosting"
    assert foreseen.load_kwh.min() >= 0


def test_without_a_history_there_is_no_forecast() -> None:
    with pytest.raises(InputError, match="found no history"):
        foresee(config([None]), 0)
