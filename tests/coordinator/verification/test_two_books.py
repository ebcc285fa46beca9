"""Two communities verified from their coordinators' logs: what is true is proven, changes are found."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from coordinator.indicators.command import write_indicators
from coordinator.verification.command import verification
from runtime.cli.report import report
from runtime.errors import InputError
from runtime.grid_terms import GridTerms
from runtime.messagelog.reader import log_paths
from runtime.messagelog.verify import check_logs
from runtime.protocol.bodies import AnyBody, Reason, parse_body
from runtime.protocol.community_bodies import (
    CommunityStatement,
    ExchangeClosed,
    ExchangeEnded,
    MeteredExchange,
)
from runtime.protocol.envelope import Envelope, Performative
from runtime.records import CoordinatorRecord
from runtime.results import write_results
from runtime.results.tables import tables, write_tables
from runtime.rundir import COORDINATOR, COORDINATORS, SECOND_COORDINATOR, RunDirectory
from tests.machines.logged import LoggedNetwork, forge_bodies, leave_behind
from tests.machines.two_communities import TwoCommunities

SLOTS = 6

GRID = GridTerms(
    local_fee_eur_per_kwh=Decimal("0.011"),
    import_limit_kw=Decimal("2.5"),
    export_limit_kw=Decimal("2"),
    excess_price_eur_per_kwh=Decimal("0.3"),
    demand_charge_eur_per_kw=Decimal("0.07"),
)


def left_behind(path: Path) -> RunDirectory:
    community = TwoCommunities(2, members=5, slots=6, sessions=2, grid=GRID)
    directory = leave_behind(community, path)
    for account, record in zip(community.coordinators, community.records, strict=True):
        record.save(directory.community_record(account))
    return directory


def left_by(community: TwoCommunities, network: LoggedNetwork) -> CoordinatorRecord:
    """Run a community; its joined record, which is left with all else in the network's directory."""
    run = network.directory
    record, members = community.run(network)
    network.drain()
    for log in network.logs.values():
        log.close()
    community.coordinator_config.save(run.coordinator_config)
    record.save(run.coordinator_record)
    write_tables(run.path, tables(record, members))
    for account, own in zip(community.coordinators, community.records, strict=True):
        own.save(run.community_record(account))
    return record


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return left_behind(tmp_path_factory.mktemp("run") / "village").path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> RunDirectory:
    return RunDirectory(shutil.copytree(finished, tmp_path / "village"))


def texts(run: RunDirectory) -> list[str]:
    found = [f"{finding.kind}: {finding.text}" for finding in check_logs(log_paths(run.logs_dir)).findings]
    said: list[str] = found + verification(run.path)["findings"]
    return said


def test_a_good_run_is_proven_and_counted(run: RunDirectory) -> None:
    assert texts(run) == []
    answer = verification(run.path)
    proof = answer["proof"]
    counted = {name: proof[name] for name in ("sessions", "slots", "deliveries", "lines", "bills")}
    assert counted == {"sessions": 2, "slots": 12, "deliveries": 60, "lines": 60, "bills": 10}
    with run.ledger_csv.open() as file:
        assert proof["entries"] == len(list(csv.DictReader(file)))
    assert proof["rows"] > 0
    assert answer["unchecked"] == []


