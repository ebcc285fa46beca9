"""``peerwatt verify``: proves from the logs that a run was settled as was said, or names what breaks it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.errors import InputError
from runtime.wording import counted

if TYPE_CHECKING:
    from runtime.inspection.proof import Verdict
    from runtime.messagelog.server_check import ServerCheck

MOST_SHOWN = 20
MOST_STRANGERS = 5

NOT_ALL_CHECKED = 3
"""Exit code where nothing is wrong, but not everything could be checked."""


def verify(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")],
    member: Annotated[
        str | None, typer.Option(help="Check this member's own bills, from its own log alone.")
    ] = None,
    terms: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What the community agreed on, where RUN has no config/coordinator.json."
        ),
    ] = None,
    members: Annotated[
        bool,
        typer.Option(
            "--members", help="Make the members' own messages again too: they plan anew, which takes time."
        ),
    ] = False,
    server: Annotated[
        bool,
        typer.Option(
            "--server", help="Hold the logs against the server's own record, server/messages.jsonl."
        ),
    ] = False,
    server_record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The same, where the server's record is elsewhere."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print counts and findings as JSON.")] = False,
) -> None:
    """Check that the logs are unchanged and complete, and that every price and bill follows from them.

    RUN may be a folder of logs collected from many machines. Exit code 1 if something does not hold; the
    first finding names the message, record or line. Exit code 3 if nothing is wrong, but something could not
    be checked, as where a log is not here.
    """
    from runtime.cli.messages import find_logs
    from runtime.inspection.proof import verify_run
    from runtime.messagelog.reader import log_paths
    from runtime.messagelog.server_record import RECORD_FILE
    from runtime.messagelog.summaries import escaped

    logs_dir = find_logs(run)
    paths = log_paths(logs_dir)
    if member is not None and members:
        raise InputError("--member, --members: found both, expected one of them")
    if member is not None:
        own = logs_dir / f"{member}.jsonl"
        if own not in paths:
            raise InputError(f"--member: found no log {own}")
        paths = [own]
    if terms is not None and not terms.is_file():
        raise InputError(f"--terms: found no file {terms}")
    run_dir = logs_dir.parent if logs_dir.name == "logs" else logs_dir
    if server and server_record is None:
        server_record = run_dir / "server" / RECORD_FILE
    if server_record is not None and server_record.resolve() in {path.resolve() for path in paths}:
        raise InputError(f"--server-record: {server_record}: expected a file outside the folder of logs")
    verdict = verify_run(run_dir, paths, member, terms, members=members, server_record=server_record)
    if as_json:
        typer.echo(json.dumps(verdict.as_json(), indent=1))
    else:
        for text in verdict.findings[:MOST_SHOWN]:
            typer.echo(escaped(text))
        typer.echo(_verdict_text(run, verdict, member))
    if not verdict.proven:
        raise typer.Exit(1)
    if verdict.unchecked:
        raise typer.Exit(NOT_ALL_CHECKED)


def _verdict_text(run: str, verdict: Verdict, member: str | None) -> str:
    if not verdict.proven:
        number = len(verdict.findings) + verdict.more
        shown = min(number, len(verdict.findings), MOST_SHOWN)
        more = f" ({number - shown} more than are shown)" if number > shown else ""
        return f"NOT PROVEN: {run}: {counted(number, 'finding')}{more}; the first is above."
    counts = verdict.log_counts()
    settlement = verdict.settlement or {}
    whole = "" if not verdict.unchecked else ", as far as could be checked"
    lines = [f"{run}: proven from the logs{whole}", *_log_lines(counts), *_undelivered_lines(verdict)]
    lines += _flood_lines(verdict)
    if verdict.server is not None:
        lines += _server_lines(verdict.server)
    proof: dict[str, Any] = settlement.get("proof", {})
    if proof:
        lines += _settlement_lines(proof) if member is None else _member_lines(member, proof)
    if verdict.members is not None and verdict.members["members"]:
        own = verdict.members
        lines.append(
            f"  {counted(own['messages'], 'message')} of {counted(own['members'], 'member')}, made again "
            "from their own logs and configurations: equal"
        )
    if settlement.get("unfinished") is not None:
        lines.append(
            f"  session {settlement['unfinished']} is not closed: only its settled slots were checked"
        )
    if verdict.unchecked:
        lines.append("  NOT CHECKED:")
        lines += [f"    {text}" for text in verdict.unchecked[:MOST_SHOWN]]
        if len(verdict.unchecked) > MOST_SHOWN:
            lines.append(f"    and {len(verdict.unchecked) - MOST_SHOWN} more")
    return "\n".join(lines)


def _log_lines(counts: dict[str, int]) -> list[str]:
    logs = (
        f"  {counted(counts['logs'], 'log')}, {counted(counts['records'], 'record')}: every hash follows "
        "from the one before"
    )
    if counts["restarts"]:
        torn = counted(counts["torn_lines"], "record")
        logs += f"; {counted(counts['restarts'], 'restart')}, {torn} lost to a crash in writing"
    messages = counted(counts["messages"], "message")
    if counts["logs"] == 1:
        return [
            logs,
            f"  {messages}; what the other ends logged of them was not looked at",
        ]
    return [
        logs,
        f"  {messages}: each sent by who may say it, arrived, and taken in once "
        f"({counted(counts['resends'], 'resend')}, {counted(counts['duplicates'], 'duplicate')}, "
        f"{counts['refused']} refused)",
    ]


def _undelivered_lines(verdict: Verdict) -> list[str]:
    from runtime.messagelog.summaries import escaped

    texts = verdict.logs.undelivered
    if not texts:
        return []
    more = [f"      and {len(texts) - MOST_SHOWN} more"] if len(texts) > MOST_SHOWN else []
    shown = [f"      {escaped(text)}" for text in texts[:MOST_SHOWN]]
    return [f"    but for {counted(len(texts), 'message')}, as somebody had left by then:", *shown, *more]


def _flood_lines(verdict: Verdict) -> list[str]:
    return [
        f"    but for {counted(number, 'message')} of {sender}: {agent} was flooded, and logged their number"
        for (agent, sender), number in sorted(verdict.logs.flooded.items())
    ]


def _server_lines(check: ServerCheck) -> list[str]:
    counts, record = check.counts, check.record
    lines = [
        f"  the server's own record: {counted(counts['messages'], 'message')}, "
        f"{counted(counts['repeated'], 'repetition')}: each carried from the account that the logs "
        "name, in both logs with the same content, in the same order"
    ]
    if record.openings > 1 or record.torn_lines:
        lines.append(
            f"    the server was started {counted(record.openings, 'time')}; "
            f"{counted(record.torn_lines, 'line')} of its record cut by a crash, or being written"
        )
    if counts["unheard"]:
        lines.append(f"    {counts['unheard']} of them went down with a connection, and were repeated")
    if counts["with_strangers"]:
        names = ", ".join(name for name, _ in check.strangers.most_common(MOST_STRANGERS))
        more = ", …" if len(check.strangers) > MOST_STRANGERS else ""
        lines.append(
            f"    {counted(counts['with_strangers'], 'message')} with accounts whose logs are not here "
            f"({names}{more}): held against the other end's log"
        )
    if counts["inspection"]:
        lines.append(f"    {counts['inspection']} were the inspector's and answers to it, which no log keeps")
    return lines


def _settlement_lines(proof: dict[str, Any]) -> list[str]:
    missing = f", {proof['missing']} without one settled at the agreed position" if proof["missing"] else ""
    lines = []
    if proof["retraced_messages"]:
        rounded = f" ({proof['rounded_messages']} to the last decimals)" if proof["rounded_messages"] else ""
        lines.append(
            f"  the coordinator's {proof['retraced_messages']} messages, with every price and allocation, "
            f"made again by its mechanism from {proof['retraced_events']} that it took in: equal{rounded}"
        )
    lines += [
        f"  {counted(proof['sessions'], 'session')}, {counted(proof['slots'], 'slot')} settled again from "
        f"{counted(proof['deliveries'], 'delivery')}{missing}, the agreed prices and the tariffs",
        f"  {counted(proof['lines'], 'bill line')} and {counted(proof['bills'], 'bill')} "
        f"({proof['billed_eur']} EUR in all): equal",
    ]
    if proof["corrections"]:
        lines.append(
            f"  {counted(proof['corrections'], 'correction')} of settled slots, at the grid's tariffs: equal"
        )
    if proof["record"]:
        lines.append(
            f"  {counted(proof['entries'], 'ledger entry')}, {counted(proof['rows'], 'row')} of tables, "
            f"amounts on {counted(proof['pages'], 'bill page')}: equal"
        )
    else:
        lines.append("  no record yet: the coordinator writes it when the run ends")
    if proof.get("closed_records"):
        lines.append(f"  {counted(proof['closed_records'], 'session')} that months are billed from: equal")
    return lines


def _member_lines(member: str, proof: dict[str, Any]) -> list[str]:
    from runtime.messagelog.summaries import plainly

    lines = [
        f"  {counted(proof['sessions'], 'bill')} of {member}, {proof['billed_eur']} EUR in all: "
        f"{proof['slots']} bill lines follow from what it delivered and the prices it was told; the "
        "bills are their sums",
        f"  taken on trust, as only the others' logs show it: that {proof['local_kwh']} kWh is its part of "
        f"what neighbours traded, and {plainly(proof['taken_on_trust_eur'])} EUR of fees, limit and sharing",
    ]
    if proof["corrections"]:
        lines.append(f"  {counted(proof['corrections'], 'correction')} of slots follow in the same way")
    if proof["without_line"]:
        lines.append(
            f"  {counted(proof['without_line'], 'slot')} without a bill line: their sessions' sums were not "
            "checked"
        )
    return lines
