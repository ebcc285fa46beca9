"""The bilateral market in whole communities: how good it is, and what faults and lies change."""

from __future__ import annotations

import random
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from agents.prosumer import ProsumerMachine
from runtime.configuration import CoordinatorConfig, MemberConfig, Timing
from runtime.grid_terms import GridTerms
from runtime.preferences import TradePreferences
from runtime.protocol.bargain_bodies import BargainReport, TradeProposal
from runtime.protocol.bodies import Acknowledged, AnyBody, parse_body
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.machine import Compute, Effect, Machine
from runtime.records import CoordinatorRecord
from runtime.rundir import COORDINATOR
from runtime.scenario.resolve import resolve
from tests.machines.communities import DOMAIN, Community
from tests.machines.negotiating import negotiate, of_scenario
from tests.machines.network import Network, Node

PATIENT = Timing(join_deadline_s=1e5, round_deadline_s=1e5, delivery_deadline_s=1e5)


def community(seed: int, **changes: object) -> Community:
    settings = {"members": 4, "slots": 8, "deviation": 0.0, "mechanism": "bilateral"} | changes
    return Community(seed, **settings)  # type: ignore[arg-type]


def record_of(network: Network) -> CoordinatorRecord:
    record = network.saved[Path("coordinator.json")]
    assert isinstance(record, CoordinatorRecord)
    return record


@cache
def calm(seed: int) -> CoordinatorRecord:
    return community(seed).run()[0]


# -- how good it is ------------------------------------------------------------------------------------


def score(coordinator: CoordinatorConfig, members: list[MemberConfig]) -> tuple[float, int]:
    """Share of the achievable saving in agreed bills of the first session, and rounds; slots are not held."""
    outcome = negotiate(coordinator, members)
    assert (outcome.bills_eur <= outcome.alone_eur + 1e-6).all(), "nobody is worse off than alone"
    return outcome.score, outcome.negotiation.bargaining_rounds


def bilateral(coordinator: CoordinatorConfig, **changes: object) -> CoordinatorConfig:
    return coordinator.model_copy(update={"mechanism": "bilateral", "parameters": {}, **changes})


@pytest.mark.parametrize("session", [0, 1])
def test_the_built_in_community_saves_99_percent_of_what_can_be_saved_within_40_rounds(session: int) -> None:
    example = resolve("example")
    members = [example.member_config(name) for name in example.members]
    coordinator = example.coordinator_config()
    reached, rounds = score(
        bilateral(coordinator, sessions=coordinator.sessions[session : session + 1]),
        [each.model_copy(update={"sessions": each.sessions[session : session + 1]}) for each in members],
    )
    assert reached >= 0.99
    assert rounds <= 40


def test_members_keep_to_their_shares_of_a_narrow_connection() -> None:
    terms = GridTerms(
        import_limit_kw=Decimal("21.4"),
        export_limit_kw=Decimal("80.8"),
        excess_price_eur_per_kwh=Decimal("0.3"),
    )  # four fifths of what they would take, and give, at most alone
    coordinator, members = of_scenario("example", "bilateral", session=1)
    sessions = [coordinator.sessions[0].model_copy(update={"grid": terms})]
    outcome = negotiate(coordinator.model_copy(update={"sessions": sessions}), members)
    negotiation, tariff = outcome.negotiation, outcome.tariff
    alone, agreed = (
        float(tariff.excess_kwh(net_kwh.sum(axis=0)).sum())
        for net_kwh in (negotiation.positions_of(0), negotiation.agreed_kwh)
    )
    assert agreed < 0.25 * alone
    assert outcome.score >= 0.9
    assert (outcome.bills_eur <= outcome.alone_eur + 1e-6).all()


def test_lorient_saves_99_percent_of_what_can_be_saved_within_40_rounds(lorient_folder: Path) -> None:
    lorient = resolve("lorient", data=lorient_folder)
    coordinator = lorient.coordinator_config()
    sessions = [
        each.model_copy(
            update={
                "export_price_eur_per_kwh": [
                    min(pair)
                    for pair in zip(each.export_price_eur_per_kwh, each.import_price_eur_per_kwh, strict=True)
                ]
            }
        )
        for each in coordinator.sessions
    ]
    members = [lorient.member_config(name) for name in lorient.members]
    reached, rounds = score(bilateral(coordinator, sessions=sessions), members)
    assert reached >= 0.99
    assert rounds <= 40