def test_a_session_that_each_went_through_alone_from_a_slot_on_is_proven(tmp_path: Path) -> None:
    class Silent(LoggedNetwork):
        def _post(self, envelope: Envelope) -> None:
            body = parse_body(envelope.body)
            if isinstance(body, MeteredExchange) and (body.session, body.slot) == (0, 3):
                return  # lost
            super()._post(envelope)

    community = TwoCommunities(2, members=5, slots=6, sessions=2)
    run = RunDirectory(tmp_path / "village")
    record = left_by(community, Silent(directory=run))
    assert [len(part.exchanges) for part in record.sessions[0].communities] == [3, 3]
    assert verification(run.path)["findings"] == []


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("limit_s", [900.0, float("inf")])
def test_a_slot_that_was_put_off_is_proven_whenever_it_was_settled(
    limit_s: float, arrives: bool, tmp_path: Path
) -> None:
    """Cut off at the acceptance of slot 3: for longer than its confirmation is waited for, or for good."""

    class Cut(LoggedNetwork):
        began = False

        def _post(self, envelope: Envelope) -> None:
            body = parse_body(envelope.body)
            ends = {each.partition("@")[0] for each in (envelope.sender, envelope.recipient)}
            accepts = isinstance(body, MeteredExchange) and envelope.in_reply_to is not None
            first = accepts and not self.began and (body.session, body.slot) == (0, 3)  # type: ignore[union-attr]
            is_cut = self.began and self.now_s < limit_s
            self.began |= first
            if ends == {*COORDINATORS} and (not arrives if first else is_cut):
                return
            super()._post(envelope)

    community = TwoCommunities(2, members=5, slots=6, sessions=1, grid=GRID)
    run = RunDirectory(tmp_path / "village")
    record = left_by(community, Cut(directory=run))
    for_good = limit_s > 1e6
    together = 4 if arrives and not for_good else 3
    session = record.sessions[0]
    assert [len(part.exchanges) for part in session.communities] == [together] * 2
    assert any(part.unconfirmed_slots for part in session.communities) is for_good
    answer = verification(run.path)
    assert answer["findings"] == []
    assert answer["proof"]["lines"] == 30


def statement(step: int, **fields: Any) -> CommunityStatement:
    told: dict[str, Any] = {
        "members": [],
        "demand_kwh": [0.0] * SLOTS,
        "supply_kwh": [0.0] * SLOTS,
        "price_eur_per_kwh": [],
        "withdrawn": [],
        "contracts": {},
    }
    return CommunityStatement(session=0, step=step, **(told | fields))


def exchange(slot: int) -> MeteredExchange:
    return MeteredExchange(session=0, slot=slot, demand_kwh=Decimal(9), supply_kwh=Decimal(8), contracts=[])


@dataclass
class Wayward(LoggedNetwork):
    """In it the leading coordinator says something that it should not, after a kind of message between both.

    Attributes:
        after: type of that message's body, or ``accepted``.
        wayward: what it says then.
        said: whether it has.
    """

    after: str = ""
    wayward: tuple[Performative, AnyBody] = (Performative.REFUSE, Reason(reason="nothing"))
    said: bool = False

    def _post(self, envelope: Envelope) -> None:
        super()._post(envelope)
        ends = envelope.sender, envelope.recipient
        if self.said or {end.partition("@")[0] for end in ends} != {*COORDINATORS}:
            return
        accepted = envelope.performative is Performative.ACCEPT_PROPOSAL
        if (self.after != "accepted" or not accepted) and self.after != parse_body(envelope.body).type:
            return
        self.said = True
        (second, first), (performative, body) = sorted(ends), self.wayward
        said = replace(envelope, sender=first, recipient=second, message_id="wayward", in_reply_to=None)
        super()._post(replace(said, performative=performative, body=body.to_json()))


