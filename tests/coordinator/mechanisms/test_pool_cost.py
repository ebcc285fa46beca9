"""The pool's cost: the block tariff charges what a member changes, the proximal step is one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.costs import CommunityTariff
from coordinator.mechanisms.base import Signal
from coordinator.mechanisms.pool_cost import PoolCost
from tests.coordinator.mechanisms.markets import markets


def charged_eur(signal: Signal, net_kwh: np.ndarray) -> np.ndarray:
    """What a member pays at a signal, slot by slot."""
    price = np.where(net_kwh > 0, signal.import_price_eur_per_kwh, signal.export_price_eur_per_kwh)
    cost = net_kwh * price
    for step in signal.steps:
        beyond = net_kwh - step.threshold_kwh
        cost += step.above_eur_per_kwh * np.maximum(beyond, 0)
        cost += step.below_eur_per_kwh * np.maximum(-beyond, 0)
    return cost


@given(markets(limited=True), st.data())
def test_a_block_tariff_charges_a_member_exactly_what_it_changes_in_the_communitys_cost(
    market: tuple[np.ndarray, CommunityTariff], data: st.DataObject
) -> None:
    net_kwh, tariff = market
    member = data.draw(st.integers(0, len(net_kwh) - 1))
    others_kwh = np.delete(net_kwh, member, axis=0).sum(axis=0)
    signal = PoolCost.of(tariff).block_signal(others_kwh)
    without = net_kwh.copy()
    without[member] = 0.0
    change_eur = tariff.cost_by_slot_eur(net_kwh) - tariff.cost_by_slot_eur(without)
    # What the fee of others' trade changes by is in it: M = (Σ|q| − |Q|)/2.
    assert charged_eur(signal, net_kwh[member]) == pytest.approx(change_eur, abs=1e-6)
    assert all((step.above_eur_per_kwh >= 0).all() for step in signal.steps)
    assert all((step.below_eur_per_kwh >= 0).all() for step in signal.steps)
    for step in signal.steps:
        assert np.isfinite(step.threshold_kwh).all()


def test_a_block_tariff_by_hand() -> None:
    tariff = CommunityTariff.of(
        [0.3, 0.3, 0.3, 0.05],
        [0.1, 0.1, 0.1, 0.08],
        1.0,
        local_fee_eur_per_kwh=0.02,
        import_limit_kw=5.0,
        excess_price_eur_per_kwh=0.5,
    )
    signal = PoolCost.of(tariff).block_signal(np.array([-2.0, 3.0, 0.0, 1.0]))
    # Others export 2 kWh: a kWh taken spares feeding it in, up to 2 kWh. Half the fee on either side.
    assert signal.import_price_eur_per_kwh == pytest.approx([0.12, 0.30, 0.30, 0.05])
    assert signal.export_price_eur_per_kwh == pytest.approx([0.10, 0.28, 0.10, 0.08])
    crossing, limit = signal.steps
    assert crossing.threshold_kwh[:2] == pytest.approx([2.0, -3.0])
    assert crossing.above_eur_per_kwh == pytest.approx([0.18, 0.0, 0.0, 0.0])
    assert crossing.below_eur_per_kwh == pytest.approx([0.0, 0.18, 0.0, 0.0])
    assert limit.threshold_kwh == pytest.approx([7.0, 2.0, 5.0, 4.0])
    assert limit.above_eur_per_kwh == pytest.approx([0.5] * 4)


@given(
    markets(limited=True),
    st.floats(0.001, 10),
    st.floats(-0.5, 1),
)
def test_the_proximal_step_is_a_minimum_and_its_price_a_slope_there(
    market: tuple[np.ndarray, CommunityTariff], weight: float, price: float
) -> None:
    net_kwh, tariff = market
    pool = PoolCost.of(tariff)
    boundary = net_kwh.sum(axis=0)
    energy, told = pool.proximal(boundary, np.full(tariff.slots, price), weight)
    aim = boundary + price / weight

    def objective(z: np.ndarray) -> np.ndarray:
        cost = np.where(z > 0, z * pool.slope_eur_per_kwh[2], z * pool.slope_eur_per_kwh[1])
        cost += tariff.excess_price_eur_per_kwh * tariff.excess_kwh(z)
        return cost + weight / 2 * (z - aim) ** 2

    best = objective(energy)
    for step in (-1.0, -1e-3, 1e-3, 1.0):
        assert (best <= objective(energy + step) + 1e-9 * (1 + np.abs(best))).all()
    assert told == pytest.approx(weight * (aim - energy), abs=1e-9 * weight * 1000 + 1e-9)
    assert (told >= pool.slope_eur_per_kwh[0]).all()
    assert (told <= pool.slope_eur_per_kwh[3]).all()
