"""Reads what a run left behind, and says in one sentence what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from runtime.errors import InputError
from runtime.records import CoordinatorRecord, MemberRecord, MemberSessionRecord, Record, SessionRecord
from runtime.rundir import RunDirectory

R = TypeVar("R", bound=Record)


def read_records(run: Path) -> tuple[CoordinatorRecord, dict[str, MemberRecord]]:
    """Read the coordinator's record and those of its members.

    Args:
        run: the run's directory.

    Returns:
        The coordinator's record, and each member's own by name, in the coordinator's order. A member
        whose process ended without a record is left out.

    Raises:
        InputError: there is no such run, it has not ended yet, or a record is damaged.
    """
    if not run.is_dir():
        raise InputError(f"{run}: no such run directory")
    directory = RunDirectory(run)
    path = directory.coordinator_record
    if not path.is_file():
        raise InputError(f"{path}: missing; the coordinator writes it when the run ends")
    coordinator = load_record(CoordinatorRecord, path)
    members = {}
    for name in coordinator.members:
        file = directory.member_record(name)
        if file.is_file():
            members[name] = load_record(MemberRecord, file)
    return coordinator, members


def read_indicators(run: Path) -> dict[str, Any]:
    """Read ``indicators.json``.

    Args:
        run: the run's directory.

    Raises:
        InputError: it is missing or is no JSON object.
    """
    path = RunDirectory(run).indicators_json
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path}: missing; `python -m coordinator indicators --run {run}` writes it"
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: no JSON: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: found a {type(found).__name__}, expected a JSON object")
    return found


def session_of(record: MemberRecord, session: SessionRecord) -> MemberSessionRecord | None:
    """A member's own record of a session, its arrays as long as the horizon; ``None`` if it has none.

    Raises:
        InputError: an array has another length.
    """
    own = next((s for s in record.sessions if s.session == session.session), None)
    if own is None:
        return None
    arrays = [*own, *((f"flexible_kwh.{name}", drawn) for name, drawn in own.flexible_kwh.items())]
    for field, value in arrays:
        if field == "corrected_slots":
            continue  # some of the slots
        optional = field in ("stored_kwh", "unmetered_kwh") and not value
        if isinstance(value, list) and len(value) != session.horizon.slots and not optional:
            raise InputError(
                f"records/members/{record.member}.json, session {session.session}: {field}: "
                f"found {len(value)} values, expected {session.horizon.slots}, one a slot"
            )
    return own


def load_record(kind: type[R], path: Path) -> R:
    """Read a record.

    Raises:
        InputError: it is damaged, or of another version.
    """
    try:
        return kind.load(path)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise InputError(f"{path}: {where}: {first['msg']} ({error.error_count()} problem(s))") from error
