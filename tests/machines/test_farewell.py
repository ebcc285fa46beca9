"""The last answers of a run: lost on the way at the very end, they come again before anybody leaves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agents.prosumer import ProsumerMachine
from runtime.messagelog.reader import read_log
from runtime.messagelog.record import RecordKind
from runtime.messaging.retrace import retrace
from runtime.protocol.bodies import BillLine, SessionClosed, parse_body
from runtime.protocol.envelope import Envelope
from runtime.rundir import RunDirectory
from tests.machines.communities import DOMAIN, Community
from tests.machines.logged import LoggedNetwork
from tests.machines.network import Network

VICTIM, SLOTS = "m1", 5


def community() -> Community:
    return Community(4, members=3, slots=SLOTS, sessions=2)


@dataclass
class LossyClose(Network):
    """Loses the victim's last bill line, so many times."""

    losses: int = 1
    heard: Counter[tuple[str, int, int]] = field(default_factory=Counter)

    def is_last_line(self, envelope: Envelope) -> bool:
        body = parse_body(envelope.body)
        return (
            isinstance(body, BillLine)
            and (body.session, body.slot) == (1, SLOTS - 1)
            and envelope.recipient == f"{VICTIM}@{DOMAIN}"
        )

    def _post(self, envelope: Envelope) -> None:
        if self.losses and self.is_last_line(envelope):
            self.losses -= 1
            return
        super()._post(envelope)

    def _deliver(self, envelope: Envelope) -> None:
        node, body = self.nodes[envelope.recipient], parse_body(envelope.body)
        if isinstance(body, BillLine) and not node.finished:
            self.heard[envelope.recipient.partition("@")[0], body.session, body.slot] += 1
        super()._deliver(envelope)


@pytest.mark.parametrize("losses", [0, 1, 2])
def test_a_bill_line_that_is_lost_at_the_close_comes_before_its_member_leaves(losses: int) -> None:
    calm, _ = community().run()
    network = LossyClose(losses=losses)
    record, members = community().run(network)
    assert network.losses == 0
    every = {(name, session, slot) for name in calm.members for session in (0, 1) for slot in range(SLOTS)}
    assert {*network.heard} == every
    assert record == calm
    assert {*members} == {*calm.members}
    waiting = [node.exchange.waiting for node in network.nodes.values()]
    assert not any(waiting)


def test_one_that_never_comes_is_waited_for_no_longer_than_the_close() -> None:
    calm, _ = community().run()
    network = LossyClose(losses=10_000)
    record, members = community().run(network)
    assert record == calm
    assert {*members} == {*calm.members}
    assert (VICTIM, 1, SLOTS - 1) not in network.heard
    assert len(network.nodes[f"{VICTIM}@{DOMAIN}"].exchange.waiting) == 1


@dataclass
class LoggedLossyClose(LoggedNetwork):
    """The same, with logs."""

    losses: int = 2

    def _post(self, envelope: Envelope) -> None:
        body = parse_body(envelope.body)
        last = isinstance(body, BillLine) and (body.session, body.slot) == (1, SLOTS - 1)
        if self.losses and last and envelope.recipient == f"{VICTIM}@{DOMAIN}":
            self.losses -= 1
            return
        super()._post(envelope)


def test_a_log_in_which_that_happened_is_made_again_from_what_happened(tmp_path: Path) -> None:
    made = community()
    network = LoggedLossyClose(directory=RunDirectory(tmp_path))
    made.run(network)
    network.drain()
    for log in network.logs.values():
        log.close()
    records = [*read_log(RunDirectory(tmp_path).log(VICTIM))]
    said = [
        parse_body(each.envelope.body).type
        for each in records
        if each.envelope is not None and each.note is None and each.envelope.sender.startswith("coordinator")
    ]
    assert said[-2:] == ["session-closed", "bill-line"], "the line came after the close was told"
    (config,) = (each for each in made.member_configs if each.name == VICTIM)
    again = ProsumerMachine(config, f"{VICTIM}@{DOMAIN}", Path("m1.json"))
    told = retrace(records, again)
    assert told.divergences == []
    assert told.ended
    # A member that leaves at once says what this one's log has not yet.
    closed = next(
        place
        for place, each in enumerate(records)
        if each.envelope is not None
        and each.kind is RecordKind.IN
        and isinstance(body := parse_body(each.envelope.body), SessionClosed)
        and body.last
    )
    early = retrace(records[: closed + 1], ProsumerMachine(config, f"{VICTIM}@{DOMAIN}", Path("m1.json")))
    assert not early.ended
