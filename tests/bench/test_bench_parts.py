"""The parts of the measurement: the community it makes, what it reads from logs, what it says of its aims."""

import asyncio
import json
import os
import time
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest

from runtime.bench.aims import aims_of
from runtime.bench.carrying import Caller, Carried
from runtime.bench.community import write_community
from runtime.bench.day import MEMBERS, SLOTS, write_day
from runtime.bench.growth import exponent_of
from runtime.bench.load import Load, Said, Step, meaning_of, text_of
from runtime.bench.market import MarketRun
from runtime.bench.memory import Memory, some_of
from runtime.bench.plain import all_ready
from runtime.bench.size import Planned, SizeFigures, figures_of, turns_for
from runtime.bench.timings import Spread, Timings, read_timings
from runtime.bench.turns import Compared, Turn, order_of, sessions_at_rest
from runtime.bench.worker import run_worker
from runtime.configuration import CoordinatorConfig, MemberConfig, MetersConfig
from runtime.errors import FleetError, LogError
from runtime.messagelog.writer import MessageLog
from runtime.protocol.bodies import BillLine, DeliveryRequest, MeteredDelivery, Position, PriceSignal
from runtime.protocol.envelope import Envelope, Performative
from runtime.rundir import RunDirectory
from runtime.scenario.resolve import resolve


def spread(median, greatest=None):
    return Spread(median, greatest or median, median, median)


MEMORY = Memory(spread(20.0, 25.0), spread(60.0, 70.0))
PLAIN = Compared(
    ready_s=spread(2.0),
    round_s=spread(0.05, 0.06),
    slot_s=spread(0.1),
    memory=Memory(spread(9.0), spread(50.0)),
    processes=100,
    fleet_times_by_turn=[1.9, 2.0, 9.0],
)
FIGURES = SizeFigures(
    members=100,
    members_per_process=1,
    slots=24,
    ready_s=spread(9.0, 11.0),
    round_s=spread(0.10, 0.2),
    slot_s=spread(0.2, 0.3),
    planned=Planned(spread(0.3), spread(0.05), 20.0, 5000),
    beside={"plain": PLAIN},
    memory={"prosumer": MEMORY},
    member_uss_mib=20.0,
    alone_uss_mib=None,
    call_bytes=400,
    proposal_bytes=400,
    restarts=0,
    resent=0,
)
PACKED = replace(
    FIGURES, members=1000, members_per_process=250, planned=None, round_s=spread(1.0), member_uss_mib=1.0
)


def files_of(directory):
    return {path.name: path.read_bytes() for path in directory.path.rglob("*.json")}


def test_a_community_is_the_same_each_time_and_half_of_it_has_batteries(tmp_path):
    one, two = RunDirectory(tmp_path / "one"), RunDirectory(tmp_path / "two")
    for directory in (one, two):
        write_community(directory, 5, 12, sessions=2)
    assert files_of(one) == files_of(two)
    coordinator = CoordinatorConfig.load(one.coordinator_config)
    members = [MemberConfig.load(one.member_config(name)) for name in coordinator.members]
    assert [member.battery is not None for member in members] == [True, False, True, False, True]
    assert {member.strategy for member in members} == {"optimised"}
    assert len({tuple(member.sessions[0].load_kwh) for member in members}) == 5
    for member in members:
        assert len(member.sessions) == len(coordinator.sessions) == 2
        assert len(member.sessions[0].load_kwh) == len(member.sessions[0].pv_production_kwh) == 12
        assert min(member.sessions[0].pv_production_kwh) == 0 < max(member.sessions[0].pv_production_kwh)
    meters = MetersConfig.load(one.meters_config).meters
    assert [meter.sessions for meter in meters] == [member.sessions for member in members]
    assert len(json.loads(one.accounts_json.read_text())) == 2 + 7 * 5


def test_at_rest_nobody_has_anything_to_solve(tmp_path):
    directory = RunDirectory(tmp_path)
    write_community(directory, 2, 4, at_rest=True)
    names = CoordinatorConfig.load(directory.coordinator_config).members
    assert [MemberConfig.load(directory.member_config(name)).battery for name in names] == [None, None]


