"""Members' own messages made again from their logs: ``python -m agents verify``.

A member's machine is given its configuration and what its log says it took in. It plans anew, and every
message it would have sent must be the one in the log, and so its record. What a member forecasts and plans is
its own business: this is for whoever has the members' configurations, as on one machine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agents.prosumer import ProsumerMachine
from runtime.configuration import MemberConfig
from runtime.differences import differences
from runtime.errors import LogError
from runtime.messagelog.reader import read_log
from runtime.messaging.moment import jid_of
from runtime.messaging.retrace import retrace
from runtime.records import MemberRecord
from runtime.rundir import RunDirectory

_NOT_DECIDED = "planning_seconds"
"""Part of a session's record that is measured on the machine's clock."""


def check_members(run: Path, logs: Path | None = None) -> dict[str, Any]:
    """Make the messages of a run's members again.

    Args:
        run: the run's directory, with the members' configurations.
        logs: folder of logs; None for the run's own.

    Returns:
        JSON-ready: ``findings`` (texts), ``more_findings``, ``members`` and ``messages`` (counts of what was
        made again and is equal), ``unchecked`` (members that lack log or configuration).

    Raises:
        InputError: a configuration is damaged.
    """
    directory = RunDirectory(run)
    folder = logs or directory.logs_dir
    findings: list[str] = []
    unchecked: list[str] = []
    members = messages = more = 0
    for path in sorted(directory.member_config("any").parent.glob("*.json")):
        config = MemberConfig.load(path)
        log = folder / f"{config.name}.jsonl"
        if not log.is_file():
            unchecked.append(f"{config.name}'s own messages: {log} is not here")
            continue
        record_path = directory.member_record(config.name)
        try:
            machine = ProsumerMachine(config, jid_of(log), record_path)
            retraced = retrace(read_log(log, check_hashes=False), machine)
        except LogError as error:
            findings.append(str(error))
            continue
        members += 1
        messages += retraced.messages
        more += retraced.more
        findings += [str(divergence) for divergence in retraced.divergences]
        made = next((each for each in retraced.saved[::-1] if isinstance(each, MemberRecord)), None)
        if made is not None and record_path.is_file():
            found = json.loads(record_path.read_bytes())
            name = record_path.relative_to(directory.path)
            findings += [
                f"{name}: {text}" for text in differences(_decided(found), _decided(json.loads(_text(made))))
            ]
    if not members and not unchecked:
        unchecked.append(
            f"members' own messages: found no configuration in {directory.config_dir / 'members'}"
        )
    return {
        "findings": findings,
        "more_findings": more,
        "members": members,
        "messages": messages,
        "unchecked": unchecked,
    }


def _text(record: MemberRecord) -> str:
    return record.model_dump_json()


def _decided(record: Any) -> Any:  # noqa: ANN401 - a record as JSON, damaged perhaps
    if isinstance(record, dict) and isinstance(record.get("sessions"), list):
        for session in record["sessions"]:
            if isinstance(session, dict):
                session.pop(_NOT_DECIDED, None)
    return record


def print_check(run: Path, logs: Path | None) -> None:
    """Print ``check_members`` as JSON."""
    print(json.dumps(check_members(run, logs)))