def test_random_communities_save_nearly_all_that_can_be_saved() -> None:
    shares = []
    for seed in range(8):
        drawn = community(seed, members=5, slots=24)
        members = [each.model_copy(update={"strategy": "optimised"}) for each in drawn.member_configs]
        shares.append(score(drawn.coordinator_config, members)[0])
    assert min(shares) >= 0.97
    assert np.median(shares) >= 0.99


# -- what is settled -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_energy_and_money_balance_and_the_ledger_executes_the_contracts(seed: int) -> None:
    drawn = community(seed, deviation=0.1, high_feed_in=seed % 2 == 1)
    (session,) = drawn.run()[0].sessions
    assert [each.kind for each in session.rounds] == ["prices", "bargaining"]
    assert 1 <= session.bargaining_rounds <= 40
    for contract in session.contracts:
        assert contract.seller != contract.buyer
        for slot, energy in enumerate(contract.energy_kwh):
            buy, sell = (
                session.grid_import_price_eur_per_kwh[slot],
                session.grid_export_price_eur_per_kwh[slot],
            )
            assert energy == 0 or sell <= contract.price_eur_per_kwh[slot] <= buy
            assert energy == 0 or slot not in session.suspended_slots
            # who sells gives energy by its plan and who buys takes it, at least so much
            assert float(energy) <= -session.agreed_net_kwh[contract.seller][slot] + 1e-6 or energy == 0
            assert float(energy) <= session.agreed_net_kwh[contract.buyer][slot] + 1e-6 or energy == 0
    paid = sum((bill.exact_eur for bill in session.bills), Decimal(0))
    grid = sum(
        (
            entry.amount_eur if entry.credit == "grid" else -entry.amount_eur
            for entry in session.ledger
            if "grid" in (entry.credit, entry.debit)
        ),
        Decimal(0),
    )
    assert paid == grid


def test_a_local_fee_is_kept_in_the_bargain() -> None:
    drawn = community(2)
    terms = drawn.coordinator_config.sessions[0]
    fee = Decimal("0.03")
    grid = terms.grid.model_copy(update={"local_fee_eur_per_kwh": fee})
    session_config = terms.model_copy(update={"grid": grid})
    drawn.coordinator_config = drawn.coordinator_config.model_copy(update={"sessions": [session_config]})
    (session,) = drawn.run()[0].sessions
    assert session.contracts
    for contract in session.contracts:
        for slot, energy in enumerate(contract.energy_kwh):
            if energy:
                assert slot not in session.suspended_slots
                price = contract.price_eur_per_kwh[slot]
                assert session.grid_export_price_eur_per_kwh[slot] + fee / 2 <= price
                assert price <= session.grid_import_price_eur_per_kwh[slot] - fee / 2


def test_the_coordinator_takes_no_part_in_the_bargaining() -> None:
    network = Network()
    (session,) = community(3).run(network)[0].sessions
    proposals = [each for each in network.sent if each.protocol == "bargaining"]
    assert proposals
    assert not [each for each in proposals if COORDINATOR in each.sender + each.recipient]
    asked = [
        each for each in network.sent if each.sender.startswith(COORDINATOR) and each.protocol == "market"
    ]
    kinds = [parse_body(each.body).type for each in asked]
    assert kinds.count("bargain-call") == 4
    told = [each for each in proposals if isinstance(parse_body(each.body), TradeProposal)]
    assert len(told) == 4 * 3 * session.bargaining_rounds


# -- order, loss, crashes ------------------------------------------------------------------------------


@pytest.mark.parametrize("order", range(6))
def test_the_ledger_does_not_depend_on_order_loss_or_repetition(order: int) -> None:
    quiet, _ = community(order, sessions=2, slots=4, timing=PATIENT).run()
    network = Network(random.Random(order), loss=0.1, doubling=0.2)
    rough, _ = community(order, sessions=2, slots=4, timing=PATIENT).run(network)
    assert rough == quiet


