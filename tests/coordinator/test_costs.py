"""What a community's positions cost: worked cases by hand, and what must hold for any positions."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from coordinator.costs import CommunityTariff

NET = np.array([[4.0, -6.0, 2.0], [-1.0, 2.0, -2.0]])
"""Two members, three slots: D = 4, 2, 2; S = 1, 6, 2; Q = 3, -4, 0; M = 1, 2, 2."""


def tariff(**more: object) -> CommunityTariff:
    return CommunityTariff.of([0.3, 0.2, 0.4], [0.1, 0.05, 0.1], 0.5, **more)  # type: ignore[arg-type]


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, CommunityTariff]:
    members, slots = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    energy = st.floats(-50, 50, allow_subnormal=False).map(lambda value: round(value, 6))
    price = st.floats(-0.5, 1).map(lambda value: round(value, 4))
    power = st.none() | st.floats(0, 60)
    buy, sell = (draw(arrays.arrays(float, slots, elements=price)) for _ in range(2))
    made = CommunityTariff.of(
        buy,
        sell,
        draw(st.sampled_from([0.25, 0.5, 1.0])),
        local_fee_eur_per_kwh=round(draw(st.floats(0, 0.3)), 4),
        import_limit_kw=draw(power),
        export_limit_kw=draw(power),
        excess_price_eur_per_kwh=round(draw(st.floats(0, 0.5)), 4),
        demand_charge_eur_per_kw=round(draw(st.floats(0, 2)), 4),
    )
    return draw(arrays.arrays(float, (members, slots), elements=energy)), made


def test_the_boundary_pays_the_grids_tariffs() -> None:
    # 3 · 0.3; −4 · 0.05; 0
    assert tariff().cost_by_slot_eur(NET) == pytest.approx([0.9, -0.2, 0.0])
    assert tariff().cost_eur(NET) == pytest.approx(0.7)
    assert tariff().local_trade_kwh(NET).tolist() == [1.0, 2.0, 2.0]


def test_the_fee_is_charged_once_on_what_is_traded() -> None:
    # as above, and 0.02 on 1, 2 and 2 kWh
    assert tariff(local_fee_eur_per_kwh=0.02).cost_by_slot_eur(NET) == pytest.approx([0.92, -0.16, 0.04])


def test_a_fee_above_the_spread_suspends_the_slot_but_not_one_that_equals_it() -> None:
    # spreads 0.2, 0.15, 0.3; 0.3 − 0.1 is not 0.2 in floating point
    assert tariff(local_fee_eur_per_kwh=0.2).suspended.tolist() == [False, True, False]
    # slot 1 alone: −6 · 0.05 + 2 · 0.2
    assert tariff(local_fee_eur_per_kwh=0.2).cost_by_slot_eur(NET)[1] == pytest.approx(0.1)
    assert tariff(local_fee_eur_per_kwh=0.2).local_trade_kwh(NET).tolist() == [1.0, 0.0, 2.0]


def test_feed_in_above_the_price_suspends_the_slot() -> None:
    turned = CommunityTariff.of([0.1], [0.3], 1.0)
    assert turned.suspended.tolist() == [True]
    # 4 · 0.1 − 1 · 0.3, not 3 · 0.1
    assert turned.cost_eur([[4.0], [-1.0]]) == pytest.approx(0.1)


def test_energy_above_the_connections_limit_is_charged() -> None:
    limited = tariff(import_limit_kw=4.0, export_limit_kw=1.0, excess_price_eur_per_kwh=0.5)
    # 2 kWh a slot in, 0.5 kWh a slot out: 1 and 3.5 kWh too much
    assert limited.excess_kwh(NET.sum(axis=0)).tolist() == [1.0, 3.5, 0.0]
    assert limited.cost_by_slot_eur(NET) == pytest.approx([0.9 + 0.5, -0.2 + 1.75, 0.0])


def test_the_connection_sees_net_energy_in_suspended_slots_too() -> None:
    turned = CommunityTariff.of([0.1], [0.3], 1.0, import_limit_kw=1.0, excess_price_eur_per_kwh=1.0)
    assert turned.cost_eur([[4.0], [-1.0]]) == pytest.approx(0.1 + 2.0)


def test_the_demand_charge_is_on_each_members_peak_import() -> None:
    charged = tariff(demand_charge_eur_per_kw=3.0)
    # peaks of 4 kWh and 2 kWh in half an hour: 8 kW and 4 kW
    assert charged.demand_charges_eur(NET).tolist() == [24.0, 12.0]
    assert charged.cost_eur(NET) == pytest.approx(0.7 + 36.0)
    assert charged.demand_charges_eur(-np.abs(NET)).tolist() == [0.0, 0.0]


@given(cases())
def test_pool_tariffs_and_half_the_fee_at_each_meter_are_the_same_cost(
    case: tuple[np.ndarray, CommunityTariff],
) -> None:
    net, made = case
    boundary = net.sum(axis=0)
    buy, sell = made.pool_import_price_eur_per_kwh, made.pool_export_price_eur_per_kwh
    pool = np.where(boundary > 0, boundary * buy, boundary * sell)
    pool = pool + made.meter_fee_eur_per_kwh * np.abs(net).sum(axis=0)
    pool = pool + made.excess_price_eur_per_kwh * made.excess_kwh(boundary)
    trading = ~made.suspended
    assert made.cost_by_slot_eur(net)[trading] == pytest.approx(pool[trading], abs=1e-9)


@given(cases(), st.randoms())
def test_the_order_of_members_does_not_matter(
    case: tuple[np.ndarray, CommunityTariff], random: Random
) -> None:
    net, made = case
    order = list(range(len(net)))
    random.shuffle(order)
    assert made.cost_eur(net[order]) == pytest.approx(made.cost_eur(net), abs=1e-9)


@given(cases())
def test_without_a_limit_pooling_never_costs_more_than_everybody_alone(
    case: tuple[np.ndarray, CommunityTariff],
) -> None:
    net, made = case
    unlimited = replace(made, excess_price_eur_per_kwh=0.0)
    alone_eur = unlimited.grid_cost_eur(net).sum() + unlimited.demand_charges_eur(net).sum()
    assert unlimited.cost_eur(net) <= alone_eur + 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slot_hours": 0.0}, "slot_hours: expected more than 0, found 0"),
        ({"local_fee_eur_per_kwh": -0.1}, "local_fee_eur_per_kwh: expected 0 or more, found -0.1"),
        ({"import_limit_kw": -1.0}, "import_limit_kwh: expected 0 or more, found -1"),
        ({"excess_price_eur_per_kwh": float("nan")}, "excess_price_eur_per_kwh: expected finite numbers"),
        ({"export_price_eur_per_kwh": [0.1, 0.2]}, r"export_price_eur_per_kwh: expected shape \(1,\), found"),
    ],
)
def test_what_is_not_a_tariff_is_refused(change: dict[str, object], message: str) -> None:
    arguments = {"import_price_eur_per_kwh": [0.3], "export_price_eur_per_kwh": [0.1], "slot_hours": 1.0}
    with pytest.raises(ValueError, match=message):
        CommunityTariff.of(**(arguments | change))  # type: ignore[arg-type]


def test_positions_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected shape \(members, 3\), found \(3,\)"):
        tariff().cost_eur([1.0, 2.0, 3.0])