@pytest.mark.parametrize(
    ("after", "performative", "body"),
    [
        ("community-statement", Performative.INFORM, statement(0, demand_kwh=[0.0], supply_kwh=[0.0])),
        ("community-statement", Performative.INFORM, statement(2, members=["nobody"])),
        ("metered-exchange", Performative.CANCEL, ExchangeEnded(session=0, slot=SLOTS + 2, reason="x")),
        ("metered-exchange", Performative.INFORM, ExchangeEnded(session=0, slot=0, reason="x")),
        ("metered-exchange", Performative.INFORM, ExchangeClosed(session=0, slots=[SLOTS])),
        ("accepted", Performative.PROPOSE, exchange(0)),
        ("metered-exchange", Performative.REFUSE, Reason(reason="of nothing that was said")),
    ],
)
def test_what_one_coordinator_refused_of_the_other_counts_for_nothing(
    after: str, performative: Performative, body: AnyBody, tmp_path: Path
) -> None:
    """The first says what it may not, beside what it should: its communities trade all the same."""

    community = TwoCommunities(2, members=5, slots=SLOTS, sessions=1, grid=GRID)
    run = RunDirectory(tmp_path / "village")
    network = Wayward(directory=run, after=after, wayward=(performative, body))
    record = left_by(community, network)
    assert network.said
    assert [len(part.exchanges) for part in record.sessions[0].communities] == [SLOTS] * 2
    assert verification(run.path)["findings"] == []


@pytest.mark.parametrize(
    ("after", "said", "named"),
    [
        ("community-statement", statement(2), ["step 2 was told otherwise", "though step 2 named no member"]),
        ("relayed-trades", statement(2), ["step 2 was told otherwise", "names no member, though step 0"]),
        ("relayed-trades", statement(0), ["step 0 was told otherwise"]),
        ("metered-exchange", statement(2, members=["m0", "m2", "m4"]), ["step 2 was told otherwise"]),
    ],
)
def test_a_coordinator_that_contradicts_itself_is_named_by_the_others_log(
    after: str, said: CommunityStatement, named: list[str], tmp_path: Path
) -> None:
    """The first statement of a step counts, whoever made it up; the true one then contradicts it."""
    community = TwoCommunities(2, members=5, slots=SLOTS, sessions=1, grid=GRID)
    run = RunDirectory(tmp_path / "village")
    network = Wayward(directory=run, after=after, wayward=(Performative.INFORM, said))
    left_by(community, network)
    assert network.said
    found = verification(run.path)["findings"]
    assert all("coordinator2.jsonl, record" in text and "community-statement" in text for text in found)
    for words in named:
        assert sum(words in text for text in found) == 1, found


def forged(run: RunDirectory, logs: list[str], kind: str, change: Any) -> int:
    def edit(fields: dict[str, Any], body: dict[str, Any]) -> bool:
        return body.get("type") == kind and change(fields, body)

    return forge_bodies(run, logs, edit)


def test_an_exchange_that_one_coordinator_changed_in_its_log_is_found(run: RunDirectory) -> None:
    def more(fields: dict[str, Any], body: dict[str, Any]) -> bool:
        if (body["session"], body["slot"]) != (0, 1) or fields["kind"] != "in":
            return False
        body["supply_kwh"] = str(Decimal(body["supply_kwh"]) + 1)
        return True

    assert forged(run, [COORDINATOR], "metered-exchange", more)
    found = texts(run)
    assert any("metered-exchange" in text or "differ" in text for text in found), (
        "what one wrote and the other"
    )
    assert any("coordinator.jsonl" in text and "bill-line" in text for text in found), "what follows from it"


def test_an_exchange_that_a_coordinator_made_up_is_found_though_both_logs_say_it(run: RunDirectory) -> None:
    """The second tells more supply than its members delivered: its own machine would not have."""

    def more(fields: dict[str, Any], body: dict[str, Any]) -> bool:
        if (body["session"], body["slot"]) != (0, 1):
            return False
        if not str(fields["from"]).startswith(f"{SECOND_COORDINATOR}@"):
            return False
        body["supply_kwh"] = str(Decimal(body["supply_kwh"]) + 1)
        return True

    assert forged(run, [*COORDINATORS], "metered-exchange", more) == 2
    found = texts(run)
    assert any(f"{SECOND_COORDINATOR}.jsonl" in text and "metered-exchange" in text for text in found)


