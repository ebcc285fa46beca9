"""Random communities in all kinds of weather, and what has to hold whatever it was."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agents.prosumer import ProsumerMachine
from coordinator.session import MarketMachine
from coordinator.two_communities.books import joined_record
from runtime.messagelog.reader import log_paths, read_log
from runtime.messagelog.verify import FindingKind, check_logs
from runtime.messagelog.writer import MessageLog
from runtime.messaging.retrace import retrace
from runtime.protocol.machine import Machine
from runtime.records import CoordinatorRecord, MemberRecord
from runtime.results.ledger import check_ledger
from runtime.rundir import meter_account
from tests.machines.communities import DOMAIN, Community, PlayedMeter
from tests.machines.storm import Weather, World

LIMIT_S = 3e6
"""Longer than any deadline that is waited for where nothing may be lost [s]."""


@dataclass
class Outcome:
    """What a community came to.

    Attributes:
        record: the coordinator's, or that of both joined.
        members: the members' own.
        took_s: how long it took [s].
        killed: who was killed, in order.
        writes: by agent, to its log, in its last life.
    """

    record: CoordinatorRecord
    members: dict[str, MemberRecord]
    took_s: float
    killed: list[str]
    writes: dict[str, int]

    def settled(self) -> tuple[object, ...]:
        """All that has to be the same in any weather: not how long it took to plan."""
        untimed = {"sessions": {"__all__": {"planning_seconds"}}}
        members = {name: record.model_dump(exclude=untimed) for name, record in self.members.items()}
        return self.record, members


def makers_of(community: Community, folder: Path) -> dict[str, Callable[[], Machine]]:
    """What makes the machine of each account, all with records in a folder."""
    config = community.coordinator_config
    makers: dict[str, Callable[[], Machine]] = {}
    for account in config.coordinators:
        makers[account] = partial(MarketMachine, config, f"{account}@{DOMAIN}", folder / f"{account}.json")
    for member in community.member_configs:
        name = member.name
        makers[name] = partial(ProsumerMachine, member, f"{name}@{DOMAIN}", folder / f"{name}.json")
        makers[meter_account(name)] = partial(PlayedMeter, name, community.metered_kwh[name])
    return makers


def live_through(
    community: Community, weather: Weather, folder: Path, seed: int, limit_s: float = LIMIT_S
) -> Outcome:
    """Run a community to its end, and check what has to hold in any weather.

    Raises:
        AssertionError: it does not.
    """
    config = community.coordinator_config
    makers = makers_of(community, folder)
    waited_for = [*config.coordinators, *config.members]
    world = World(makers, folder / "logs", weather, seed, waited_for)
    took_s = world.run(limit_s)
    records = [CoordinatorRecord.load(folder / f"{account}.json") for account in config.coordinators]
    record = records[0] if len(records) == 1 else joined_record(records, config.members)
    members = {name: MemberRecord.load(folder / f"{name}.json") for name in config.members}
    writes = {name: host._log.writes for name, host in world.hosts.items()}  # type: ignore[attr-defined]
    for name in makers:  # who was killed last and is not waited for leaves half a line
        MessageLog.open(folder / "logs" / f"{name}.jsonl", name).close()
    check_ledger(record)
    assert_settled_once(record)
    assert_logs_hold(folder / "logs", makers)
    return Outcome(record, members, took_s, world.killed, writes)


def assert_settled_once(record: CoordinatorRecord) -> None:
    """Every member has one delivery in every slot, and one bill in every session."""
    for session in record.sessions:
        places = [(each.slot, each.member) for each in session.deliveries]
        slots = range(session.horizon.slots)
        assert sorted(places) == sorted((slot, name) for slot in slots for name in record.members)
        assert [bill.member for bill in session.bills] == record.members


def assert_logs_hold(logs: Path, makers: dict[str, Callable[[], Machine]]) -> None:
    """Each log is whole, no message took effect twice, and each agent did what its log makes it do."""
    paths = log_paths(logs)
    findings = [
        finding.text for finding in check_logs(paths).findings if finding.kind is not FindingKind.NOT_RECEIVED
    ]
    assert findings == [], "; ".join(findings[:4])
    for path in paths:
        divergences = retrace(read_log(path), makers[path.stem]()).divergences
        assert divergences == [], "; ".join(map(str, divergences[:4]))


def drawn_weather(rng: random.Random, writes: dict[str, int], took_s: float) -> Weather:
    """Any weather in which everything arrives in the end.

    Args:
        rng: draws it.
        writes: by agent, to its log, in calm.
        took_s: how long it all took in calm [s].
    """
    some = rng.choice([0, 1, 3, 6])
    kills = {
        name: [rng.randint(0, count) for _ in range(rng.randint(1, 3))]
        for name, count in rng.sample(sorted(writes.items()), min(some, len(writes)))
    }
    if rng.random() < 0.2:  # everybody at once, and while they come back
        kills = {name: [rng.randint(0, count), 0, rng.randint(0, 5)] for name, count in writes.items()}

    def interruptions(longest_s: float) -> list[tuple[str, float, float]]:
        return [
            (rng.choice(sorted(writes)), rng.uniform(0.0, took_s), rng.uniform(0.0, longest_s))
            for _ in range(rng.choice([0, 0, 2, 5]))
        ]

    return Weather(
        latency_s=rng.choice([0.001, 0.05, 2.0]),
        overtaking=rng.random() < 0.5,
        loss=rng.choice([0.0, 0.1, 0.3]),
        doubling=rng.choice([0.0, 0.2, 0.5]),
        stale_s=rng.choice([0.5, 5.0, 60.0]),
        planning_s=rng.choice([0.0, 0.1, 3.0]),
        forgetting=rng.choice([0.0, 0.5, 1.0]),
        kills=kills,
        hangs=interruptions(60.0),
        cuts=interruptions(60.0),
        down_s=rng.choice([0.5, 5.0, 60.0]),
        slot_s=rng.choice([0.0, 0.3, 10.0]),
    )