class Crashing(Machine):
    """Stands for a member's machine and, at an event, makes it anew from all events so far."""

    def __init__(self, community: Community, name: str, at_event: int) -> None:
        config = next(each for each in community.member_configs if each.name == name)
        self._new = lambda: ProsumerMachine(config, f"{name}@{DOMAIN}", Path(f"{name}.json"))
        self._machine = self._new()
        super().__init__(self._machine.jid)
        self._events: list[tuple[str, tuple[object, ...]]] = []
        self._jobs: dict[str, Compute] = {}
        self._at_event = at_event
        self.crashed_in_bargaining = False

    def _happens(self, event: str, *arguments: object) -> list[Effect]:
        self._events.append((event, arguments))
        if len(self._events) == self._at_event:
            before, self._machine = self._machine, self._new()
            self.crashed_in_bargaining = not before._bargainer._over
            for name, given in self._events[:-1]:
                replayed = self._play(name, *given)
                self._jobs |= {each.name: each for each in replayed if isinstance(each, Compute)}
        return self._play(event, *arguments)

    def _play(self, event: str, *arguments: object) -> list[Effect]:
        if event == "computed" and arguments[0] in self._jobs:
            # worked out again, as after a crash: the result was not kept
            arguments = (arguments[0], self._jobs.pop(str(arguments[0])).work())
        effects: list[Effect] = getattr(self._machine, event)(*arguments)
        return effects

    def start(self) -> list[Effect]:
        return self._happens("start")

    def receive(self, envelope: Envelope, body: AnyBody) -> list[Effect]:
        return self._happens("receive", envelope, body)

    def timer(self, name: str) -> list[Effect]:
        return self._happens("timer", name)

    def computed(self, name: str, result: object) -> list[Effect]:
        return self._happens("computed", name, result)

    def complain(self, about: Envelope, performative: Performative, reason: str) -> list[Effect]:
        return self._happens("complain", about, performative, reason)

    def on_start(self) -> None: ...

    def on_message(self, envelope: Envelope, body: AnyBody) -> None: ...


@pytest.mark.parametrize("at_event", [8, 21, 50])
def test_a_member_that_crashes_while_bargaining_goes_on_from_its_log(at_event: int) -> None:
    drawn, network = community(3), Network()
    drawn.put_on(network)
    crashing = Crashing(drawn, "m1", at_event)
    network.nodes[f"m1@{DOMAIN}"] = Node(crashing)
    network.run()
    assert crashing.crashed_in_bargaining
    assert record_of(network) == calm(3)


def test_a_member_that_falls_silent_is_left_out_and_the_others_go_on() -> None:
    drawn, network = community(3), Network()
    drawn.put_on(network)
    silent = network.nodes[f"m1@{DOMAIN}"]
    original = silent.machine.receive

    def receive(envelope: Envelope, body: AnyBody) -> list[Effect]:
        if isinstance(body, TradeProposal) and body.round == 5:
            silent.away = True
            silent.timers.clear()
            return []
        return original(envelope, body)

    silent.machine.receive = receive  # type: ignore[method-assign]
    network.nodes[f"m1.meter@{DOMAIN}"].away = True
    network.run()
    (session,) = record_of(network).sessions
    assert session.rounds[1].late == ["m1"]
    assert session.contracts
    assert all("m1" not in (each.seller, each.buyer) for each in session.contracts)
    assert session.agreed_net_kwh["m1"] == session.rounds[0].net_kwh["m1"]


def test_a_member_that_was_left_out_is_told_so_when_it_comes_back() -> None:
    drawn, network = community(3), Network()
    drawn.put_on(network)
    post, held = network._post, []

    def delayed(envelope: Envelope) -> None:
        body = parse_body(envelope.body)
        number = body.round if isinstance(body, TradeProposal) else 0
        if envelope.sender == f"m1@{DOMAIN}" and number >= 5:
            held.append(envelope)
            return
        post(envelope)
        if envelope.sender == f"m0@{DOMAIN}" and number == 9:
            while held:
                post(held.pop())

    network._post = delayed  # type: ignore[method-assign]
    network.run()
    refusals = [each for each in network.sent if each.recipient == f"m1@{DOMAIN}" and "left out" in each.body]
    assert refusals
    (session,) = record_of(network).sessions
    assert session.contracts
    assert all("m1" not in (each.seller, each.buyer) for each in session.contracts)


