"""A member with a good account that says nonsense: all of it is refused, and nobody else feels it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from coordinator.verification.community import recompute
from coordinator.verification.member import check_member
from runtime.configuration import Timing
from runtime.drills.mad.nonsense import (
    ANSWERS,
    Nonsense,
    Surroundings,
    beside,
    body_type,
    spoilt,
    spoilt_bodies,
)
from runtime.errors import ProtocolError
from runtime.protocol.bodies import Reason, parse_body
from runtime.protocol.envelope import Envelope, Performative
from runtime.records import CoordinatorRecord
from runtime.rundir import COORDINATOR, SECOND_COORDINATOR, RunDirectory
from tests.machines.communities import DOMAIN, Community
from tests.machines.logged import LoggedNetwork
from tests.machines.network import Network
from tests.machines.two_communities import TwoCommunities

MAD = "m1"
TIMING = Timing(join_deadline_s=100, round_deadline_s=100, delivery_deadline_s=100)


@dataclass
class MadNetwork(Network):
    """One member spoils the answers that ``spoils`` names, and says nonsense beside each of its answers."""

    spoils: Callable[[int], bool] = lambda _: False
    around: Surroundings = field(default_factory=lambda: Surroundings(("m0", "m2"), (COORDINATOR,)))
    nonsense: dict[tuple[str, str], str] = field(default_factory=dict)
    answers: int = 0

    def __post_init__(self) -> None:
        numbers = count(1)
        self.next_id = lambda: f"mad-{next(numbers)}"

    def _deliver(self, envelope: Envelope) -> None:
        if envelope.sender != f"{MAD}@{DOMAIN}" or not self._is_answer(envelope):
            super()._deliver(envelope)
            return
        self.answers += 1
        is_spoilt = self.spoils(self.answers)
        said = [spoilt(envelope, self.answers)] if is_spoilt else []
        super()._deliver(said[0].envelope if is_spoilt else envelope)
        said += beside(envelope, self.around, self.next_id, answered=not is_spoilt)
        for each in said:
            if ".meter@" in each.envelope.recipient:
                continue  # the meters of this network are played, and take anything
            self.nonsense[each.envelope.recipient, each.envelope.message_id] = each.what
            super()._deliver(each.envelope)

    @staticmethod
    def _is_answer(envelope: Envelope) -> bool:
        return not envelope.message_id.startswith("mad-") and body_type(envelope) in ANSWERS

    def not_refused(self) -> list[str]:
        """Nonsense that nobody refused; what was said to who had left already is left out."""
        refused = {
            (each.sender, each.in_reply_to)
            for each in self.sent
            if each.performative in (Performative.REFUSE, Performative.NOT_UNDERSTOOD)
        }
        return [f"{key}: {what}" for key, what in self.nonsense.items() if key not in refused]


def made(mechanism: str) -> Community:
    options: dict[str, Any] = {"members": 4, "slots": 5, "sessions": 2, "timing": TIMING}
    if mechanism == "hybrid":
        return TwoCommunities(5, **options)
    return Community(5, mechanism=mechanism, **options)


def surroundings(mechanism: str) -> Surroundings:
    second = (SECOND_COORDINATOR,) if mechanism == "hybrid" else ()
    return Surroundings(("m0", "m2"), (COORDINATOR, *second))


@pytest.mark.parametrize(
    "mechanism",
    ["mid-market-rate", "admm", "block-tariff", "double-auction", "bilateral", "hybrid", "coordinated"],
)
def test_nonsense_beside_good_answers_changes_nothing_and_all_of_it_is_refused(mechanism: str) -> None:
    calm, _ = made(mechanism).run()
    network = MadNetwork(around=surroundings(mechanism))
    disturbed, members = made(mechanism).run(network)
    assert disturbed.model_dump() == calm.model_dump()
    assert len(network.nonsense) > 30 * len(calm.sessions) * 5
    assert network.not_refused() == []
    assert sorted(members) == calm.members


@pytest.mark.parametrize("mechanism", ["mid-market-rate", "bilateral"])
def test_who_says_nothing_that_can_be_read_is_as_if_silent(mechanism: str) -> None:
    """Every answer of the first session is spoilt: the rule for a silent member is applied to it alone."""
    calm, _ = made(mechanism).run()
    rounds = len(calm.sessions[0].rounds)
    network = MadNetwork(spoils=lambda number: number <= rounds + 5, around=surroundings(mechanism))
    disturbed, _ = made(mechanism).run(network)
    assert network.not_refused() == []
    first, second = disturbed.sessions
    assert {name for each in first.rounds for name in each.late} == {MAD}
    assert not any(each.late for each in second.rounds)
    for each in first.deliveries:
        settled_kwh, agreed_kwh = float(each.net_kwh), first.agreed_net_kwh[each.member][each.slot]
        assert each.quality == ("missing" if each.member == MAD else "metered")
        if each.member == MAD:
            assert settled_kwh == pytest.approx(agreed_kwh, abs=1e-9)
    assert {each.quality for each in second.deliveries} == {"metered"}


def test_every_spoilt_body_is_one_that_cannot_be_read_or_taken() -> None:
    """But for a series of another length, which only who knows the session's slots can tell."""
    network = Network()
    Community(3, members=3).run(network)
    answers = [each for each in network.sent if body_type(each) in ANSWERS]
    assert {body_type(each) for each in answers} == {"position", "delivery"}
    for answer in answers[:1] + answers[-1:]:
        unread = []
        for what, body in spoilt_bodies(answer.body):
            try:
                parse_body(body)
            except ProtocolError:
                continue
            unread.append(what)
        assert unread == (["another number of slots or decimals"] if answer is answers[0] else [])


