"""Whole communities of machines: energy and money balance, whatever the network does."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from runtime.configuration import Timing
from runtime.errors import ProtocolError
from runtime.protocol.bodies import (
    Acknowledged,
    MeterAttach,
    MeteredDelivery,
    Position,
    Reason,
    SenmlRecord,
    parse_body,
)
from runtime.protocol.envelope import Envelope, Performative
from tests.machines.communities import DOMAIN, Community
from tests.machines.network import Network

few = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


@few
@given(
    seed=st.integers(0, 10**6),
    members=st.integers(1, 5),
    slots=st.integers(1, 6),
    high_feed_in=st.booleans(),
    mechanism=st.sampled_from(["mid-market-rate", "grid-only"]),
)
def test_energy_and_money_balance_and_batteries_stay_in_bounds(seed, members, slots, high_feed_in, mechanism):
    community = Community(seed, members, slots, mechanism=mechanism, high_feed_in=high_feed_in)
    record, member_records = community.run()
    (session,) = record.sessions
    terms = community.coordinator_config.sessions[0]

    for config in community.member_configs:
        own = member_records[config.name].sessions[0]
        metered = community.metered_kwh[config.name][0]
        for slot in range(slots):
            load, pv = metered.get("load", [0.0] * slots)[slot], metered.get("pv", [0.0] * slots)[slot]
            assert (own.load_kwh[slot], own.pv_kwh[slot]) == (load, pv)
            supply = own.net_kwh[slot] + own.battery_discharge_kwh[slot] + own.pv_kwh[slot]
            assert supply == pytest.approx(own.load_kwh[slot] + own.battery_charge_kwh[slot], abs=1e-9)
        if config.battery is not None:
            stored = np.array(own.stored_kwh)
            assert stored.min() >= config.battery.stored_min_kwh - 1e-9
            assert stored.max() <= config.battery.stored_max_kwh + 1e-9
            if config.battery.soc_end_min is not None:
                assert stored[-1] >= config.battery.soc_end_min * config.battery.capacity_kwh - 1e-9

    delivered = {(each.member, each.slot): each.net_kwh for each in session.deliveries}
    for slot in range(slots):
        buy, sell = terms.import_price_eur_per_kwh[slot], terms.export_price_eur_per_kwh[slot]
        entries = [entry for entry in session.ledger if entry.slot == slot]
        paid = sum((entry.amount_eur for entry in entries if entry.debit.startswith("member:")), Decimal(0))
        earned = sum(
            (entry.amount_eur for entry in entries if entry.credit.startswith("member:")), Decimal(0)
        )
        net = [delivered[name, slot] for name in record.members]
        pooled = mechanism != "grid-only" and sell <= buy
        for_the_grid = [sum(net)] if pooled else net
        at_the_grid = sum(
            (max(q, Decimal(0)) * buy - max(-q, Decimal(0)) * sell for q in for_the_grid), Decimal(0)
        )
        assert paid - earned == at_the_grid
        for name in record.members:  # nobody pays more than the same metered energy costs at the grid
            own_entries = [entry for entry in entries if entry.member == name]
            owed = sum(
                (e.amount_eur if e.debit == f"member:{name}" else -e.amount_eur for e in own_entries),
                Decimal(0),
            )
            q = delivered[name, slot]
            assert owed <= max(q, Decimal(0)) * buy - max(-q, Decimal(0)) * sell

    assert sum(bill.exact_eur for bill in session.bills) == sum(
        (
            e.amount_eur if e.debit.startswith("member:") else -e.amount_eur
            for e in session.ledger
            if e.debit.startswith("member:") or e.credit.startswith("member:")
        ),
        Decimal(0),
    )
    total = sum((bill.exact_eur for bill in session.bills), Decimal(0))
    assert abs(sum((bill.amount_eur for bill in session.bills), Decimal(0)) - total) <= Decimal("0.005")


@few
@given(
    seed=st.integers(0, 10**6),
    order=st.integers(0, 10**6),
    loss=st.floats(0, 0.25),
    doubling=st.floats(0, 0.3),
)
def test_the_ledger_does_not_depend_on_order_loss_or_repetition(seed, order, loss, doubling):
    patient = Timing(join_deadline_s=1e5, round_deadline_s=1e5, delivery_deadline_s=1e5)
    calm, _ = Community(seed, sessions=2, slots=3, timing=patient).run()
    network = Network(random.Random(order), loss=loss, doubling=doubling)
    rough, _ = Community(seed, sessions=2, slots=3, timing=patient).run(network)
    assert rough == calm


def test_the_agreed_round_is_never_worse_for_the_community_than_members_own_plans():
    for seed in range(12):
        record, _ = Community(seed, members=5, slots=8).run()
        costs = [each.community_cost_eur for each in record.sessions[0].rounds]
        assert costs[record.sessions[0].agreed_round] == min(costs)


def test_rounds_can_lower_the_communitys_cost():
    gains = []
    for seed in range(12):
        session = Community(seed, members=5, slots=8).run()[0].sessions[0]
        gains.append(
            session.rounds[0].community_cost_eur - session.rounds[session.agreed_round].community_cost_eur
        )
    assert max(gains) > 1e-3


def test_a_member_that_never_joins_is_named_and_the_others_trade():
    community = Community(1)
    network = Network()
    community.put_on(network)
    network.nodes[f"m2@{DOMAIN}"].away = True
    network.nodes[f"m2.meter@{DOMAIN}"].away = True
    network.run()
    record = next(saved for path, saved in network.saved.items() if path.name == "coordinator.json")
    assert record.absent == ["m2"]
    assert record.members == ["m0", "m1", "m3"]
    assert len(record.sessions[0].ledger) > 0


def test_without_any_member_the_coordinator_says_so():
    community = Community(1, members=1)
    network = Network()
    community.put_on(network)
    for jid, node in network.nodes.items():
        node.away = not jid.startswith("coordinator")
    network.run()
    assert "no member joined" in network.nodes[f"coordinator@{DOMAIN}"].failed


def test_a_member_that_falls_silent_is_late_and_settled_at_its_position():
    community = Community(3)
    network = Network()
    community.put_on(network)
    silent = network.nodes[f"m1@{DOMAIN}"]
    original = silent.machine.receive

    def receive(envelope, body):
        if body.type == "delivery-request" and body.slot == 2:
            silent.away = True
            silent.timers.clear()
            return []
        return original(envelope, body)

    silent.machine.receive = receive
    network.nodes[f"m1.meter@{DOMAIN}"].away = True  # nobody will tell it that metering has ended
    network.run()
    record = next(saved for path, saved in network.saved.items() if path.name == "coordinator.json")
    session = record.sessions[0]
    quality = {(each.slot, each.member): each.quality for each in session.deliveries}
    assert quality[1, "m1"] in ("metered", "estimated")
    assert quality[2, "m1"] == quality[5, "m1"] == "missing"
    agreed = session.rounds[session.agreed_round].net_kwh["m1"]
    settled = {each.slot: float(each.net_kwh) for each in session.deliveries if each.member == "m1"}
    assert settled[4] == pytest.approx(agreed[4], abs=1e-9)


@pytest.mark.parametrize("missed", [{"agreement"}, {"agreement", "session-closed"}, None])
def test_a_member_that_missed_an_agreement_or_a_whole_session_still_comes_to_its_end(missed):
    community = Community(3, sessions=2)
    network = Network()
    community.put_on(network)
    member = network.nodes[f"m1@{DOMAIN}"]
    deliver = network._deliver

    def lose(envelope):
        told = parse_body(envelope.body)
        in_first = getattr(told, "session", None) == 0 and envelope.sender.startswith("coordinator@")
        if envelope.recipient == f"m1@{DOMAIN}" and in_first and (missed is None or told.type in missed):
            return
        deliver(envelope)

    network._deliver = lose
    network.run()
    assert member.finished
    own = network.saved[Path("m1.json")]
    sessions = network.saved[Path("coordinator.json")].sessions
    quality = [{each.quality for each in session.deliveries if each.member == "m1"} for session in sessions]
    assert [len(session.net_kwh) for session in own.sessions] == [6, 6]
    assert (quality[0] == {"missing"}) == (missed is None)
    assert "missing" not in quality[1]


def test_who_has_no_part_in_a_session_cannot_speak_in_it():
    community = Community(7)
    calm, _ = Community(7).run()
    network = Network()
    community.put_on(network)
    coordinator = network.nodes[f"coordinator@{DOMAIN}"].machine
    energies = {"grid_import_kwh": [1.0] * 6, "grid_export_kwh": [0.0] * 6}
    position = Position(session=0, round=0, **energies)
    delivery = MeteredDelivery(session=0, slot=0, grid_import_kwh=1, grid_export_kwh=0, quality="metered")
    for body, performative in ((position, Performative.PROPOSE), (delivery, Performative.INFORM)):
        early = Envelope(
            f"m0@{DOMAIN}", coordinator.jid, performative, "market", "session-0", body.type, body.to_json()
        )
        with pytest.raises(ProtocolError, match="m0 has no part in a session"):
            coordinator.receive(early, body)
    network.run()
    assert network.saved[Path("coordinator.json")] == calm


@pytest.mark.parametrize("asked", ["price-signal", "delivery-request"])
def test_a_member_that_only_acknowledges_is_late(asked):
    community = Community(3)
    network = Network()
    community.put_on(network)
    curt = network.nodes[f"m1@{DOMAIN}"].machine
    original = curt.receive

    def receive(envelope, body):
        if body.type != asked:
            return original(envelope, body)
        curt.reply(envelope, Performative.CONFIRM, Acknowledged())
        return curt._take()

    curt.receive = receive
    network.run()
    session = network.saved[Path("coordinator.json")].sessions[0]
    if asked == "price-signal":
        assert all(each.late == ["m1"] for each in session.rounds)
    else:
        assert {each.quality for each in session.deliveries if each.member == "m1"} == {"missing"}


def test_a_meter_that_falls_silent_is_estimated_from_the_forecast():
    community = Community(5)
    network = Network()
    community.put_on(network)
    for jid, node in network.nodes.items():
        node.away = jid.startswith("m0.meter")
    network.run()
    record = next(saved for path, saved in network.saved.items() if path.name == "m0.json")
    own = record.sessions[0]
    forecast = community.member_configs[0].sessions[0]
    assert set(own.quality) == {"estimated"}
    assert own.load_kwh == (forecast.load_kwh or [0.0] * 6)


def test_strangers_are_refused_and_change_nothing():
    community = Community(7)
    calm, _ = Community(7).run()
    network = Network()
    community.put_on(network)
    coordinator = network.nodes[f"coordinator@{DOMAIN}"].machine
    body = Position(session=0, round=0, grid_import_kwh=[1.0] * 6, grid_export_kwh=[0.0] * 6)
    forged = Envelope(
        f"thief@{DOMAIN}",
        f"coordinator@{DOMAIN}",
        Performative.PROPOSE,
        "market",
        "session-0",
        "x",
        body.to_json(),
    )
    with pytest.raises(ProtocolError, match="not a member"):
        coordinator.receive(forged, body)
    network.run()
    assert network.saved[next(path for path in network.saved if path.name == "coordinator.json")] == calm
    assert not [each for each in network.sent if isinstance(parse_body(each.body), Reason)]


def test_a_meter_speaks_only_for_what_it_was_asked():
    community = Community(2)
    network = Network()
    community.put_on(network)
    config = next(each for each in community.member_configs if each.roles == ["load"])
    prosumer = network.nodes[f"{config.name}@{DOMAIN}"].machine
    answers: list[str] = []
    original = prosumer.receive

    def receive(envelope, body):
        if body.type == "reading":
            more = body.model_copy(update={"e": [*body.e, SenmlRecord(n="pv", v=5.0)]})
            try:
                original(envelope, more)
            except ProtocolError as error:
                answers.append(str(error))
        return original(envelope, body)

    prosumer.receive = receive
    network.run()
    assert answers
    assert all("was not asked for pv" in answer for answer in answers)
    own = network.saved[next(path for path in network.saved if path.name == f"{config.name}.json")]
    assert own.sessions[0].pv_kwh == [0.0] * 6


def test_an_attached_meter_that_falls_silent_gives_way_to_the_members_own():
    community = Community(2, slots=8)
    network = Network()
    community.put_on(network)
    config = next(each for each in community.member_configs if each.roles == ["load"])
    attached = f"{config.name}.meter2@{DOMAIN}"
    prosumer = network.nodes[f"{config.name}@{DOMAIN}"].machine
    body = MeterAttach(roles=["load"], source="csv:gone.csv")
    hello = Envelope(
        attached, prosumer.jid, Performative.SUBSCRIBE, "metering", "metering", "a1", body.to_json()
    )
    original = prosumer.start
    prosumer.start = lambda: [*original(), *prosumer.receive(hello, body)]
    network.run()
    own = network.saved[next(path for path in network.saved if path.name == f"{config.name}.json")].sessions[
        0
    ]
    assert own.quality == ["estimated"] * 3 + ["metered"] * 5
    assert own.meter == [""] * 3 + [f"{config.name}.meter"] * 5