# -- lies ----------------------------------------------------------------------------------------------


def run_with(seed: int, change: object) -> tuple[Network, CoordinatorRecord]:
    """Run with every outgoing message passed through ``change(envelope, body)``; None leaves it."""
    drawn, network = community(seed), Network()
    drawn.put_on(network)
    post = network._post

    def changed(envelope: Envelope) -> None:
        body = change(envelope, parse_body(envelope.body))  # type: ignore[operator]
        if body is not None:
            text = body if isinstance(body, str) else body.to_json()
            envelope = Envelope(**{**{k: getattr(envelope, k) for k in envelope.__slots__}, "body": text})
        post(envelope)

    network._post = changed  # type: ignore[method-assign]
    network.run()
    return network, record_of(network)


def pairs_of(record: CoordinatorRecord) -> dict[tuple[str, str], list[Decimal]]:
    (session,) = record.sessions
    return {(each.seller, each.buyer): each.energy_kwh for each in session.contracts}


def test_a_trade_that_the_other_side_denies_is_no_contract_and_the_rest_stands() -> None:
    honest = pairs_of(calm(2))
    seller, buyer = next(iter(honest))

    def deny(envelope: Envelope, body: AnyBody) -> AnyBody | None:
        if isinstance(body, BargainReport) and envelope.sender == f"{seller}@{DOMAIN}":
            return body.model_copy(update={"trades": [t for t in body.trades if t.partner != buyer]})
        return None

    _, record = run_with(2, deny)
    both = {(seller, buyer), (buyer, seller)}
    assert pairs_of(record) == {pair: energy for pair, energy in honest.items() if pair not in both}


@pytest.mark.parametrize("factor", [2.0, 1.000001])
def test_more_than_was_agreed_is_not_settled(factor: float) -> None:
    seller, _ = next(iter(pairs_of(calm(2))))

    def more(envelope: Envelope, body: AnyBody) -> AnyBody | None:
        if isinstance(body, BargainReport) and envelope.sender == f"{seller}@{DOMAIN}":
            trades = [
                trade.model_copy(update={"sale_kwh": [factor * energy for energy in trade.sale_kwh]})
                for trade in body.trades
            ]
            return body.model_copy(update={"trades": trades})
        return None

    _, record = run_with(2, more)
    assert all(pair[0] != seller for pair in pairs_of(record))


def test_a_trade_claimed_in_anothers_name_changes_nothing() -> None:
    stranger = next(name for name in ("m0", "m1", "m2", "m3") if name not in next(iter(pairs_of(calm(2)))))

    def claim(envelope: Envelope, body: AnyBody) -> AnyBody | None:
        if isinstance(body, BargainReport) and envelope.sender == f"{stranger}@{DOMAIN}":
            told = {trade.partner for trade in body.trades}
            claimed = [
                {"partner": name, "slots": [0], "purchase_kwh": [0.5], "sale_kwh": [0.0],
                 "price_eur_per_kwh": [0.15]}
                for name in ("m0", "m1", "m2", "m3") if name not in told
            ]  # fmt: skip
            return type(body).model_validate(
                body.model_dump() | {"trades": [*body.model_dump()["trades"], *claimed]}
            )
        return None

    _, record = run_with(2, claim)
    assert record == calm(2)


@pytest.mark.parametrize("said", ["NaN", "1e999", "-1.0", '"much"', "1e7"])
def test_a_proposal_that_is_no_number_leaves_its_sender_out_and_the_others_trade(said: str) -> None:
    def spoil(envelope: Envelope, body: AnyBody) -> str | None:
        if isinstance(body, TradeProposal) and envelope.sender == f"m1@{DOMAIN}" and body.round > 2:
            return envelope.body.replace('"purchase_kwh":[', f'"purchase_kwh":[{said},')
        return None

    drawn, network = community(2), Network()
    drawn.put_on(network)
    post = network._post

    def changed(envelope: Envelope) -> None:
        text = spoil(envelope, parse_body(envelope.body))
        fields = {name: getattr(envelope, name) for name in envelope.__slots__}
        post(envelope if text is None else Envelope(**{**fields, "body": text}))

    network._post = changed  # type: ignore[method-assign]
    network.run()
    (session,) = record_of(network).sessions
    assert session.contracts
    assert all("m1" not in (each.seller, each.buyer) for each in session.contracts)
    assert [bill.member for bill in session.bills] == ["m0", "m1", "m2", "m3"]


