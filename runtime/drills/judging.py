"""What came of a fault: a disturbed run held against the undisturbed one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from runtime.inspection.proof import verify_run
from runtime.messagelog.reader import log_paths
from runtime.protocol.inspection import RECONNECTED
from runtime.records import CoordinatorRecord, SessionRecord
from runtime.rundir import RunDirectory

LedgerVerdict = Literal["equal", "by rule", "wrong"]

_ROUNDING_KWH = 1e-6
"""Agreed positions are floats; what is settled of them is decimal."""


@dataclass(frozen=True)
class Judgement:
    """A finished run, held against the undisturbed one.

    Attributes:
        rounds: how many there were in all sessions.
        cost_eur: what all members' bills come to.
        late: ``member round n``, for each round that a member did not answer in time; of several sessions
            ``member session m round n``.
        missing: ``member slot n``, for each slot settled without a delivery at the agreed position; likewise.
        estimated: likewise, for each slot whose meter reading had to be estimated.
        reconnects: how often an agent was connected again, in its own life.
        repeated: how many messages were sent once more for want of an answer.
        ledger: equal to the undisturbed one, different as the stated rules say, or wrong.
        differences: where and why it differs.
        findings: what ``peerwatt verify`` finds wrong.
    """

    rounds: int
    cost_eur: Decimal
    late: list[str]
    missing: list[str]
    estimated: list[str]
    reconnects: int
    repeated: int
    ledger: LedgerVerdict
    differences: list[str]
    findings: list[str]

    def as_json(self) -> dict[str, Any]:
        """Give it as a JSON object; money exact, as text."""
        return {**asdict(self), "cost_eur": str(self.cost_eur)}


def judge(run: Path, reference: Path) -> Judgement:
    """Judge a finished run.

    Args:
        run: directory of the disturbed run.
        reference: directory of the undisturbed run of the same configuration.

    Raises:
        InputError: one of them is not finished, or damaged.
    """
    directory, undisturbed = RunDirectory(run), RunDirectory(reference)
    record = CoordinatorRecord.load(directory.coordinator_record)
    expected = CoordinatorRecord.load(undisturbed.coordinator_record)
    same = all(
        mine.read_bytes() == its.read_bytes()
        for mine, its in (
            (directory.ledger_csv, undisturbed.ledger_csv),
            (directory.bills_csv, undisturbed.bills_csv),
        )
    )
    ruled: list[str] = []
    wrong = [*done_twice_or_lost(record, expected)]
    if not same and not wrong:
        ruled, wrong = explained(record, expected)
        if not ruled and not wrong:
            wrong = ["ledger or bills differ without a late, missing or estimated member"]
    verdict = verify_run(run, log_paths(directory.logs_dir))
    return Judgement(
        rounds=sum(len(session.rounds) for session in record.sessions),
        cost_eur=sum((bill.amount_eur for each in record.sessions for bill in each.bills), Decimal(0)),
        late=[
            f"{member}{_of_session(record, session)} round {each.number}"
            for session in record.sessions
            for each in session.rounds
            for member in each.late
        ],
        missing=_settled_as(record, "missing"),
        estimated=_settled_as(record, "estimated"),
        reconnects=_reconnects(directory.logs_dir),
        repeated=verdict.log_counts()["resends"],
        ledger="wrong" if wrong else "equal" if same else "by rule",
        differences=wrong or ruled,
        findings=[*verdict.findings, *verdict.unchecked],
    )


def _reconnects(logs_dir: Path) -> int:
    number = 0
    for path in log_paths(logs_dir):
        with path.open(encoding="ascii") as lines:
            number += sum(json.loads(line).get("name") == RECONNECTED for line in lines)
    return number


def done_twice_or_lost(record: CoordinatorRecord, expected: CoordinatorRecord) -> Iterator[str]:
    """Sessions, slots of a member and bills that are there more or less often than once.

    Args:
        record: of the disturbed run.
        expected: of the undisturbed run, which says what there has to be.
    """
    counts = Counter(_settlements(record))
    for what in dict.fromkeys(_settlements(expected)):
        if counts[what] != 1:
            yield f"{what}: settled {counts[what]} times, expected once"
    for what in counts.keys() - {*_settlements(expected)}:
        yield f"{what}: settled, though there is none in the undisturbed run"


def _settlements(record: CoordinatorRecord) -> Iterator[str]:
    for session in record.sessions:
        where = f"session {session.session + 1}"
        for delivery in session.deliveries:
            yield f"{where} slot {delivery.slot} of {delivery.member}"
        for bill in session.bills:
            yield f"{where} bill of {bill.member}"


def explained(record: CoordinatorRecord, expected: CoordinatorRecord) -> tuple[list[str], list[str]]:
    """Where settlements differ as the stated rules say, and where they differ otherwise.

    The rules: a member that misses a round keeps its last position; a slot without a delivery is settled at
    the agreed position; communities that lose each other settle alone; nothing else changes what others pay.
    Sessions after the first that differs begin with what it left, so they may differ too; in them the rules
    hold all the same.

    Returns:
        What is explained by a rule, and what by none.
    """
    ruled: list[str] = []
    for session, reference in zip(record.sessions, expected.sessions, strict=True):
        by_rule, wrong = _explained_session(session, None if ruled else reference)
        where = _of_session(record, session).lstrip()
        by_rule, wrong = (
            [f"{where}: {text}" if where else text for text in each] for each in (by_rule, wrong)
        )
        if wrong:
            return [], wrong
        ruled += by_rule
    return ruled, []


def _of_session(record: CoordinatorRecord, session: SessionRecord) -> str:
    """Which session of several, as results number it; nothing where there is only one."""
    return f" session {session.session + 1}" if len(record.sessions) > 1 else ""


def _explained_session(session: SessionRecord, expected: SessionRecord | None) -> tuple[list[str], list[str]]:
    """What follows a rule, and what does not; held against an undisturbed one that began alike, if any."""
    ruled, wrong = [], []
    alone = _settled_alone(session) - (set() if expected is None else _settled_alone(expected))
    if alone:
        ruled.append(f"each community settled alone in slots {', '.join(map(str, sorted(alone)))}")
    before: dict[str, list[float]] = {}
    for each in session.rounds:
        for member in each.late:
            kept = before.get(member, [0.0] * len(each.net_kwh[member]))
            place = f"{member} late in round {each.number}"
            if each.net_kwh[member] == kept:
                ruled.append(f"{place}: kept its last position")
            else:
                wrong.append(f"{place}: its position is another than before")
        before = each.net_kwh
    if expected is not None and session.agreed_net_kwh != expected.agreed_net_kwh and not ruled:
        wrong.append("what was agreed differs, though no member was late in a round")
    touched = set()
    for delivery in session.deliveries:
        settled = delivery.as_settled
        if settled.quality != "metered":
            touched.add(delivery.slot)
        if settled.quality == "missing":
            place = f"{delivery.member} without delivery in slot {delivery.slot}"
            agreed_kwh = session.agreed_net_kwh[delivery.member][delivery.slot]
            if abs(float(settled.net_kwh) - agreed_kwh) <= _ROUNDING_KWH:
                ruled.append(f"{place}: settled as agreed")
            else:
                wrong.append(f"{place}: settled at {settled.net_kwh} kWh, agreed was {agreed_kwh:g}")
        elif settled.quality == "estimated":
            ruled.append(f"{delivery.member} with an estimated reading in slot {delivery.slot}")
    if expected is not None and session.agreed_net_kwh == expected.agreed_net_kwh:
        for slot in range(session.horizon.slots):
            if slot not in touched | alone and _entries(session, slot) != _entries(expected, slot):
                wrong.append(f"slot {slot} was settled otherwise, though all delivered in it")
    return ruled, wrong


def _settled_alone(session: SessionRecord) -> set[int]:
    """Slots in which each of two communities was settled for itself: they had lost each other."""
    return {slot for slot, groups in enumerate(session.settled_together()) if len(groups) > 1}


def _entries(session: SessionRecord, slot: int) -> list[str]:
    return sorted(entry.model_dump_json() for entry in session.ledger if entry.slot == slot)


def _settled_as(record: CoordinatorRecord, quality: str) -> list[str]:
    """Members and slots so settled."""
    return [
        f"{each.member}{_of_session(record, session)} slot {each.slot}"
        for session in record.sessions
        for each in session.deliveries
        if each.as_settled.quality == quality
    ]
