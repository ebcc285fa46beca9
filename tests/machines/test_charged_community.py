"""Whole communities of machines with a local fee, a connection limit and a demand charge."""

from __future__ import annotations

import random
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from coordinator.mechanisms import Clearing
from coordinator.mechanisms.mid_market_rate import MidMarketRate
from runtime.configuration import Timing
from runtime.grid_terms import GridTerms, mean_power_kw
from runtime.protocol.bodies import Agreement, BillLine, PriceSignal, SessionClosed, parse_body
from runtime.results.ledger import check_ledger
from tests.machines.communities import Community
from tests.machines.network import Network

few = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
GRID = GridTerms(
    local_fee_eur_per_kwh=Decimal("0.03"),
    import_limit_kw=Decimal("1.5"),
    export_limit_kw=Decimal(1),
    excess_price_eur_per_kwh=Decimal("0.6"),
    demand_charge_eur_per_kw=Decimal("0.2"),
)


def seen(network: Network, kind: type) -> list[tuple[str, object]]:
    """Recipient and body of every message of a kind, once."""
    found = {
        (each.sender, each.message_id): (each.recipient.split("@")[0], parse_body(each.body))
        for each in network.sent
    }
    return [(recipient, body) for recipient, body in found.values() if isinstance(body, kind)]


@few
@given(seed=st.integers(0, 10**6), members=st.integers(1, 5), high_feed_in=st.booleans())
def test_the_ledger_holds_and_members_are_told_what_they_pay_for(seed, members, high_feed_in):
    network = Network()
    community = Community(seed, members, grid=GRID, high_feed_in=high_feed_in)
    record, _ = community.run(network)
    check_ledger(record)
    (session,) = record.sessions
    assert session.grid == GRID
    bills = {bill.member: bill for bill in session.bills}
    total = dict.fromkeys(bills, Decimal(0))
    for member, line in seen(network, BillLine):
        traded = line.local_purchase_kwh + line.local_sale_kwh
        assert line.local_fee_eur == traded * Decimal("0.015")
        assert line.excess_charge_eur == line.excess_kwh * Decimal("0.6")
        total[member] += line.amount_eur
    for member, closed in seen(network, SessionClosed):
        peak_kwh = max(max(d.net_kwh for d in session.deliveries if d.member == member), Decimal(0))
        assert closed.demand_charge_eur == mean_power_kw(peak_kwh, 30) * Decimal("0.2")
        assert bills[member].exact_eur == total[member] + closed.demand_charge_eur
        assert closed.amount_eur == bills[member].amount_eur


def test_members_plan_with_the_demand_charge():
    network = Network()
    Community(3, grid=GRID).run(network)
    signals = [body for _, body in seen(network, PriceSignal)]
    assert signals
    assert {signal.demand_charge_eur_per_kw for signal in signals} == {0.2}


def test_what_a_round_is_said_to_cost_is_what_is_paid_if_positions_are_kept():
    met, above = 0, Decimal(0)
    for seed in range(8):
        session = Community(seed, members=5, grid=GRID, deviation=0.0).run()[0].sessions[0]
        if not session.opted_out:
            met += 1
            paid = float(sum(bill.exact_eur for bill in session.bills))
            told = session.rounds[session.agreed_round].community_cost_eur
            assert paid == pytest.approx(told, abs=1e-6)
            above += sum(bill.exact_of("excess-charge") for bill in session.bills)
    assert met > 2
    assert above > 0


def test_every_kind_of_charge_is_met():
    kinds = set()
    for seed in range(6):
        record, _ = Community(seed, members=5, grid=GRID).run()
        kinds |= {entry.kind for entry in record.sessions[0].ledger}
    assert {"local-fee", "excess-charge", "demand-charge", "local-sale"} <= kinds


def test_a_fee_above_every_spread_suspends_all_trade():
    dear = GRID.model_copy(update={"local_fee_eur_per_kwh": Decimal("0.31")})
    session = Community(3, members=5, grid=dear).run()[0].sessions[0]
    assert session.suspended_slots == list(range(6))
    assert session.local_price_eur_per_kwh == [None] * 6
    assert {entry.kind for entry in session.ledger} <= {
        "grid-import", "grid-export", "excess-charge", "demand-charge",
    }  # fmt: skip


def test_a_mechanism_cannot_trade_where_trade_is_suspended(monkeypatch):
    monkeypatch.setattr(
        MidMarketRate, "clear", lambda self, net_kwh: Clearing(np.full(net_kwh.shape[1], 0.2))
    )
    dear = GRID.model_copy(update={"local_fee_eur_per_kwh": Decimal("0.31")})
    network = Network()
    session = Community(3, members=5, grid=dear).run(network)[0].sessions[0]
    assert session.local_price_eur_per_kwh == [None] * 6
    agreements = [body for _, body in seen(network, Agreement)]
    assert len(agreements) == 5
    assert all(each.local_price_eur_per_kwh == [None] * 6 for each in agreements)
    assert not [
        entry for entry in session.ledger if entry.kind in ("local-purchase", "local-sale", "local-fee")
    ]


@few
@given(seed=st.integers(0, 10**6), order=st.integers(0, 10**6))
def test_the_ledger_does_not_depend_on_order_loss_or_repetition(seed, order):
    patient = Timing(join_deadline_s=1e5, round_deadline_s=1e5, delivery_deadline_s=1e5)
    calm, _ = Community(seed, sessions=2, slots=3, timing=patient, grid=GRID).run()
    network = Network(random.Random(order), loss=0.2, doubling=0.2)
    rough, _ = Community(seed, sessions=2, slots=3, timing=patient, grid=GRID).run(network)
    assert rough == calm


@pytest.mark.parametrize("seed", range(10))
def test_nobodys_plan_is_dearer_than_if_nobody_traded(seed):
    """With positions kept exactly: each bill against the same session without a market."""
    market, _ = Community(seed, members=5, grid=GRID, deviation=0.0).run()
    alone, _ = Community(seed, members=5, grid=GRID, deviation=0.0, mechanism="grid-only").run()
    for bill, without in zip(market.sessions[0].bills, alone.sessions[0].bills, strict=True):
        assert bill.exact_eur <= without.exact_eur + Decimal("1e-6")
