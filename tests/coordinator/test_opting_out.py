"""Who goes back to its plan alone, and who is settled apart: nobody's plan costs more than alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.costs import CommunityTariff
from coordinator.expected import bills_without_trade_eur, expected_bills_eur
from coordinator.mechanisms import mechanism_for
from coordinator.mechanisms.base import Clearing, Contract
from coordinator.opting_out import who_opts_out
from tests.coordinator.mechanisms.markets import markets

POOLS: list[tuple[str, dict[str, Any]]] = [
    ("bill-sharing", {"period": "slot"}),
    ("bill-sharing", {"period": "day"}),
    ("mid-market-rate", {}),
    ("supply-demand-ratio", {}),
]


@settings(max_examples=150, deadline=None)
@given(market=markets(limited=True), pool=st.sampled_from(POOLS), passes=st.integers(1, 4), data=st.data())
def test_nobodys_plan_costs_more_than_alone(
    market: tuple[np.ndarray, CommunityTariff], pool: tuple[str, dict[str, Any]], passes: int, data: Any
) -> None:
    alone_kwh, tariff = market
    tariff = replace(tariff, demand_charge_eur_per_kw=data.draw(st.sampled_from([0.0, 0.4])))
    shifts = data.draw(
        st.lists(st.integers(-3, 3), min_size=alone_kwh.size, max_size=alone_kwh.size).map(np.array)
    )
    agreed_kwh = alone_kwh + 10.0 * shifts.reshape(alone_kwh.shape)
    name, parameters = pool
    mechanism = mechanism_for(name, {**parameters, "opt_out_passes": passes})(tariff, len(alone_kwh))
    leaving, clearing = who_opts_out(mechanism, agreed_kwh, alone_kwh)
    assert clearing.apart <= leaving
    settled_kwh = agreed_kwh.copy()
    settled_kwh[sorted(leaving)] = alone_kwh[sorted(leaving)]
    bills_eur = expected_bills_eur(settled_kwh, clearing, tariff)
    assert (bills_eur <= bills_without_trade_eur(alone_kwh, tariff) + 1e-8).all()
    if name != "bill-sharing" and passes > len(alone_kwh):
        assert not clearing.apart  # whose prices lie between the tariffs: going back is enough


def test_who_earns_nothing_for_its_energy_is_settled_apart() -> None:
    tariff = CommunityTariff.of([0.3], [0.1], 1.0)
    net_kwh = np.array([[3.0], [2.0], [-1.0]])
    mechanism = mechanism_for("bill-sharing", {})(tariff, 3)
    leaving, clearing = who_opts_out(mechanism, net_kwh, net_kwh)
    assert (leaving, clearing.apart) == ({2}, {2})
    assert expected_bills_eur(net_kwh, clearing, tariff) == pytest.approx([0.9, 0.6, -0.1])


def test_whom_the_scenario_binds_cannot_leave() -> None:
    tariff = CommunityTariff.of([0.3], [0.1], 1.0)
    net_kwh = np.array([[3.0], [2.0], [-1.0]])
    mechanism = mechanism_for("bill-sharing", {"opt_out_passes": 0})(tariff, 3)
    leaving, clearing = who_opts_out(mechanism, net_kwh, net_kwh)
    assert (leaving, clearing.apart) == (frozenset(), frozenset())


def test_a_contract_of_a_member_that_is_apart_is_refused() -> None:
    contract = Contract(0, 1, np.array([1.0]), np.array([0.2]))
    with pytest.raises(ValueError, match=r"apart: found \[1\] in a contract"):
        Clearing(np.array([0.2]), (contract,), apart=frozenset({1, 2}))
