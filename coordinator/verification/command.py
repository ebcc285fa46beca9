"""``python -m coordinator verify``: recomputes what was settled; prints what was proven, or what is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from coordinator.verification.community import recompute
from coordinator.verification.findings import Findings
from coordinator.verification.member import check_member
from coordinator.verification.records import check_records, load_record
from runtime.configuration import CoordinatorConfig
from runtime.errors import InputError, LogError
from runtime.rundir import COORDINATOR, RunDirectory


def verification(run: Path, member: str | None = None) -> dict[str, Any]:
    """Recompute a run's settlement, or check one member's bills from its own log.

    Args:
        run: the run's directory; for a member, one with its log will do.
        member: the member's name, None for the whole run.

    Returns:
        JSON-ready: ``findings`` (texts), ``more_findings`` (their number beyond those), ``proof`` (counts),
        ``unfinished`` (a session that is not closed yet, or None).

    Raises:
        InputError: no log or no configuration there, or a record is damaged.
    """
    directory = RunDirectory(run)
    log = directory.log(member or COORDINATOR)
    if not log.is_file():
        raise InputError(f"{log}: missing; it is what is to be verified")
    if member is not None:
        try:
            findings, own = check_member(log)
        except LogError as error:
            return _answer(Findings([str(error)]), {}, None)
        return _answer(findings, _plain(asdict(own)), None)
    config = CoordinatorConfig.load(directory.coordinator_config)
    record = load_record(directory)
    try:
        result = recompute(log, config)
    except LogError as error:
        return _answer(Findings([str(error)]), {}, None)
    if record is not None:
        check_records(directory, record, result)
    proof = {**_plain(asdict(result.proof)), "record": record is not None}
    return _answer(result.findings, proof, result.unfinished)


def _answer(findings: Findings, proof: dict[str, Any], unfinished: int | None) -> dict[str, Any]:
    return {
        "findings": findings.texts,
        "more_findings": findings.more,
        "proof": proof,
        "unfinished": unfinished,
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, int) else format(value, "f") for name, value in values.items()}


def print_verification(run: Path, member: str | None) -> None:
    """Print ``verification`` as JSON."""
    print(json.dumps(verification(run, member)))
