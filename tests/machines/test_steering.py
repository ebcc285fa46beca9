"""Prosumers tell their battery's controller what each slot asks of it; no controller changes the market."""

from __future__ import annotations

import random

import pytest

from agents.setpoints.machine import ControllerMachine
from agents.setpoints.moments import Moment
from agents.setpoints.target import Carried, TargetError
from runtime.messagelog.reader import read_log
from runtime.messagelog.writer import MessageLog
from runtime.messaging.feed import LogFeed
from runtime.protocol.bodies import Setpoint, SetpointCancel, SetpointSubscribe, parse_body
from runtime.protocol.envelope import Performative
from runtime.protocol.machine import Finish, Machine
from runtime.protocol.reactions import Reactions
from runtime.rundir import controller_account
from runtime.setpoints import SetpointTable
from tests.machines.communities import DOMAIN, Community
from tests.machines.network import Network

SLOTS, SESSIONS = 6, 2
GIVEN = SetpointTable(
    target="mqtt://h/t", max_charge_kw=100, max_discharge_kw=100, min_interval_s=0, dry_run=False
)


class Device:
    def __init__(self, fails=False):
        self.fails, self.orders = fails, []

    def carry_out(self, order, *, dry_run):
        if self.fails:
            raise TargetError("no connection")
        self.orders.append(order)
        return Carried(order.power_kw, "registers")


class SteeredNetwork(Network):
    """Does not wait for controllers, nor for anybody who is away."""

    @property
    def waited_for(self):
        return [
            node for node in super().waited_for if not isinstance(node.machine, ControllerMachine | Asking)
        ]


def controller(made, device, member="m0", **options):
    return ControllerMachine(
        f"{controller_account(member)}@{DOMAIN}",
        f"{member}@{DOMAIN}",
        device,
        GIVEN,
        made.horizons,
        lambda setpoint: Moment(0.0, 1800.0),
        timed=False,
        **options,
    )


def community(seed=3, **options):
    """A community whose first member has a battery that is optimised, and is steered."""
    for number in range(seed, seed + 200):
        made = Community(number, 3, SLOTS, SESSIONS, **options)
        config = made.member_configs[0]
        if config.battery is not None and config.strategy == "optimised":
            made.member_configs[0] = config.model_copy(update={"steered": True})
            return made
    raise AssertionError("no such community")


def told(network, member="m0"):
    found = [
        parse_body(envelope.body) for envelope in network.sent if envelope.sender == f"{member}@{DOMAIN}"
    ]
    return [body for body in found if isinstance(body, Setpoint)]


def run(made, *machines, network=None):
    network = network or SteeredNetwork()
    for machine in machines:
        network.add(machine)
    record, members = made.run(network)
    while network.in_flight:  # the farewells
        network._deliver(network.in_flight.pop(0))
    return network, record, members["m0"]


def powers_kw(own, hours=0.5):
    return [
        (given - taken) / hours
        for session in own.sessions
        for given, taken in zip(session.battery_discharge_kwh, session.battery_charge_kwh, strict=True)
    ]


def test_every_slot_has_one_set_point_and_it_is_what_the_battery_then_does():
    made, device = community(), Device()
    network, _, own = run(made, controller(made, device))
    setpoints = told(network)
    places = [(body.session, body.slot) for body in setpoints]
    assert places == [(session, slot) for session in range(SESSIONS) for slot in range(SLOTS)]
    assert [body.power_kw for body in setpoints] == pytest.approx(powers_kw(own), abs=1e-6)
    assert any(body.power_kw for body in setpoints)
    stored = [kwh for session in own.sessions for kwh in session.stored_kwh]
    assert [body.stored_kwh for body in setpoints] == pytest.approx(stored, abs=1e-6)
    assert [order.power_kw for order in device.orders] == [
        *(body.power_kw for body in setpoints),
        None,  # control given back at the end
    ]


class Dawdling(SteeredNetwork):
    """Delivers what a controller says when there is nothing else to deliver; notes what came too late."""

    def __init__(self):
        super().__init__()
        self.too_late = []

    def _deliver(self, envelope):
        others = [each for each in self.in_flight if ".controller@" not in each.sender]
        if ".controller@" in envelope.sender and others:
            self.in_flight.append(envelope)
            envelope = others[0]
            self.in_flight.remove(envelope)
        if self.nodes[envelope.recipient].finished:
            self.too_late.append(envelope)
        super()._deliver(envelope)


