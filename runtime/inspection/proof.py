"""A run verified: its logs here, its settlement by the coordinator's side, at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.errors import InputError, PeerwattError
from runtime.fleet.query import ask_agents
from runtime.messagelog.server_check import ServerCheck, check_against_server
from runtime.messagelog.verify import FindingKind, LogCheck, check_logs

VERIFICATION_TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class Verdict:
    """What was proven of a run, or what breaks it.

    Attributes:
        findings: what is wrong, logs first; each names a log, record, message or line.
        more: findings beyond those, only counted.
        logs: the check of the logs.
        settlement: what ``python -m coordinator verify`` says; None if settlement was not asked for.
        unchecked: what could not be checked, and why.
        members: what ``python -m agents verify`` says; None if members' own messages were not asked for.
        server: logs held against the server's record; None if that was not asked for.
    """

    findings: list[str]
    more: int
    logs: LogCheck
    settlement: dict[str, Any] | None
    unchecked: list[str] = field(default_factory=list)
    members: dict[str, Any] | None = None
    server: ServerCheck | None = None

    @property
    def proven(self) -> bool:
        """Whether nothing is wrong, in what could be checked."""
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """Give it as a JSON object."""
        return {
            "proven": self.proven,
            "findings": self.findings,
            "more_findings": self.more,
            "unchecked": self.unchecked,
            "undelivered": self.logs.undelivered,
            "flooded": [
                {"agent": agent, "sender": sender, "messages": number}
                for (agent, sender), number in sorted(self.logs.flooded.items())
            ],
            "logs": self.log_counts(),
            "settlement": self.settlement,
            "members": self.members,
            "server": None if self.server is None else self.server.as_json(),
        }

    def log_counts(self) -> dict[str, int]:
        """What was read of the logs."""
        audit = self.logs.audit
        return {
            "logs": len(audit.logs),
            "records": sum(log.records for log in audit.logs),
            "messages": len(audit.tally),
            "resends": audit.tally.resends,
            "duplicates": audit.tally.duplicates,
            "refused": len(audit.misspoken.keys() & audit.refused),
            "restarts": sum(log.restarts for log in audit.logs),
            "torn_lines": sum(log.torn_lines for log in audit.logs),
        }


def verify_run(
    run: Path,
    logs: Sequence[Path],
    member: str | None = None,
    terms: Path | None = None,
    *,
    members: bool = False,
    server_record: Path | None = None,
) -> Verdict:
    """Verify a run, or one member's own bills.

    Args:
        run: the run's directory.
        logs: the logs to check; a member's own only, for a member.
        member: whose bills alone, from its own log; None for the whole run.
        terms: the coordinator's configuration; None for the run's own.
        members: whether to make the members' own messages again too.
        server_record: the server's record to hold the logs against; None for not at all.

    Raises:
        InputError: what is needed is missing or damaged.
        PeerwattError: the recomputation failed.
    """
    command = [sys.executable, "-m", "coordinator", "verify", "--run", str(run)]
    if member is not None:
        command += ["--member", member]
    if terms is not None:
        command += ["--terms", str(terms)]
    if logs:
        command += ["--logs", str(logs[0].parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asked:
        try:
            checked = check_logs(logs)
            carried = (
                None if server_record is None else check_against_server(server_record, checked.audit.logs)
            )
            answer, said = asked.communicate(timeout=VERIFICATION_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            asked.kill()
            raise PeerwattError(f"verify: no answer after {VERIFICATION_TIMEOUT_S:g} s") from None
        except BaseException:
            asked.kill()
            raise
    if asked.returncode:
        lines = said.strip().splitlines() or [f"exit code {asked.returncode}"]
        reason = lines[-1].removeprefix("error: ")
        raise (InputError if asked.returncode == InputError.exit_code else PeerwattError)(reason)
    settlement: dict[str, Any] = json.loads(answer)
    # Of ends whose logs are not here nothing can be said: that is no fault of what is here.
    found = [f"{f.kind}: {f.text}" for f in checked.findings if f.kind is not FindingKind.NO_LOG]
    broken = any(finding.kind == "chain" for finding in checked.findings)
    found += [text for text in settlement["findings"] if not (broken and _is_said(text, found))]
    unchecked = list(settlement["unchecked"])
    more = checked.unnamed + settlement["more_findings"]
    own: dict[str, Any] | None = None
    if members:
        own = ask_agents("verify", "--run", str(run), *(("--logs", str(logs[0].parent)) if logs else ()))
        found += own["findings"]
        more += own["more_findings"]
        unchecked += own["unchecked"]
    if member is None:
        unchecked += [f.text for f in checked.findings if f.kind is FindingKind.NO_LOG]
    if carried is not None:
        # The server's word first: it names who kept a message from a log, where logs show that it is missing.
        found = [f"{one.kind}: {one.text}" for one in carried.findings] + found
        more += carried.unnamed
        unchecked += carried.unchecked()
    return Verdict(found, more, checked, settlement, unchecked, own, carried)


def _is_said(text: str, found: Sequence[str]) -> bool:
    return any(finding.endswith(text) for finding in found)
