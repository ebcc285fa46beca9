"""Whole communities in any weather: what arrives in the end is settled as in calm, what does not by the rule.

The weather loses, doubles, delays and reorders messages, cuts agents off, has them stand still, and kills any
of them at any byte of its log, several times, also while it comes back.
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from runtime.configuration import Timing
from runtime.messaging import asked_again
from runtime.records import CoordinatorRecord
from tests.machines.communities import Community
from tests.machines.rolling import rolling
from tests.machines.storm import Weather
from tests.machines.stormy_communities import Outcome, drawn_weather, live_through
from tests.machines.two_communities import TwoCommunities

PATIENT = Timing(join_deadline_s=900, round_deadline_s=900, delivery_deadline_s=900)
"""Longer than anybody is away."""

IMPATIENT = Timing(join_deadline_s=60, round_deadline_s=20, delivery_deadline_s=20)

FEW_ROUNDS = {"max_rounds": 4}

MARKETS: dict[str, Any] = {
    "mid-market-rate": {},
    "supply-demand-ratio": {},
    "bill-sharing": {},
    "admm": FEW_ROUNDS,
    "block-tariff": {},
    "double-auction": {},
    "pay-as-bid": {},
    "bilateral": FEW_ROUNDS,
    "coordinated": {},
    "grid-only": {},
    "hybrid": FEW_ROUNDS,
    "rolling admm": FEW_ROUNDS,
    "rolling bilateral": FEW_ROUNDS,
}


def community(market: str, seed: int, timing: Timing = PATIENT) -> Community:
    options: dict[str, Any] = {"parameters": MARKETS[market], "timing": timing}
    if market == "hybrid":
        return TwoCommunities(seed, members=4, slots=2, sessions=2, **options)
    if market.startswith("rolling "):
        mechanism = market.removeprefix("rolling ")
        return rolling(seed, members=3, slots=4, planned=3, replan=2, mechanism=mechanism, **options)
    return Community(seed, members=3, slots=2, sessions=2, mechanism=market, **options)


@cache
def calm(market: str, seed: int) -> Outcome:
    with TemporaryDirectory() as folder:
        return live_through(community(market, seed), Weather(), Path(folder), 0)


@pytest.mark.parametrize("weather", range(2))
@pytest.mark.parametrize("market", MARKETS)
def test_what_arrives_in_the_end_is_settled_as_in_calm(market: str, weather: int, tmp_path: Path) -> None:
    seed = weather
    expected = calm(market, seed)
    rng = random.Random(f"{market} {weather}")
    drawn = drawn_weather(rng, expected.writes, expected.took_s)
    outcome = live_through(community(market, seed), drawn, tmp_path, weather)
    assert outcome.record == expected.record
    assert outcome.settled() == expected.settled()


@pytest.mark.parametrize("market", ["mid-market-rate", "bilateral", "hybrid", "coordinated"])
def test_who_stays_away_is_settled_by_the_rule_and_holds_nobody_up(market: str, tmp_path: Path) -> None:
    seed = 1
    expected = calm(market, seed)
    rng = random.Random(f"away {market}")
    drawn = community(market, seed, IMPATIENT)
    away = rng.choice(drawn.coordinator_config.members)
    weather = Weather(
        latency_s=0.05,
        slot_s=30.0,
        cuts=[(away, rng.uniform(1.0, 30.0), 70.0)],
        kills={away: [expected.writes[away] * 3 // 4]},
        doubling=0.2,
    )
    outcome = live_through(drawn, weather, tmp_path, seed, limit_s=600.0)
    record = outcome.record
    assert touched(record) == {away}
    for session in record.sessions:
        for each in session.deliveries:
            if each.as_settled.quality == "missing":
                agreed_kwh = session.agreed_net_kwh[each.member][each.slot]
                assert float(each.as_settled.net_kwh) == pytest.approx(agreed_kwh, abs=1e-9)


def touched(record: CoordinatorRecord) -> set[str]:
    """Members that were late in a round, or of whom there is no delivery of a slot."""
    late = {name for session in record.sessions for each in session.rounds for name in each.late}
    missing = {
        each.member
        for session in record.sessions
        for each in session.deliveries
        if each.as_settled.quality == "missing"
    }
    return late | missing


def test_the_weather_is_what_it_says(tmp_path: Path) -> None:
    """Agents do die, also as they come back, and the same seed makes the same."""
    expected = calm("mid-market-rate", 0)
    weather = Weather(
        kills=dict.fromkeys(expected.writes, (3, 0, 8)), loss=0.2, doubling=0.3, overtaking=True
    )
    first, again = (
        live_through(community("mid-market-rate", 0), weather, tmp_path / name, 4) for name in ("1", "2")
    )
    assert set(first.killed) == {*expected.writes}
    assert len(first.killed) >= 2 * len(expected.writes)
    assert (first.killed, first.took_s, first.writes) == (again.killed, again.took_s, again.writes)
    assert first.settled() == expected.settled()


def test_a_reply_that_was_lost_with_a_crash_is_missed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The control: where nobody answers who asks again, communities in bad weather come to no end in time."""
    monkeypatch.setattr(asked_again.AskedAgain, "reply_to", lambda *_: None)
    with pytest.raises(AssertionError):
        live_through(community("mid-market-rate", 0), Weather(loss=0.4), tmp_path, 1, limit_s=600.0)
