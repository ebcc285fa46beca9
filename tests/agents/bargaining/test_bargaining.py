"""Bargaining without messages: what members propose, what pairs agree on, when they stop."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.bargaining.filling import fill, fill_beside_grid
from agents.bargaining.proposals import SILENT_ROUNDS, STEADY_ROUNDS, Bargaining
from agents.bargaining.terms import BargainTerms, NetCost, Proposal, Trade
from agents.planning.tariff import NetTariff
from runtime.preferences import TradePreferences

SLOTS = 5
NOTHING = TradePreferences()


def terms_of(partners: list[str], fee: float = 0.0, **changes: object) -> BargainTerms:
    given_terms = {
        "partners": tuple(partners),
        "import_price_eur_per_kwh": np.full(SLOTS, 0.3),
        "export_price_eur_per_kwh": np.full(SLOTS, 0.1),
        "suspended": np.zeros(SLOTS, dtype=bool),
        "local_fee_eur_per_kwh": fee,
        "penalty_eur_per_kwh2": np.full(SLOTS, 0.05),
        "max_rounds": 60,
        "tolerance_kwh": 1e-4,
    } | changes
    return BargainTerms(**given_terms)  # type: ignore[arg-type]


class Market:
    """Members whose net energies do not depend on prices, and their bargaining."""

    def __init__(
        self,
        net_kwh: list[list[float]],
        preferences: dict[int, TradePreferences] | None = None,
        green: frozenset[int] = frozenset(),
        **changes: object,
    ) -> None:
        self.net_kwh = np.array(net_kwh)
        self.names = [f"m{number}" for number in range(len(net_kwh))]
        self.members = {
            name: Bargaining(
                terms_of([other for other in self.names if other != name], **changes),  # type: ignore[arg-type]
                (preferences or {}).get(number, NOTHING),
                number in green,
                self.net_kwh[number],
            )
            for number, name in enumerate(self.names)
        }
        self.proposals: dict[str, dict[str, Proposal]] = {}

    def hold_round(self) -> bool:
        self.proposals = {
            name: member.propose(self.net_kwh[number])
            for number, (name, member) in enumerate(self.members.items())
        }
        ends = {
            member.end_round({other: self.proposals[other][name] for other in self.names if other != name})
            for name, member in self.members.items()
        }
        assert len(ends) == 1, "all members stop in the same round"
        return ends.pop()

    def run(self) -> int:
        rounds = 1
        while not self.hold_round():
            rounds += 1
        return rounds

    def traded_kwh(self) -> np.ndarray:
        """Energy that the first takes from the second, shape (members, members, slots)."""
        traded = np.zeros((len(self.names), len(self.names), self.net_kwh.shape[1]))
        for number, member in enumerate(self.members.values()):
            for trade in member.trades():
                traded[number, self.names.index(trade.partner)] = trade.trade_kwh
        return traded


energies = st.lists(
    st.lists(st.sampled_from([-3.0, -1.0, -0.2, 0.0, 0.4, 1.0, 2.5]), min_size=SLOTS, max_size=SLOTS),
    min_size=2,
    max_size=5,
)


@given(
    energy=st.floats(0, 10),
    floors=st.lists(st.floats(-1, 1), min_size=1, max_size=6),
    penalty=st.floats(0.01, 10),
    cap=st.floats(-1, 3),
)
def test_energy_fills_the_lowest_floors_first_to_a_common_level(energy, floors, penalty, cap):
    rows = np.array(floors)[:, None]
    level, shares = fill(np.array([energy]), rows, np.array([penalty]), np.array([cap]))
    assert level[0] <= cap
    assert (shares >= 0).all()
    assert shares[:, 0] == pytest.approx(np.maximum(level[0] - np.array(floors), 0) / penalty)
    assert shares.sum() <= energy + 1e-9
    if level[0] < cap:  # nothing is left over
        assert shares.sum() == pytest.approx(energy, abs=1e-9)


@given(
    energy=st.floats(0, 10),
    floors=st.lists(st.floats(-1, 1), min_size=1, max_size=6),
    penalty=st.floats(0.01, 10),
    share=st.floats(0, 10),
)
def test_beside_a_share_of_the_connection_partners_are_worth_more_than_the_tariff(
    energy, floors, penalty, share
):
    rows, rho, tariff = np.array(floors)[:, None], np.array([penalty]), np.array([0.3])
    given_ = np.array([energy]), rows, rho, tariff
    level, spread = fill_beside_grid(*given_, np.array([share]), 0.5)
    assert tariff[0] + 0.5 + 1e-9 >= level[0] >= fill(*given_)[0][0] - 1e-9
    assert spread[:, 0] == pytest.approx(np.maximum(level[0] - np.array(floors), 0) / penalty)
    of_grid = energy - spread.sum()
    if level[0] < 0.3:
        assert of_grid == pytest.approx(0, abs=1e-9)
    elif level[0] < 0.8 - 1e-9:  # beyond the tariff the share is used up, below the cap no more than that
        assert of_grid <= share + 1e-9
        if level[0] > 0.3 + 1e-9:
            assert of_grid == pytest.approx(share, abs=1e-9)
    assert fill_beside_grid(*given_, None, 0.5)[0] == fill(*given_)[0]


def cost_eur(cost: NetCost, net_kwh: float) -> np.ndarray:
    net = np.full(SLOTS, net_kwh)
    price = np.where(net > 0, cost.import_price_eur_per_kwh, cost.export_price_eur_per_kwh)
    total = price * net
    for hinge in cost.hinges:
        apart = net - hinge.at_kwh
        total = total + np.where(apart > 0, hinge.above_eur_per_kwh * apart, -hinge.below_eur_per_kwh * apart)
    return total


@pytest.mark.parametrize("suspended", [False, True])
def test_energy_from_the_grid_beyond_the_share_costs_the_excess_price_on_top(suspended):
    terms = terms_of(
        ["other"],
        suspended=np.full(SLOTS, suspended),
        import_share_kwh=np.full(SLOTS, 2.0),
        export_share_kwh=np.full(SLOTS, 1.0),
        excess_price_eur_per_kwh=0.5,
    )
    bargaining = Bargaining(terms, NOTHING, False, np.full(SLOTS, 3.0))

    def slope(cost: NetCost, at: float) -> np.ndarray:
        return (cost_eur(cost, at + 1e-6) - cost_eur(cost, at - 1e-6)) / 2e-6

    for at, price in ((50.0, 0.8), (-50.0, -0.4)):
        assert slope(bargaining.net_cost(), at) == pytest.approx(np.full(SLOTS, price), abs=1e-6)
    if suspended:
        for at, price in ((2.1, 0.8), (1.9, 0.3), (-0.9, 0.1), (-1.1, -0.4)):
            assert slope(bargaining.net_cost(), at) == pytest.approx(np.full(SLOTS, price), abs=1e-6)
    else:
        bought = 2.0  # at λ⁺: (0.3 − 0.2) / ρ from the partner, then 2 kWh of the share at λ⁺, then dearer
        for at, price in ((bought + 0.1, 0.3), (bought + 1.9, 0.3)):
            assert slope(bargaining.net_cost(), at) == pytest.approx(np.full(SLOTS, price), abs=1e-6)
        assert (slope(bargaining.net_cost(), bought + 2.1) > 0.301).all()
    trade = Trade("other", np.full(SLOTS, 4.0), np.full(SLOTS, 0.2))
    agreed = bargaining.agreed_cost([] if suspended else [trade])
    kept = 0.0 if suspended else 4.0
    for at, price in ((kept + 1.9, 0.3), (kept + 2.1, 0.8), (kept - 0.9, 0.1), (kept - 1.1, -0.4)):
        assert slope(agreed, at) == pytest.approx(np.full(SLOTS, price), abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(net_kwh=energies, fee=st.sampled_from([0.0, 0.04]), rounds=st.integers(1, 12))
def test_both_sides_agree_on_the_same_and_nobody_trades_more_than_it_has(net_kwh, fee, rounds):
    market = Market(net_kwh, fee=fee)
    for _ in range(rounds):
        if market.hold_round():
            break
    traded, net = market.traded_kwh(), market.net_kwh
    assert (traded == -traded.transpose(1, 0, 2)).all()
    sums = traded.sum(axis=1)
    assert (np.abs(sums) <= np.abs(net) + 1e-8).all()
    assert (traded * net[:, None, :] >= 0).all(), "who takes energy only buys, who gives only sells"
    for name, member in market.members.items():
        for trade in member.trades():
            (other,) = [each for each in market.members[trade.partner].trades() if each.partner == name]
            assert (trade.price_eur_per_kwh == other.price_eur_per_kwh).all()
            assert (trade.price_eur_per_kwh >= 0.1 + fee / 2 - 1e-12).all()
            assert (trade.price_eur_per_kwh <= 0.3 - fee / 2 + 1e-12).all()


@pytest.mark.parametrize("seed", range(6))
def test_all_that_neighbours_can_cover_is_traded_in_the_end(seed):
    rng = np.random.default_rng(seed)
    net = rng.normal(size=(5, SLOTS)).round(3)
    market = Market(net.tolist(), max_rounds=300)
    market.run()
    volume = np.minimum(np.maximum(net, 0).sum(axis=0), np.maximum(-net, 0).sum(axis=0))
    assert market.traded_kwh().clip(min=0).sum(axis=(0, 1)) == pytest.approx(volume, abs=0.01)


def test_the_scarce_side_gets_the_price():
    scarce = Market([[-1.0] * SLOTS, [3.0] * SLOTS], max_rounds=200)
    plenty = Market([[-3.0] * SLOTS, [1.0] * SLOTS], max_rounds=200)
    for market, price in ((scarce, 0.3), (plenty, 0.1)):
        market.run()
        (trade,) = market.members["m0"].trades()
        assert trade.price_eur_per_kwh == pytest.approx(price, abs=2e-3)
        assert np.abs(trade.trade_kwh) == pytest.approx(1.0, abs=0.01)


def test_a_member_that_prefers_green_energy_gets_it_and_the_other_takes_the_rest():
    net = [[-1.0] * SLOTS, [-1.0] * SLOTS, [1.0] * SLOTS, [1.0] * SLOTS]
    indifferent = Market(net, green=frozenset({0}), max_rounds=300)
    indifferent.run()
    half = indifferent.traded_kwh()[2:, :2]
    assert half == pytest.approx(np.full(half.shape, 0.5), abs=0.02)
    green = {3: TradePreferences(green_eur_per_kwh=0.05)}
    choosy = Market(net, preferences=green, green=frozenset({0}), max_rounds=300)
    choosy.run()
    traded = choosy.traded_kwh()
    assert (traded[3, 0] > 0.95).all()
    assert (traded[2, 1] > 0.95).all()
    prices = {trade.partner: trade.price_eur_per_kwh for trade in choosy.members["m3"].trades()}
    others = {trade.partner: trade.price_eur_per_kwh for trade in choosy.members["m2"].trades()}
    assert (prices["m0"] > others["m1"] - 1e-6).all(), "green energy is worth no less"


def test_a_preference_for_local_energy_is_served_first_where_it_is_scarce():
    net = [[-1.0] * SLOTS, [1.0] * SLOTS, [1.0] * SLOTS]
    local = {2: TradePreferences(local_eur_per_kwh=0.05)}
    market = Market(net, preferences=local, max_rounds=300)
    market.run()
    traded = market.traded_kwh()
    assert (traded[2, 0] > 0.95).all()
    assert (traded[1, 0] < 0.05).all()


def test_nothing_is_traded_in_suspended_slots_nor_where_the_fee_eats_the_spread():
    suspended = np.array([True, False, False, True, False])
    market = Market([[-1.0] * SLOTS, [1.0] * SLOTS], suspended=suspended)
    market.run()
    traded = np.abs(market.traded_kwh()).sum(axis=(0, 1))
    assert (traded[suspended] == 0).all()
    assert (traded[~suspended] > 1).all()
    dear = Market([[-1.0] * SLOTS, [1.0] * SLOTS], fee=0.25)
    dear.run()
    assert not dear.traded_kwh().any()


def test_a_silent_partner_is_left_out_after_some_rounds_and_gets_no_trade():
    member = Bargaining(terms_of(["a", "b"]), NOTHING, False, np.ones(SLOTS))
    seller = Proposal(np.full(SLOTS, -1.0), np.full(SLOTS, 0.2), None, False)
    member.propose(np.ones(SLOTS))
    assert not member.end_round({"a": seller, "b": seller})
    for _ in range(SILENT_ROUNDS):
        assert member.active == ["a", "b"]
        member.propose(np.ones(SLOTS))
        assert not member.end_round({"a": seller})
    assert member.active == ["a"]
    assert set(member.propose(np.ones(SLOTS))) == {"a"}
    member.end_round({"a": seller})
    assert [trade.partner for trade in member.trades()] == ["a"]


def test_bargaining_goes_on_while_anybody_is_not_content():
    content = Bargaining(terms_of(["a"]), NOTHING, False, np.zeros(SLOTS))
    zero, price = np.zeros(SLOTS), np.full(SLOTS, 0.2)
    for residual, over in ((None, False), (0.5, False), (0.5, False), (1e-5, True)):
        content.propose(zero)
        assert content.end_round({"a": Proposal(zero, price, residual, False)}) is over


def test_bargaining_does_not_end_by_a_round_in_which_somebody_said_nothing():
    content = Bargaining(terms_of(["a", "b"]), NOTHING, False, np.zeros(SLOTS))
    zero = np.zeros(SLOTS)
    calm = Proposal(zero, np.full(SLOTS, 0.2), 0.0, False)
    for _ in range(STEADY_ROUNDS):
        content.propose(zero)
        assert not content.end_round({"a": calm, "b": calm})
    content.propose(zero)
    assert not content.end_round({"a": calm})
    content.propose(zero)
    assert content.end_round({"a": calm, "b": calm})


def test_no_told_price_or_energy_drives_a_pair_beyond_all_bounds():
    member = Bargaining(terms_of(["a", "b"]), NOTHING, False, np.ones(SLOTS))
    absurd = Proposal(np.full(SLOTS, -1e6), np.full(SLOTS, -1e3), None, False)
    fair = Proposal(np.full(SLOTS, -0.5), np.full(SLOTS, 0.2), None, False)
    for _ in range(5):
        member.propose(np.ones(SLOTS))
        member.end_round({"a": absurd, "b": fair})
    for trade in member.trades():
        assert (trade.trade_kwh <= 1.0 + 1e-9).all()
        assert (trade.price_eur_per_kwh >= 0.1).all()
    told = member.propose(np.ones(SLOTS))
    assert all(np.abs(each.price_eur_per_kwh).max() <= 0.5 for each in told.values())


@pytest.mark.parametrize("seed", range(8))
def test_the_cost_of_net_energy_is_convex_between_the_tariffs(seed):
    rng = random.Random(seed)
    net = [[rng.choice([-2.0, -0.5, 0.0, 0.7, 3.0]) for _ in range(SLOTS)] for _ in range(4)]
    market = Market(net, fee=rng.choice([0.0, 0.02]))
    for _ in range(rng.randint(0, 6)):
        market.hold_round()
    for member in market.members.values():
        told = member.net_cost()
        tariff = NetTariff(told.import_price_eur_per_kwh, told.export_price_eur_per_kwh, told.hinges)
        points = np.linspace(-40, 40, 401)
        cost = tariff.cost_eur(np.tile(points, (SLOTS, 1)))
        slopes = np.diff(cost, axis=1) / (points[1] - points[0])
        assert (np.diff(slopes, axis=1) >= -1e-9).all()
        assert slopes.min() >= 0.1 - 1e-9
        assert slopes.max() <= 0.3 + 1e-9
        assert slopes[:, 0] == pytest.approx(0.1)
        assert slopes[:, -1] == pytest.approx(0.3)


def test_once_agreed_only_what_differs_from_the_trades_is_at_the_grid():
    member = Bargaining(terms_of(["a"]), NOTHING, False, np.ones(SLOTS))
    trade = Trade("a", np.full(SLOTS, 0.75), np.full(SLOTS, 0.2))
    told = member.agreed_cost([trade])
    tariff = NetTariff(told.import_price_eur_per_kwh, told.export_price_eur_per_kwh, told.hinges)
    for net_kwh, slope in ((-1.0, 0.1), (0.7, 0.1), (0.8, 0.3)):
        assert tariff.marginal_eur_per_kwh(np.full(SLOTS, net_kwh)) == pytest.approx(slope)