def test_the_day_is_as_large_as_lorients(tmp_path):
    resolved = resolve(write_day(tmp_path))
    assert len(resolved.members) == MEMBERS
    assert [horizon.slots for horizon in resolved.horizons] == [SLOTS]
    assert all(member.battery is not None for member in resolved.scenario.members)


class Clock:
    """Gives the instants it is set to."""

    def __init__(self):
        self.at_s = 0.0

    def __call__(self):
        return f"2026-01-01T00:00:{self.at_s:09.6f}Z"


def message(sender, recipient, performative, body, number, protocol="market"):
    return Envelope(
        f"{sender}@x", f"{recipient}@x", performative, protocol, "session-0", str(number), body.to_json()
    )


def test_timings_are_those_of_the_logs(tmp_path):
    directory, clock = RunDirectory(tmp_path), Clock()
    signal = [
        PriceSignal(session=0, round=n, import_price_eur_per_kwh=[0.2], export_price_eur_per_kwh=[0.1])
        for n in range(2)
    ]
    position = [Position(session=0, round=n, grid_import_kwh=[1.0], grid_export_kwh=[0.0]) for n in range(2)]
    request = DeliveryRequest(
        session=0, slot=0, slot_start="2024-06-18T00:00:00Z", slot_end="2024-06-18T00:15:00Z"
    )
    delivery = MeteredDelivery(
        session=0, slot=0, grid_import_kwh=Decimal(1), grid_export_kwh=Decimal(0), quality="metered"
    )
    zero = dict.fromkeys(
        ("local_purchase_kwh", "local_sale_kwh", "grid_import_kwh", "grid_export_kwh", "amount_eur"),
        Decimal(0),
    )
    prices = dict.fromkeys(("import_price_eur_per_kwh", "export_price_eur_per_kwh"), Decimal("0.2"))
    bill = BillLine(session=0, slot=0, local_price_eur_per_kwh=None, quality="metered", **zero, **prices)
    with (
        MessageLog.open(directory.log("coordinator"), "coordinator", now=clock) as coordinator,
        MessageLog.open(directory.log("m"), "m", now=clock) as member,
    ):

        def at(seconds, append, *arguments):
            clock.at_s = seconds
            append(*arguments)

        for number, began_s in ((0, 1.0), (1, 2.0)):
            call = message("coordinator", "m", Performative.CFP, signal[number], number)
            answer = message("m", "coordinator", Performative.PROPOSE, position[number], number)
            at(began_s, coordinator.append_out, call)
            at(began_s + 0.1, member.append_in, call)
            at(began_s + 0.3 + 0.1 * number, member.append_event, "computed", {"name": "plan"})
            at(began_s + 0.3 + 0.1 * number, member.append_out, answer)
            at(began_s + 0.5 + 0.1 * number, coordinator.append_in, answer)
        asked = message("coordinator", "m", Performative.REQUEST, request, 2, "operation")
        told = message("m", "coordinator", Performative.INFORM, delivery, 2, "operation")
        owed = message("coordinator", "m", Performative.INFORM, bill, 3, "operation")
        at(3.0, coordinator.append_out, asked)
        at(3.1, member.append_in, asked)
        at(3.2, member.append_out, told)
        at(3.3, member.append_out, told, "resent")
        at(3.4, coordinator.append_in, told)
        at(3.5, coordinator.append_out, owed)
        at(3.6, member.append_in, owed)
    timings = read_timings(directory)
    assert timings.rounds_s == pytest.approx([0.5, 0.6])
    assert timings.first_session_rounds == 2
    assert timings.solving_s == pytest.approx([0.2, 0.3])
    assert timings.slots_s == pytest.approx([0.5])
    assert timings.market_s == pytest.approx(2.5)
    assert (timings.messages, timings.slot_messages, timings.resent) == (7, 3, 1)
    assert timings.call_bytes == [len(each.to_json()) for each in signal]
    assert timings.proposal_bytes == [len(each.to_json()) for each in position]
    load = Load.of(directory)
    assert [(step.ask, step.session) for step in load.steps] == [
        (Said.CALL, 0),
        (Said.CALL, 0),
        (Said.DELIVERY_REQUEST, 0),
    ]
    assert [step.pause_s for step in load.steps] == pytest.approx([0.0, 0.5, 0.4])
    assert load.lengths[Said.DELIVERY] == len(delivery.to_json())
    assert load.lengths[Said.BILL_LINE] == len(bill.to_json())
    load.save(tmp_path / "load.json")
    assert Load.load(tmp_path / "load.json") == load


