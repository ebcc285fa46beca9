"""Two communities verified: each coordinator's log for itself, then both books held against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path

from coordinator.two_communities.books import joined_record
from coordinator.verification.community import Recomputation, recompute
from coordinator.verification.findings import Findings
from coordinator.verification.records import check_records, load_record
from coordinator.verification.retraced import add_divergences, retrace_market, retraced_record
from coordinator.verification.settled import Settled
from runtime.configuration import CoordinatorConfig
from runtime.differences import differences
from runtime.errors import InputError
from runtime.messaging.retrace import Retraced
from runtime.records import CoordinatorRecord
from runtime.rundir import RunDirectory

_MOST_DIFFERENCES = 20


@dataclass(slots=True)
class TwoBooks(Recomputation):
    """What was found of two communities.

    Attributes:
        unchecked: what could not be checked, and why.
        retraced: what came of feeding both coordinators' machines their logs, counted together.
        has_record: whether the joined record is there.
    """

    unchecked: list[str] = field(default_factory=list)
    retraced: Retraced = field(default_factory=Retraced)
    has_record: bool = False


def verify_two_communities(
    directory: RunDirectory, logs: Sequence[Path], config: CoordinatorConfig
) -> TwoBooks:
    """Settle both communities again from their coordinators' logs, and join the books again.

    Args:
        directory: the run.
        logs: the coordinators' logs, in the order of the communities.
        config: the published terms.

    Raises:
        InputError: a record is damaged.
        LogError: a log's chain is broken, or it cannot be read.
    """
    books = TwoBooks()
    made: list[CoordinatorRecord] = []
    for part, log in zip(config.communities, logs, strict=True):
        result, retraced = recompute(log, config), retrace_market(log, config)
        add_divergences(result.findings, retraced)
        result.findings.sort()
        _add(books, result, retraced)
        record = retraced_record(retraced)
        if record is None:
            books.unchecked.append(f"the books of {part.name}: its log has not ended")
            continue
        made.append(_settled_again(record, result))
        _check_own(directory.community_record(part.coordinator), made[-1], books)
    if len(made) < len(config.communities):
        return books
    try:
        joined = joined_record(made, config.members)
    except InputError as error:
        books.findings.add(str(error))
        return books
    found = load_record(directory)
    if found is None:
        books.unchecked.append("ledger and tables: the joined record is not here")
        return books
    books.has_record = True
    books.proof.entries = sum(len(session.ledger) for session in joined.sessions)
    whole = Recomputation(findings=books.findings, proof=books.proof)
    for session in joined.sessions:
        whole.settled[session.session] = Settled(
            members=joined.members,
            local_price_eur_per_kwh=session.local_price_eur_per_kwh,
            contracts=session.contracts,
            deliveries=session.deliveries,
            ledger=session.ledger,
            bills=session.bills,
        )
    missing = check_records(directory, found, whole, joined)
    books.unchecked += [f"{name}: is not here" for name in missing]
    return books


def _add(books: TwoBooks, result: Recomputation, retraced: Retraced) -> None:
    for text in result.findings.texts:
        books.findings.add(text)
    books.findings.more += result.findings.more
    for name in (each.name for each in fields(result.proof)):
        here, there = getattr(books.proof, name), getattr(result.proof, name)
        setattr(books.proof, name, max(here, there) if name in ("sessions", "slots") else here + there)
    if books.unfinished is None:
        books.unfinished = result.unfinished
    books.retraced.events += retraced.events
    books.retraced.messages += retraced.messages
    books.retraced.rounded += retraced.rounded


def _settled_again(record: CoordinatorRecord, result: Recomputation) -> CoordinatorRecord:
    """The record with what was settled again by the rules alone."""
    sessions = [
        session if (settled := result.settled.get(session.session)) is None else settled.in_place_of(session)
        for session in record.sessions
    ]
    return record.model_copy(update={"sessions": sessions})


def _check_own(path: Path, made: CoordinatorRecord, books: TwoBooks) -> None:
    """Hold a coordinator's own record against what its log comes to."""
    if not path.is_file():
        books.unchecked.append(f"{path.name}: is not here")
        return
    try:
        found = CoordinatorRecord.load(path).model_dump(mode="json")
    except ValueError as error:
        raise InputError(f"{path}: not a record: {str(error).splitlines()[0]}") from error
    wrong: Findings = books.findings
    for text in islice(differences(found, made.model_dump(mode="json")), _MOST_DIFFERENCES):
        wrong.add(f"communities/{path.name}: {text}")
