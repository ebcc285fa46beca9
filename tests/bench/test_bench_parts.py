"""The parts of the measurement: the community it makes, what it reads from logs, what it says of its aims."""

import json
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest

from runtime.bench.aims import aims_of
from runtime.bench.community import write_community
from runtime.bench.day import MEMBERS, SLOTS, write_day
from runtime.bench.market import MarketRun
from runtime.bench.memory import Memory
from runtime.bench.plain import PlainRun, text_of
from runtime.bench.size import SizeFigures, Turn, figures_of
from runtime.bench.timings import Spread, Timings, read_timings
from runtime.bench.worker import run_worker
from runtime.configuration import CoordinatorConfig, MemberConfig, MetersConfig
from runtime.errors import FleetError, LogError
from runtime.messagelog.writer import MessageLog
from runtime.protocol.bodies import BillLine, DeliveryRequest, MeteredDelivery, Position, PriceSignal
from runtime.protocol.envelope import Envelope, Performative
from runtime.rundir import RunDirectory
from runtime.scenario.resolve import resolve

FIGURES = SizeFigures(
    members=100,
    slots=24,
    ready_s=Spread(9.0, 11.0),
    round_s=Spread(0.3, 0.5),
    solving_s=Spread(0.05, 0.1),
    messaging_round_s=Spread(0.10, 0.2),
    slot_s=Spread(0.2, 0.3),
    whole_s=20.0,
    plain_round_s=Spread(0.05, 0.06),
    times_plain_by_turn=[1.9, 2.0, 9.0],
    plain_processes=100,
    messages=5000,
    slot_messages_per_s=1000.0,
    call_bytes=400,
    proposal_bytes=400,
    memory={"prosumer": Memory(Spread(20.0, 25.0), Spread(60.0, 70.0))},
    restarts=0,
    resent=0,
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


def test_logs_without_a_round_are_an_error(tmp_path):
    directory = RunDirectory(tmp_path)
    MessageLog.open(directory.log("coordinator"), "coordinator").close()
    with pytest.raises(LogError, match="no price round"):
        read_timings(directory)


def test_aims_are_met_up_to_their_limits():
    assert [aim.met for aim in aims_of([FIGURES], 12.0)] == [True] * 4
    slower = replace(FIGURES, ready_s=Spread(10.1, 10.1), times_plain_by_turn=[1.0, 2.01, 2.02])
    fatter = replace(slower, memory={"prosumer": Memory(Spread(20.0, 25.1), Spread(60.0, 70.0))})
    assert [aim.met for aim in aims_of([fatter], 12.1)] == [False] * 4
    assert len(aims_of([replace(FIGURES, members=10)], None)) == 2


def market_run(rounds_s, first_session_rounds):
    timings = Timings(
        rounds_s=rounds_s,
        first_session_rounds=first_session_rounds,
        slots_s=[1.0, 3.0],
        solving_s=[0.1],
        call_bytes=[400, 410, 420],
        proposal_bytes=[300],
        messages=100,
        slot_messages=80,
        resent=1,
    )
    return MarketRun(ready_s=1.0, whole_s=9.0, timings=timings, memory={}, restarts=1)


def test_the_ratio_is_that_of_the_middle_turn_and_first_sessions_do_not_count():
    turns = [
        Turn(market_run([9.0, 8.0, 2.0, 4.0], 2), PlainRun([1.0, 1.0, 7.0], 3)),
        Turn(market_run([9.0, 5.0], 1), PlainRun([5.0], 3)),
        Turn(market_run([9.0, 8.0], 1), PlainRun([4.0], 3)),
    ]
    figures = figures_of(3, 2, market_run([20.0], 1), turns)
    assert figures.times_plain_by_turn == [3.0, 1.0, 2.0]
    assert figures.times_plain == 2.0
    assert figures.messaging_round_s == Spread(4.5, 8.0)
    assert figures.plain_round_s == Spread(4.0, 7.0)
    assert figures.slot_messages_per_s == pytest.approx(3 * 80 / 12)
    assert (figures.restarts, figures.resent, figures.plain_processes) == (4, 4, 3)


def test_rates_and_ratio_come_from_medians():
    assert FIGURES.messages_per_s == pytest.approx(2000)
    assert FIGURES.plain_messages_per_s == pytest.approx(4000)
    assert FIGURES.times_plain == pytest.approx(2)


def test_plain_messages_are_as_long_as_asked():
    texts = [text_of(length) for length in (10, 400, 5000)]
    assert [len(text) for text in texts] == [10, 400, 5000]
    assert all(longer.startswith(shorter) for shorter, longer in pairwise(texts))


def test_a_worker_that_fails_says_why(tmp_path):
    with pytest.raises(FleetError, match=r"coordinator\.json"):
        run_worker("runtime.bench.market", [str(tmp_path)], lambda *_: None)
