"""Who is charged for energy above the connection's limit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.costs import CommunityTariff
from coordinator.excess import excess_parts_kwh, free_of_charge_kwh
from coordinator.expected import bills_without_trade_eur
from tests.coordinator.mechanisms.markets import markets

LIMITED = CommunityTariff.of([0.3], [0.1], 1.0, import_limit_kw=4.0, excess_price_eur_per_kwh=1.0)


def column(*net_kwh: float) -> np.ndarray:
    return np.array(net_kwh)[:, None]


def test_who_makes_the_connection_carry_more_than_agreed_pays_for_it() -> None:
    agreed = column(3.0, 2.0, -1.0)
    free = free_of_charge_kwh(agreed, agreed, LIMITED)
    assert free == pytest.approx(agreed)  # 4 kWh in all: nobody is charged
    metered = column(3.0, 3.5, -1.0)
    assert excess_parts_kwh(metered, free, LIMITED) == pytest.approx(column(0, 1.5, 0))
    metered = column(3.0, 2.0, 0.5)  # who gives less than agreed burdens it too
    assert excess_parts_kwh(metered, free, LIMITED) == pytest.approx(column(0, 0, 1.5))


def test_who_keeps_to_its_plan_alone_is_charged_no_more_than_alone() -> None:
    alone = column(3.0, 2.0, 1.0)  # 2 kWh above the limit: a third of what each takes
    agreed = column(5.0, 2.0, 1.0)
    free = free_of_charge_kwh(alone, agreed, LIMITED)
    assert excess_parts_kwh(agreed, free, LIMITED) == pytest.approx(column(3.0, 2 / 3, 1 / 3))


@settings(deadline=None, max_examples=200)
@given(market=markets(limited=True), data=st.data())
def test_parts_add_up_and_plans_alone_are_charged_no_more_than_alone(
    market: tuple[np.ndarray, CommunityTariff], data: Any
) -> None:
    alone, tariff = market
    steps = st.lists(st.integers(-3, 3), min_size=2 * alone.size, max_size=2 * alone.size)
    shifts = 20.0 * np.array(data.draw(steps)).reshape(2, *alone.shape)
    stays = data.draw(st.integers(0, len(alone) - 1))
    shifts[0, stays] = 0.0
    agreed = alone + shifts[0]
    free = free_of_charge_kwh(alone, agreed, tariff)
    if free is None:
        return
    for net in (agreed, agreed + shifts[1]):
        parts = excess_parts_kwh(net, free, tariff)
        assert parts.sum(axis=0) == pytest.approx(tariff.excess_kwh(net.sum(axis=0)), abs=1e-6)
        way = np.sign(net.sum(axis=0))
        assert (parts <= np.maximum(way * (net - free), 0.0) + 1e-6).all()
        assert (parts >= 0).all()
    charged_eur = tariff.excess_price_eur_per_kwh * excess_parts_kwh(agreed, free, tariff).sum(axis=1)
    grid_eur = tariff.grid_cost_eur(alone).sum(axis=1) + tariff.demand_charges_eur(alone)
    charged_alone_eur = bills_without_trade_eur(alone, tariff) - grid_eur
    assert charged_eur[stays] <= charged_alone_eur[stays] + 1e-6