def proposal(session: int, slots: int = 8, number: int = 1) -> TradeProposal:
    return TradeProposal(
        session=session,
        round=number,
        purchase_kwh=[0.0] * slots,
        sale_kwh=[5.0] * slots,
        price_eur_per_kwh=[0.1] * slots,
        residual_kwh=None,
        green=True,
    )


@pytest.mark.parametrize(
    ("sender", "body", "when"),
    [
        ("thief", proposal(0), 1),  # a stranger, before the call
        ("thief", proposal(0), 3),  # and while bargaining
        ("m2", proposal(0, slots=7, number=30), 3),  # not the slots of the session
        ("m2", proposal(0, number=999), 3),  # no round of this bargaining
        ("m2", proposal(7), 3),  # no session
        ("coordinator", proposal(0, number=3), 3),
        ("m1.meter", proposal(0, number=3), 3),
        ("thief", Acknowledged(), 3),
    ],
)
def test_who_is_no_partner_or_speaks_out_of_turn_is_refused_and_changes_nothing(
    sender: str, body: AnyBody, when: int
) -> None:
    drawn, network = community(3), Network()
    drawn.put_on(network)
    target = network.nodes[f"m1@{DOMAIN}"]
    forged = Envelope(
        f"{sender}@{DOMAIN}",
        f"m1@{DOMAIN}",
        Performative.PROPOSE,
        "bargaining",
        "session-0",
        "forged",
        body.to_json(),
        expects_reply=True,
    )
    original = target.machine.receive
    told = [0]

    def receive(envelope: Envelope, received: AnyBody) -> list[Effect]:
        told[0] += received.type in ("bargain-call", "trade-proposal", "price-signal")
        if told[0] == when and envelope.message_id != "forged":
            network.in_flight.append(forged)
        return original(envelope, received)

    target.machine.receive = receive  # type: ignore[method-assign]
    network.run()
    refusals = [each for each in network.sent if each.in_reply_to == "forged"]
    assert {each.performative for each in refusals} == {Performative.REFUSE}
    assert record_of(network).sessions[0].ledger == calm(3).sessions[0].ledger


# -- preferences ---------------------------------------------------------------------------------------


def street(premium_eur_per_kwh: float) -> Community:
    """A roof whose kWh a slot two houses would each like to have; the first prefers green energy."""
    drawn = community(1, members=3)
    for number, member in enumerate(drawn.member_configs):
        role, series = ("pv", "pv_production_kwh") if number == 0 else ("load", "load_kwh")
        (session,) = member.sessions
        wanted = premium_eur_per_kwh if number == 1 else 0.0
        changes = {
            "roles": [role],
            "battery": None,
            "sessions": [
                session.model_copy(update={"load_kwh": None, "pv_production_kwh": None, series: [1.0] * 8})
            ],
            "preferences": TradePreferences(green_eur_per_kwh=wanted),
        }
        drawn.member_configs[number] = member.model_copy(update=changes)
        drawn.metered_kwh[member.name] = [{role: [1.0] * 8}]
    return drawn


@pytest.mark.parametrize(("premium", "first", "second"), [(0.0, 4.0, 4.0), (0.1, 8.0, 0.0)])
def test_who_prefers_green_energy_gets_it_where_it_is_scarce(
    premium: float, first: float, second: float
) -> None:
    record, _ = street(premium).run()
    bought = {pair: float(sum(energy)) for pair, energy in pairs_of(record).items()}
    assert bought.get(("m0", "m1"), 0.0) == pytest.approx(first, abs=0.1)
    assert bought.get(("m0", "m2"), 0.0) == pytest.approx(second, abs=0.1)