def test_a_relayed_trade_that_was_changed_is_found(run: RunDirectory) -> None:
    def dearer(fields: dict[str, Any], body: dict[str, Any]) -> bool:
        if not body["trades"]:
            return False
        prices = body["trades"][0]["price_eur_per_kwh"]
        body["trades"][0]["price_eur_per_kwh"] = [price + 0.001 for price in prices]
        return True

    assert forged(run, [*COORDINATORS], "relayed-trades", dearer)
    assert any("relayed-trades" in text for text in texts(run))


def test_a_record_or_table_of_the_exchange_that_was_changed_is_found(run: RunDirectory) -> None:
    path = run.community_record(SECOND_COORDINATOR)
    record = json.loads(path.read_bytes())
    record["sessions"][0]["communities"][0]["exchanges"][2]["pool_import_kwh"] = "7"
    path.write_text(json.dumps(record), "utf-8")
    assert any("communities/coordinator2.json" in text and "pool_import_kwh" in text for text in texts(run))
    lines = (run.path / "exchanges.csv").read_text("utf-8").splitlines(keepends=True)
    lines[3] = lines[3].replace(",1,", ",0,", 1)
    (run.path / "exchanges.csv").write_text("".join(lines), "utf-8")
    assert any("exchanges.csv, line 4" in text for text in texts(run))


def test_a_joined_record_that_is_not_what_the_books_come_to_is_found(run: RunDirectory) -> None:
    record = json.loads(run.coordinator_record.read_bytes())
    record["sessions"][1]["communities"][0]["exchanges"].pop()
    run.coordinator_record.write_text(json.dumps(record), "utf-8")
    assert any("records/coordinator.json, session 1" in text for text in texts(run))


def test_the_books_are_joined_and_the_results_show_both_communities(run: RunDirectory) -> None:
    run.coordinator_record.unlink()
    indicators = write_indicators(run.path)
    assert run.coordinator_record.is_file()
    communities = indicators["run"]["communities"]
    assert list(communities) == ["first", "second"]
    first, second = communities.values()
    assert (first["members"], second["members"]) == (3, 2)
    assert first["from_other_kwh"] == pytest.approx(second["to_other_kwh"])
    assert first["to_other_kwh"] == pytest.approx(second["from_other_kwh"])
    assert first["from_other_kwh"] >= first["from_other_contracts_kwh"] > 0
    assert first["paid_other_eur"] == pytest.approx(-second["paid_other_eur"])
    assert (first["together_slots"], first["alone_slots"]) == (12, 0)
    whole = indicators["run"]["community"]
    for name in ("bill_eur", "alone_cost_eur", "load_kwh"):
        assert first[name] + second[name] == pytest.approx(whole[name])
    with (run.path / "exchanges.csv").open() as file:
        rows = list(csv.DictReader(file))
    bought = sum(
        Decimal(row["contract_import_kwh"]) + Decimal(row["pool_import_kwh"])
        for row in rows
        if row["community"] == "first"
    )
    assert float(bought) == pytest.approx(first["from_other_kwh"])
    assert set(first) <= set(indicators["definitions"])
    result = write_results(run.path, figures=False)
    assert "exchanges.csv" in result["files"]


def test_books_that_were_kept_elsewhere_are_asked_for_and_taken(run: RunDirectory, tmp_path: Path) -> None:
    run.coordinator_record.unlink()
    record, elsewhere = run.community_record(SECOND_COORDINATOR), RunDirectory(tmp_path / "volume")
    there = elsewhere.community_record(SECOND_COORDINATOR)
    there.parent.mkdir(parents=True)
    record.rename(there)
    before = {each.name for each in run.path.iterdir()}
    with pytest.raises(InputError, match=rf"{record}: missing.*`peerwatt report {run.path} --collect DIR`"):
        report(str(run.path), as_json=True, figures=False, every=False, collected=None)
    assert {each.name for each in run.path.iterdir()} == before
    report(str(run.path), as_json=True, figures=False, every=False, collected=[elsewhere.path])
    assert record.read_bytes() == there.read_bytes()
    assert run.ledger_csv.is_file()
