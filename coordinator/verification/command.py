"""``python -m coordinator verify``: makes again what was told; prints what was proven, or is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from coordinator.verification.community import Recomputation, recompute
from coordinator.verification.findings import Findings
from coordinator.verification.member import check_member
from coordinator.verification.records import check_closed, check_records, load_record
from coordinator.verification.retraced import (
    add_divergences,
    contracts_made,
    retrace_market,
    retraced_record,
)
from coordinator.verification.two_books import verify_two_communities
from runtime.configuration import CoordinatorConfig
from runtime.errors import InputError, LogError
from runtime.messaging.retrace import Retraced
from runtime.rundir import COORDINATOR, RunDirectory


@dataclass
class _Answer:
    """What ``verification`` gives."""

    findings: Findings = field(default_factory=Findings)
    proof: dict[str, Any] = field(default_factory=dict)
    unfinished: int | None = None
    unchecked: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "findings": self.findings.texts,
            "more_findings": self.findings.more,
            "proof": self.proof,
            "unfinished": self.unfinished,
            "unchecked": self.unchecked,
        }


def verification(
    run: Path, member: str | None = None, *, logs: Path | None = None, terms: Path | None = None
) -> dict[str, Any]:
    """Make a run's prices and settlement again, or check one member's bills from its own log.

    Args:
        run: the run's directory.
        member: the member's name, None for the whole run.
        logs: folder of logs; None for the run's own.
        terms: the coordinator's configuration, which is what the community agreed on: members, horizons,
            tariffs, mechanism; None for the run's own.

    Returns:
        JSON-ready: ``findings`` (texts, the first first), ``more_findings`` (their number beyond those),
        ``proof`` (counts), ``unfinished`` (a session that is not closed yet, or None), ``unchecked`` (what
        could not be checked, and why).

    Raises:
        InputError: a member's log is missing, or a configuration or record is damaged.
    """
    directory = RunDirectory(run)
    folder = logs or directory.logs_dir
    log = folder / f"{member or COORDINATOR}.jsonl"
    answer = _Answer()
    try:
        if member is not None:
            if not log.is_file():
                raise InputError(f"{log}: missing; it is what is to be verified")
            answer.findings, own = check_member(log)
            answer.proof = _plain(asdict(own))
        else:
            _verify_market(directory, folder, terms or directory.coordinator_config, answer)
    except LogError as error:
        answer = _Answer(Findings([str(error)]))
    return answer.as_json()


def _verify_market(directory: RunDirectory, folder: Path, terms: Path, answer: _Answer) -> None:
    config = CoordinatorConfig.load(terms) if terms.is_file() else None
    logs = [folder / f"{name}.jsonl" for name in ([COORDINATOR] if config is None else config.coordinators)]
    for path, what in (*((log, "the coordinator's log") for log in logs), (terms, "the published terms")):
        if not path.is_file():
            answer.unchecked.append(f"prices, settlement and bills: {path}, {what}, is not here")
            return
    assert config is not None, "the terms are here"
    if config.communities:
        books = verify_two_communities(directory, logs, config)
        answer.findings, answer.unfinished = books.findings, books.unfinished
        answer.unchecked += books.unchecked
        answer.proof = _proof(books, books.retraced, has_record=books.has_record)
        return
    log = logs[0]
    record = load_record(directory)
    retraced = _retrace(log, config, answer)
    result = recompute(log, config, None if retraced is None else contracts_made(retraced))
    if retraced is not None:
        add_divergences(result.findings, retraced)
    result.findings.sort()
    if record is not None:
        made = None if retraced is None else retraced_record(retraced)
        missing = check_records(directory, record, result, made)
        answer.unchecked += [f"{name}: is not here" for name in missing]
        closed = 0
    else:
        closed = check_closed(directory, result)
    if record is None and retraced is not None and retraced.ended:
        answer.unchecked.append("ledger and tables: the coordinator's record is not here")
    answer.findings, answer.unfinished = result.findings, result.unfinished
    answer.proof = _proof(result, retraced, has_record=record is not None) | {"closed_records": closed}


def _retrace(log: Path, config: CoordinatorConfig, answer: _Answer) -> Retraced | None:
    try:
        return retrace_market(log, config)
    except InputError as error:  # a mechanism of somebody else's, which this machine does not have
        answer.unchecked.append(f"prices: {error}")
        return None


def _proof(result: Recomputation, retraced: Retraced | None, *, has_record: bool) -> dict[str, Any]:
    return {
        **_plain(asdict(result.proof)),
        "record": has_record,
        "retraced_events": 0 if retraced is None else retraced.events,
        "retraced_messages": 0 if retraced is None else retraced.messages,
        "rounded_messages": 0 if retraced is None else retraced.rounded,
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, int) else format(value, "f") for name, value in values.items()}


def print_verification(
    run: Path, member: str | None, logs: Path | None = None, terms: Path | None = None
) -> None:
    """Print ``verification`` as JSON."""
    print(json.dumps(verification(run, member, logs=logs, terms=terms)))
