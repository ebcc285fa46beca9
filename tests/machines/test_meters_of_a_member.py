"""Several meters of one member: each reads its own roles, what the grid's meter reads counts, corrections."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from runtime.protocol.bodies import (
    Acknowledged,
    AdjustmentLine,
    DeliveryCorrection,
    MeterAttach,
    MeterDetach,
    MeteringEnded,
    Reading,
    ReadingCorrection,
    ReadingRequest,
    Reason,
    parse_body,
)
from runtime.protocol.envelope import Performative
from runtime.protocol.machine import Finish, Machine
from runtime.protocol.meter_bodies import records_of
from runtime.results.ledger import check_ledger
from runtime.rundir import attached_meter_account
from tests.machines.communities import DOMAIN, Community
from tests.machines.network import Network

SLOTS = 6
LOAD, PV, NET, BATTERY = 2.0, 0.5, 1.25, 0.75


class Attached(Machine):
    """A meter that attaches itself when the run begins; what it reads is told it."""

    def __init__(self, number, roles, energies_kwh, member="m0"):
        super().__init__(f"{attached_meter_account(member, number)}@{DOMAIN}")
        self.roles, self.energies_kwh = roles, energies_kwh
        self.prosumer = f"{member}@{DOMAIN}"
        self.heard = []

    def on_start(self):
        self.tell(MeterAttach(roles=self.roles, source="played:"), Performative.SUBSCRIBE)

    def tell(self, body, performative=Performative.INFORM):
        self.send(
            self.prosumer, performative, body, protocol="metering", conversation="m", expects_reply=True
        )

    def on_message(self, envelope, body):
        self.heard.append(body)
        if isinstance(body, MeteringEnded):
            self.do(Finish())
        elif isinstance(body, ReadingRequest):
            self.answer(envelope, body)

    def answer(self, envelope, body):
        records = [record for role in body.roles for record in records_of(role, self.energies_kwh[role])]
        reading = Reading(session=body.session, slot=body.slot, bt=body.slot_start.timestamp(), e=records)
        self.reply(envelope, Performative.INFORM, reading)

    def refusals(self):
        return [body.reason for body in self.heard if isinstance(body, Reason)]


def community(seed=3, **options):
    """A community whose first member has load, PV and battery."""
    for number in range(seed, seed + 200):
        made = Community(number, 3, SLOTS, **options)
        config = made.member_configs[0]
        if config.roles == ["load", "pv"] and config.battery is not None:
            return made
    raise AssertionError("no such community")


def run(made, *meters, network=None):
    network = network or Network()
    made.put_on(network)
    for meter in meters:
        network.add(meter)
    record, members = _run(made, network)
    check_ledger(record)
    return record.sessions[0], members["m0"].sessions[0]


def _run(made, network):
    """Attach the meters before anything else happens, then run."""
    meters = [node for node in network.nodes.values() if isinstance(node.machine, Attached)]
    for node in meters:
        network._perform(node, node.machine.start())
    while network.in_flight:
        network._deliver(network.in_flight.pop(0))
    for node in meters:
        node.machine.start = list
    network.run()
    members = {config.name: network.saved[Path(f"{config.name}.json")] for config in made.member_configs}
    return network.saved[Path("coordinator.json")], members


def metered_kwh(made, role):
    return made.metered_kwh["m0"][0][role]


def test_meters_for_load_pv_and_battery_at_once_make_the_delivery():
    made = community()
    meters = [
        Attached(2, ["load"], {"load": LOAD}),
        Attached(3, ["pv"], {"pv": PV}),
        Attached(4, ["battery"], {"battery": BATTERY}),
    ]
    session, own = run(made, *meters)
    assert own.load_kwh == [LOAD] * SLOTS
    assert own.pv_kwh == [PV] * SLOTS
    assert own.battery_discharge_kwh == [BATTERY] * SLOTS
    assert own.net_kwh == [LOAD - PV - BATTERY] * SLOTS
    assert own.unmetered_kwh == []
    assert own.meter == ["m0.meter2,m0.meter3,m0.meter4"] * SLOTS
    mine = [each for each in session.deliveries if each.member == "m0"]
    assert {each.net_kwh for each in mine} == {Decimal("0.750000000")}
    assert {(each.quality, *each.meters) for each in mine} == {
        ("metered", "m0.meter2", "m0.meter3", "m0.meter4")
    }


def test_a_charging_battery_counts_with_its_sign():
    _, own = run(
        community(), Attached(2, ["battery", "load", "pv"], {"battery": -1.0, "load": 2.0, "pv": 0.5})
    )
    assert own.net_kwh == [2.5] * SLOTS
    assert own.battery_charge_kwh == [1.0] * SLOTS


def test_the_exchange_with_the_grid_is_the_delivery_and_the_difference_is_unmetered():
    made = community()
    meters = [
        Attached(2, ["net"], {"net": NET}),
        Attached(3, ["load", "pv"], {"load": LOAD, "pv": PV}),
        Attached(4, ["battery"], {"battery": BATTERY}),
    ]
    session, own = run(made, *meters)
    assert own.net_kwh == [NET] * SLOTS
    assert own.load_kwh == [LOAD] * SLOTS
    assert own.unmetered_kwh == pytest.approx([NET - (LOAD - PV - BATTERY)] * SLOTS)
    mine = [each for each in session.deliveries if each.member == "m0"]
    assert {(str(each.net_kwh), *each.meters) for each in mine} == {("1.250000000", "m0.meter2")}


def test_with_the_exchange_alone_the_load_is_what_closes_the_balance():
    made = community()
    net = Attached(2, ["net"], {"net": NET})
    _, own = run(made, net)
    assert own.net_kwh == [NET] * SLOTS
    assert own.pv_kwh == metered_kwh(made, "pv")
    for slot in range(SLOTS):
        battery = own.battery_discharge_kwh[slot] - own.battery_charge_kwh[slot]
        balance = own.load_kwh[slot] - own.pv_kwh[slot] - battery
        unmetered = own.unmetered_kwh[slot] if own.unmetered_kwh else 0.0
        assert balance + unmetered == pytest.approx(NET)
        assert own.load_kwh[slot] >= 0
        assert unmetered == 0 or own.load_kwh[slot] == 0
    assert set(own.meter) == {"m0.meter,m0.meter2"}


def test_a_role_has_one_meter_and_a_member_the_roles_it_has():
    made = community()
    first = Attached(2, ["load"], {"load": LOAD})
    second = Attached(3, ["load", "pv"], {"load": 9.0, "pv": 9.0})
    _, own = run(made, first, second)
    assert any("load of m0 is read by m0.meter2" in reason for reason in second.refusals())
    assert own.load_kwh == [LOAD] * SLOTS
    assert own.pv_kwh == metered_kwh(made, "pv")


def test_a_member_without_a_battery_has_none_to_be_metered():
    made = next(
        each
        for each in (Community(number, 3, SLOTS) for number in range(100))
        if each.member_configs[0].battery is None and each.member_configs[0].roles == ["load"]
    )
    meter = Attached(2, ["battery"], {"battery": 1.0})
    _, own = run(made, meter)
    assert meter.refusals() == ["m0 has no battery to be metered"]
    assert own.load_kwh == metered_kwh(made, "load")


def test_a_meter_speaks_for_its_own_roles_and_member_only():
    made = community()

    class Greedy(Attached):
        def answer(self, envelope, body):
            start_s = body.slot_start.timestamp()
            if body.slot == 2:
                records = [*records_of("load", LOAD), *records_of("pv", 99.0)]
                self.reply(
                    envelope,
                    Performative.INFORM,
                    Reading(session=0, slot=2, bt=start_s, e=records),
                    expects_reply=True,
                )
                self.prosumer = f"m1@{DOMAIN}"
                self.tell(Reading(session=0, slot=2, bt=start_s, e=records_of("load", 99.0)))
                self.prosumer = f"m0@{DOMAIN}"
            super().answer(envelope, body)

    greedy = Greedy(2, ["load"], {"load": LOAD})
    session, own = run(made, greedy)
    assert any("was not asked for pv of slot 2" in reason for reason in greedy.refusals())
    assert any("a meter may speak with its own member only" in reason for reason in greedy.refusals())
    assert own.pv_kwh == metered_kwh(made, "pv")
    assert 99.0 not in own.load_kwh
    assert {each.quality for each in session.deliveries} == {"metered"}


class Late(Attached):
    """Has no reading of some slots in time, and tells the real one some slots later."""

    gap = (1, 2)
    tells_at = 4

    def answer(self, envelope, body):
        if body.slot in self.gap:
            self.reply(envelope, Performative.FAILURE, Reason(reason="cable cut"))
            return
        if body.slot == self.tells_at:
            for slot in self.gap:
                start_s = body.slot_start.timestamp() - (self.tells_at - slot) * 1800
                self.tell(ReadingCorrection(session=0, slot=slot, bt=start_s, e=records_of("load", 7.5)))
        super().answer(envelope, body)


def test_a_real_value_that_comes_later_corrects_the_slot_and_the_bill():
    made = community()
    late = Late(2, ["load"], {"load": LOAD})
    network = Network()
    session, own = run(made, late, network=network)
    assert own.quality == ["metered"] * SLOTS
    assert own.corrected_slots == [1, 2]
    assert [own.load_kwh[slot] for slot in (1, 2)] == [7.5, 7.5]
    assert own.load_kwh[3] == LOAD
    assert sum(isinstance(body, Acknowledged) for body in late.heard) == 2
    mine = {each.slot: each for each in session.deliveries if each.member == "m0"}
    for slot in (1, 2):
        assert float(mine[slot].net_kwh) == pytest.approx(own.net_kwh[slot], abs=1e-9)
        assert mine[slot].settled_quality == "estimated"
        assert mine[slot].settled_net_kwh != mine[slot].net_kwh
        entries = [e for e in session.ledger if e.kind == "correction" and e.slot == slot]
        assert {entry.member for entry in entries} == {"m0"}
        difference = mine[slot].net_kwh - mine[slot].settled_net_kwh
        assert sum(entry.taken_kwh for entry in entries) == difference
    bill = next(each for each in session.bills if each.member == "m0")
    assert bill.exact_of("correction") == sum(
        entry.paid_eur("m0") for entry in session.ledger if entry.kind == "correction"
    )
    told = [parse_body(each.body) for each in network.sent if "adjustment-line" in each.body]
    assert {line.slot for line in told if isinstance(line, AdjustmentLine)} == {1, 2}


def test_the_same_correction_again_changes_nothing_more():
    made = community()
    calm, _ = run(community(), Late(2, ["load"], {"load": LOAD}))

    class Insisting(Late):
        def tell(self, body, performative=Performative.INFORM):
            super().tell(body, performative)
            if isinstance(body, ReadingCorrection):
                super().tell(body, performative)

    network = Network()
    session, _ = run(made, Insisting(2, ["load"], {"load": LOAD}), network=network)
    assert session.ledger == calm.ledger
    corrections = [each for each in network.sent if '"delivery-correction"' in each.body]
    assert len({each.message_id for each in corrections}) == 2


def test_a_correction_of_what_another_meter_reads_or_of_a_closed_session_is_refused():
    made = community(sessions=2)

    class Wrong(Attached):
        def answer(self, envelope, body):
            start_s = body.slot_start.timestamp()
            if (body.session, body.slot) == (0, 3):
                earlier = start_s - 1800
                self.tell(ReadingCorrection(session=0, slot=2, bt=earlier, e=records_of("pv", 1.0)))
                self.tell(ReadingCorrection(session=0, slot=2, bt=0.0, e=records_of("load", 1.0)))
                self.tell(ReadingCorrection(session=0, slot=5, bt=start_s + 3600, e=records_of("load", 1.0)))
            if (body.session, body.slot) == (1, 0):
                first = made.horizons[0].slot_start(0).timestamp()
                self.tell(ReadingCorrection(session=0, slot=0, bt=first, e=records_of("load", 1.0)))
            super().answer(envelope, body)

    wrong = Wrong(2, ["load"], {"load": LOAD})
    session, own = run(made, wrong)
    refused = " | ".join(wrong.refusals())
    assert "was not asked for pv of slot 2" in refused
    assert "bt: found 0, expected" in refused
    assert "slot 5 of session 0 is not being read" in refused
    assert "slot 0 of session 0 is not being read" in refused
    assert own.corrected_slots == []
    assert [e for e in session.ledger if e.kind == "correction"] == []


def test_hot_handover_to_three_meters_and_back_loses_and_doubles_no_slot():
    made = community()

    class Leaving(Attached):
        def answer(self, envelope, body):
            super().answer(envelope, body)
            if body.slot == 3:
                self.tell(MeterDetach(), Performative.CANCEL)

    meters = [
        Leaving(2, ["load"], {"load": LOAD}),
        Leaving(3, ["pv"], {"pv": PV}),
        Leaving(4, ["net"], {"net": NET}),
    ]
    session, own = run(made, *meters)
    assert own.meter[:4] == ["m0.meter2,m0.meter3,m0.meter4"] * 4
    assert own.meter[-1] == "m0.meter"
    assert own.load_kwh[:4] == [LOAD] * 4
    assert own.load_kwh[-1] == metered_kwh(made, "load")[-1]
    assert own.quality == ["metered"] * SLOTS
    mine = [each for each in session.deliveries if each.member == "m0"]
    assert [each.slot for each in mine] == list(range(SLOTS))
    assert [float(each.net_kwh) for each in mine] == pytest.approx(own.net_kwh, abs=1e-9)
    assert mine[0].meters == ["m0.meter4"]
    assert mine[-1].meters == ["m0.meter"]


def test_a_reading_after_its_deadline_corrects_the_slot():
    made = community()

    class Slow(Attached):
        """Answers slot 1 only when it is asked for slot 3."""

        kept = None

        def answer(self, envelope, body):
            if body.slot == 1 and self.kept is None:
                self.kept = envelope, body
                return
            super().answer(envelope, body)
            if body.slot == 3 and self.kept is not None:
                super().answer(*self.kept)

    network = Network()
    session, own = run(made, Slow(2, ["load"], {"load": LOAD}), network=network)
    assert own.corrected_slots == [1]
    assert own.load_kwh == [LOAD] * SLOTS
    mine = {each.slot: each for each in session.deliveries if each.member == "m0"}
    assert (mine[1].settled_quality, mine[1].quality) == ("estimated", "metered")
    assert any(isinstance(parse_body(each.body), DeliveryCorrection) for each in network.sent)