def test_an_early_answer_and_an_early_delivery_are_refused() -> None:
    """Of a round or slot that is not asked for yet, though it is the next one."""
    ahead: list[Nonsense] = []

    class Hasty(Network):
        def _deliver(self, envelope: Envelope) -> None:
            if envelope.sender == f"{MAD}@{DOMAIN}" and body_type(envelope) in ANSWERS:
                for each in beside(
                    envelope, Surroundings((), (COORDINATOR,)), lambda: f"x{len(ahead)}", answered=False
                ):
                    if each.what.startswith("an answer to another"):
                        ahead.append(each)
                        super()._deliver(each.envelope)
            super()._deliver(envelope)

    network = Hasty()
    record, _ = Community(3, members=3).run(network)
    calm, _ = Community(3, members=3).run()
    assert isinstance(record, CoordinatorRecord)
    assert record.model_dump() == calm.model_dump()
    reasons = [
        parse_body(each.body)
        for each in network.sent
        if each.performative is Performative.REFUSE and (each.in_reply_to or "").startswith("x")
    ]
    assert len(reasons) == len(ahead) > 10
    words = " ".join(each.reason for each in reasons if isinstance(each, Reason))
    assert "is not open" in words
    assert "is not asked for" in words


def test_who_heard_nonsense_can_prove_its_bills_all_the_same(tmp_path: Path) -> None:
    @dataclass
    class Logged(LoggedNetwork):
        said: int = 0

        def _deliver(self, envelope: Envelope) -> None:
            super()._deliver(envelope)
            if envelope.sender == f"{MAD}@{DOMAIN}" and body_type(envelope) in ANSWERS:
                around = Surroundings(("m0", "m2"), (COORDINATOR,))
                for each in beside(envelope, around, lambda: f"mad-{self.said}", answered=True):
                    self.said += 1
                    if ".meter@" not in each.envelope.recipient:
                        self.log(envelope.sender).append_out(each.envelope)
                        super()._deliver(each.envelope)

    made = Community(5, members=4, slots=5)
    network = Logged(directory=RunDirectory(tmp_path))
    record, members = made.run(network)
    network.drain()
    for log in network.logs.values():
        log.close()
    assert network.said > 100
    for name in record.members:
        findings, proof = check_member(RunDirectory(tmp_path).log(name))
        assert findings.texts == []
        assert proof.slots == 5
    recomputed = recompute(RunDirectory(tmp_path).log(COORDINATOR), made.coordinator_config)
    assert recomputed.findings.texts == []
    assert {*members} == {*record.members}
