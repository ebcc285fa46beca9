"""Auctions in whole communities: orders come with limits, nobody loses, and what they save."""

from __future__ import annotations

import numpy as np
import pytest

from coordinator.costs import CommunityTariff
from coordinator.mechanisms import Agreed, Answers, Signal, mechanism_for
from coordinator.mechanisms.mid_market_rate import mid_market_price_eur_per_kwh
from runtime.grid_terms import GridTerms
from runtime.protocol.bodies import Position, parse_body
from tests.machines.communities import Community
from tests.machines.negotiating import negotiate, of_scenario
from tests.machines.network import Network

NAMES = ["double-auction", "pay-as-bid"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fee", [None, GridTerms(local_fee_eur_per_kwh="0.03")], ids=["free", "fee"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nobody_pays_more_than_alone(name: str, fee: GridTerms | None, seed: int) -> None:
    drawn = Community(seed, 6, slots=12, mechanism=name, grid=fee)
    outcome = negotiate(drawn.coordinator_config, drawn.member_configs)
    assert (outcome.bills_eur <= outcome.alone_eur + 1e-9).all()
    assert outcome.negotiation.clearing is not None
    for contract in outcome.negotiation.clearing.contracts:
        traded = contract.energy_kwh > 0
        low, high = (
            outcome.tariff.pool_export_price_eur_per_kwh,
            outcome.tariff.pool_import_price_eur_per_kwh,
        )
        assert (contract.price_eur_per_kwh[traded] >= low[traded] - 1e-9).all()
        assert (contract.price_eur_per_kwh[traded] <= high[traded] + 1e-9).all()


@pytest.mark.parametrize("name", NAMES)
def test_orders_have_limits_within_the_grids_tariffs(name: str) -> None:
    community, network = Community(4, 5, slots=8, mechanism=name), Network()
    record, _ = community.run(network)
    session = record.sessions[0]
    assert [each.kind for each in session.rounds[1:]] == ["orders"] * (len(session.rounds) - 1)
    low = [min(float(a), float(b)) for a, b in zip(*tariffs(session), strict=True)]
    high = [max(float(a), float(b)) for a, b in zip(*tariffs(session), strict=True)]
    orders = [
        body for each in network.sent if isinstance(body := parse_body(each.body), Position) and body.round
    ]
    assert orders
    for order in orders:
        assert order.limit_price_eur_per_kwh is not None
        limits = np.array(order.limit_price_eur_per_kwh)
        assert ((limits >= np.array(low) - 1e-9) & (limits <= np.array(high) + 1e-9)).all()


def tariffs(session):
    return session.grid_import_price_eur_per_kwh, session.grid_export_price_eur_per_kwh


@pytest.mark.parametrize("name", NAMES)
def test_on_the_built_in_summer_day_they_save_most_of_what_can_be_saved(name: str) -> None:
    outcome = negotiate(*of_scenario("example", name, session=1))
    assert outcome.score > 0.8


def test_without_limits_it_is_the_mid_market_rate() -> None:
    tariff = CommunityTariff.of([0.3, 0.3, 0.1], [0.1, 0.1, 0.2], 0.25, local_fee_eur_per_kwh=0.02)
    market = mechanism_for("double-auction", {"max_rounds": 1})(tariff, 3)
    net_kwh = np.array([[2.0, 1.0, 1.0], [-1.0, 0.5, -1.0], [0.5, -3.0, 0.0]])
    first = market.respond(Answers(net_kwh))
    assert isinstance(first, Signal)
    assert first.wants_limits
    end = market.respond(Answers(net_kwh, np.full((3, 3), np.nan)))
    assert isinstance(end, Agreed)
    expected = mid_market_price_eur_per_kwh(tariff)
    assert market.clear(net_kwh).local_price_eur_per_kwh == pytest.approx(expected, nan_ok=True)


def test_the_book_of_the_agreed_round_is_cleared() -> None:
    tariff = CommunityTariff.of([0.3], [0.1], 1.0)
    market = mechanism_for("double-auction", {"max_rounds": 2, "tolerance": 0.0})(tariff, 2)
    cheap, dear = np.array([[1.0], [-1.0]]), np.array([[2.0], [-1.0]])
    market.respond(Answers(dear))
    market.respond(Answers(cheap, np.array([[0.22], [0.16]])))
    end = market.respond(Answers(dear, np.array([[0.3], [0.28]])))
    assert isinstance(end, Agreed)
    assert end.round == 1
    assert market.clear(cheap).local_price_eur_per_kwh == pytest.approx([0.19])