def test_logs_without_a_round_are_an_error(tmp_path):
    directory = RunDirectory(tmp_path)
    MessageLog.open(directory.log("coordinator"), "coordinator").close()
    with pytest.raises(LogError, match="no price round"):
        read_timings(directory)
    with pytest.raises(LogError, match="no price round"):
        Load.of(directory)


def test_aims_are_met_up_to_their_limits():
    assert [aim.met for aim in aims_of([FIGURES, PACKED], 12.0)] == [True] * 6
    slower_plain = replace(PLAIN, fleet_times_by_turn=[1.0, 2.01, 2.02])
    slower = replace(FIGURES, ready_s=spread(10.1), beside={"plain": slower_plain})
    fatter = replace(slower, memory={"prosumer": Memory(spread(20.0, 25.1), spread(60.0))})
    packed = replace(PACKED, round_s=spread(1.01), member_uss_mib=1.01)
    assert [aim.met for aim in aims_of([fatter, packed], 12.1)] == [False] * 6
    assert len(aims_of([replace(FIGURES, members=10)], None)) == 2
    assert len(aims_of([replace(FIGURES, beside={})], None)) == 2
    (ready, *_) = aims_of([replace(FIGURES, members=300)], None)
    assert (ready.what, ready.limit) == ("300 prosumers ready [s]", 30.0)


def market_run(rounds_s, first_session_rounds, memory=None):
    timings = Timings(
        rounds_s=rounds_s,
        first_session_rounds=first_session_rounds,
        slots_s=[99.0, 1.0, 3.0],
        first_session_slots=1,
        solving_s=[0.1],
        call_bytes=[400, 410, 420],
        proposal_bytes=[300],
        messages=100,
        slot_messages=80,
        resent=1,
    )
    return MarketRun(ready_s=1.0, whole_s=9.0, timings=timings, memory=memory or {}, restarts=1)


def carried(rounds_s):
    return Carried(0.5, rounds_s, [0.2], Memory(spread(9.0), spread(50.0)), 3)


def test_the_ratio_is_that_of_the_middle_turn_and_first_sessions_do_not_count():
    turns = [
        Turn(market_run([9.0, 8.0, 2.0, 4.0], 2), {"plain": carried([1.0, 1.0, 7.0])}),
        Turn(market_run([9.0, 5.0], 1), {"plain": carried([5.0])}),
        Turn(market_run([9.0, 8.0], 1), {"plain": carried([4.0])}),
    ]
    figures = figures_of(3, 1, 2, turns, planned=market_run([20.0], 1, {"prosumer": MEMORY}))
    assert figures.beside["plain"].fleet_times_by_turn == [3.0, 1.0, 2.0]
    assert figures.beside["plain"].fleet_times == 2.0
    assert figures.round_s == Spread(4.5, 8.0, 3.5, 5.75)
    assert figures.beside["plain"].round_s == Spread(4.0, 7.0, 1.0, 5.0)
    assert figures.slot_s == Spread(2.0, 3.0, 1.0, 3.0)
    assert figures.planned.round_s == spread(20.0)
    assert figures.member_uss_mib == 20.0
    assert (figures.restarts, figures.resent, figures.processes) == (4, 4, 3)


def test_a_packed_member_is_what_it_adds_to_its_process():
    turn = Turn(market_run([9.0, 5.0], 1, {"prosumer": Memory(spread(100.0, 110.0), spread(1.0))}), {})
    alone = market_run([9.0, 5.0], 1, {"prosumer": Memory(spread(10.0), spread(1.0))})
    figures = figures_of(1000, 251, 2, [turn], alone=alone)
    assert figures.member_uss_mib == pytest.approx(100 / 250)
    assert (figures.processes, figures.packed, figures.planned) == (4, True, None)