def test_a_member_leaves_once_its_controller_has_said_its_last():
    made, device = community(), Device()
    network, *_ = run(made, controller(made, device), network=Dawdling())
    assert network.too_late == []
    (said,) = [each for each in network.sent if '"setpoints-ended"' in each.body]
    last = next(each for each in reversed(network.sent) if ".controller@" in each.sender)
    assert (last.in_reply_to, last.performative) == (said.message_id, Performative.CONFIRM)
    assert network.nodes[f"m0.controller@{DOMAIN}"].finished


def test_set_points_come_in_order_though_messages_are_lost_doubled_and_overtaken():
    made, device = community(), Device()
    network = SteeredNetwork(random.Random(5), loss=0.15, doubling=0.2)
    run(made, controller(made, device), network=network)
    slots = [order.slot_start for order in device.orders if order.slot_start is not None]
    assert slots == sorted(set(slots))
    assert len(slots) >= SLOTS


@pytest.mark.parametrize("device", [None, Device(fails=True)])
def test_the_market_settles_the_same_without_an_answer_and_with_a_device_that_fails(device):
    _, plain, _ = run(Community(community().coordinator_config.seed, 3, SLOTS, SESSIONS))
    made = community()
    machines = [] if device is None else [controller(made, device)]
    network, record, _ = run(made, *machines)
    assert record.sessions == plain.sessions
    if device is None:
        waiting = network.nodes[f"m0@{DOMAIN}"].exchange.waiting
        assert not [envelope for envelope in waiting if envelope.protocol == "setpoint"]


class Asking(Machine):
    """A controller's account that asks for set-points by itself, and no more after a few."""

    def __init__(self, member="m0", leaves_after=3):
        super().__init__(f"{controller_account(member)}@{DOMAIN}")
        self.prosumer, self.heard, self.leaves_after = f"{member}@{DOMAIN}", [], leaves_after

    def on_start(self):
        self.say(SetpointSubscribe(target="mqtt://h/t", dry_run=True), Performative.SUBSCRIBE)

    def say(self, body, performative):
        self.send(
            self.prosumer,
            performative,
            body,
            protocol="setpoint",
            conversation="setpoint",
            expects_reply=True,
        )

    def on_message(self, envelope, body):
        self.heard.append(body)
        if isinstance(body, Setpoint) and self.leaves_after == sum(
            isinstance(b, Setpoint) for b in self.heard
        ):
            self.say(SetpointCancel(), Performative.CANCEL)


def test_who_asks_is_told_from_the_slot_that_runs_until_it_leaves():
    made = community()
    made.member_configs[0] = made.member_configs[0].model_copy(update={"steered": False})
    asking = Asking()
    network, _, _ = run(made, asking)
    heard = [body.type for body in asking.heard]
    assert heard[0] == "acknowledged"
    assert 3 <= heard.count("setpoint") <= 5
    assert "setpoints-ended" not in heard
    assert len(told(network)) == heard.count("setpoint")


def test_who_has_no_battery_has_nothing_to_be_asked_for():
    made = community()
    member = next(config.name for config in made.member_configs if config.battery is None)
    asking = Asking(member)
    network, _, _ = run(made, asking)
    assert asking.heard[0].reason == f"{member} has no battery to be steered"
    assert told(network, member) == []


def test_a_controllers_log_brings_it_back_without_writing_anything(tmp_path):
    """Its events are replayed, what it wrote is not written again, and it says what it said."""
    made, device = community(), Device()
    log = MessageLog.open(tmp_path / "m0.controller.jsonl", "m0.controller")

    class Logged(SteeredNetwork):
        def _computed(self, node, name, result):
            if isinstance(node.machine, ControllerMachine):
                kept = self.kept[name]
                log.append_event("computed", {"name": name, "result": kept.written(result)})
            return super()._computed(node, name, result)

        def _perform(self, node, effects):
            for effect in effects:
                if isinstance(node.machine, ControllerMachine):
                    if hasattr(effect, "kept"):
                        self.kept[effect.name] = effect.kept
                    if hasattr(effect, "envelope"):
                        log.append_sent([effect.envelope])
                super()._perform(node, [effect])

        def _deliver(self, envelope):
            if envelope.recipient.startswith("m0.controller@"):
                log.append_in(envelope)
            super()._deliver(envelope)

    network = Logged()
    network.kept = {}
    log.append_event("started", {})
    run(made, controller(made, device), network=network)
    written = list(device.orders)
    assert len(written) == SLOTS * SESSIONS + 1

    again = controller(made, device)
    feed = LogFeed(Reactions(again))
    log.close()
    for record in read_log(tmp_path / "m0.controller.jsonl"):
        feed.feed(record)
    assert device.orders == written
    assert feed.unsent == {}
    assert feed.jobs == {}
    assert feed.ended == [Finish()]