def test_rates_come_from_medians():
    assert FIGURES.messages_per_s() == pytest.approx(2000)
    assert FIGURES.messages_per_s("plain") == pytest.approx(4000)
    assert FIGURES.slot_messages_per_s() == pytest.approx(2500)
    assert FIGURES.other_member_uss_mib("plain") == 9.0
    assert PACKED.other_member_uss_mib("plain") == pytest.approx(9.0 / 250)


def test_everybody_is_first_in_turn_and_the_fleet_at_first():
    orders = [order_of(turn, ["plain", "mango"]) for turn in range(4)]
    assert [order[0] for order in orders] == ["fleet", "plain", "mango", "fleet"]
    assert all(sorted(order) == ["fleet", "mango", "plain"] for order in orders)
    assert order_of(2, []) == ["fleet"]


def test_large_communities_have_fewer_sessions_but_always_some_after_the_first():
    assert [sessions_at_rest(members) for members in (2, 50, 1000)] == [12, 8, 4]
    assert [turns_for(members) for members in (4, 200, 201, 1000)] == [3, 3, 1, 1]


def test_growth_is_the_power_of_members():
    assert exponent_of([4, 20, 100], [3 * n**1.5 for n in (4, 20, 100)]) == pytest.approx(1.5)
    assert exponent_of([4, 100], [7.0, 7.0]) == pytest.approx(0.0)
    assert exponent_of([100], [1.0]) is None


def test_of_many_processes_some_are_looked_at():
    assert some_of([*range(40)]) == [*range(40)]
    assert some_of([*range(300)]) == [*range(0, 300, 8)]
    assert some_of([]) == []


@pytest.mark.parametrize("said", [*Said])
def test_texts_of_a_load_are_as_long_as_asked_and_say_what_they_stand_for(said):
    texts = [text_of(said, length) for length in (1, 400, 5000)]
    assert [len(text) for text in texts] == [1, 400, 5000]
    assert all(longer.startswith(shorter) for shorter, longer in pairwise(texts))
    assert [meaning_of(text) for text in texts] == [said] * 3


async def test_a_caller_asks_step_by_step_and_leaves_the_first_session_out():
    steps = [Step(session, ask, 0.0) for session in (0, 1) for ask in (Said.CALL, Said.DELIVERY_REQUEST)]
    load = Load(steps, dict.fromkeys(Said, 30))
    told = []

    async def tell_all(text):
        told.append(meaning_of(text))
        caller.hear(load.text(Said.READING))  # no answer to anything that the coordinator asks
        for _ in range(2):
            caller.hear(load.text(Said.PROPOSAL if told[-1] is Said.CALL else Said.DELIVERY))

    caller = Caller(load, 2, tell_all)
    await caller.go([os.getpid()])
    caller.ready()
    assert told == [Said.CALL, Said.DELIVERY_REQUEST, Said.BILL_LINE] * 2
    found = caller.carried(2)
    assert (len(found.rounds_s), len(found.slots_s), found.processes) == (1, 1, 2)
    assert found.ready_s > 0
    assert Carried.from_dict(json.loads(json.dumps(found.as_dict()))) == found


async def test_a_caller_waits_for_all_members():
    async def tell_all(_):
        caller.hear(text_of(Said.PROPOSAL, 30))

    caller = Caller(Load([], dict.fromkeys(Said, 30)), 2, tell_all)
    with pytest.raises(TimeoutError):
        await caller.ask(Said.CALL, 0.05)


def test_a_worker_that_fails_says_why(tmp_path):
    with pytest.raises(FleetError, match=r"coordinator\.json"):
        run_worker("runtime.bench.market", [str(tmp_path)], lambda *_: None)


def test_clients_that_do_not_get_ready_are_not_waited_for_for_ever():
    reader, ready = os.pipe()
    os.write(ready, b"+")
    began_s = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(all_ready(reader, 2, 0.2))  # what goes on in a thread would keep the loop from ending
    assert time.monotonic() - began_s < 5
    os.write(ready, b"+")
    os.write(ready, b"+")
    asyncio.run(all_ready(reader, 2, 5.0))
    os.close(reader)
    os.close(ready)
