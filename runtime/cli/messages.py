"""``peerwatt messages``: lists, filters, follows, exports, counts and verifies what a run's agents said."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.cli.message_rows import (
    REMEMBERED,
    MessageRow,
    Row,
    export,
    listed_rows,
    message_row,
    rows_as_they_come,
)
from runtime.cli.message_statistics import statistics_of, statistics_text
from runtime.cli.message_views import diagram as draw_diagram
from runtime.cli.message_views import whole_message
from runtime.errors import InputError
from runtime.inspection.index.query import IndexedMessage, MessageQuery
from runtime.inspection.index.store import open_index
from runtime.messagelog.facts import BodyFacts
from runtime.messagelog.filters import MessageFilter, session_named
from runtime.messagelog.reader import follow as follow_logs
from runtime.messagelog.reader import log_paths
from runtime.messagelog.record import instant_text
from runtime.messagelog.summaries import SUMMARISERS, escaped
from runtime.messagelog.verify import verify as verify_logs
from runtime.protocol.envelope import Performative
from runtime.rundir import RunDirectory
from runtime.wording import counted

_STYLES = {
    "refuse": "red",
    "failure": "red",
    "not-understood": "red",
    "reject-proposal": "red",
    "cfp": "cyan",
    "propose": "green",
    "accept-proposal": "bold green",
    "event": "magenta",
}
_WIDTHS = (23, 28, 15, 16, 20)

_MUCH_BYTES = 50_000_000
"""So much new in the logs takes a while to index."""


def messages(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under ./runs.")],
    agent: Annotated[str | None, typer.Option(help="Sender or recipient, by name or JID.")] = None,
    with_: Annotated[str | None, typer.Option("--with", help="The other end.")] = None,
    performative: Annotated[Performative | None, typer.Option(help="FIPA performative.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Type of the body, as position.")] = None,
    round_: Annotated[int | None, typer.Option("--round", min=0, help="Round of the negotiation.")] = None,
    slot: Annotated[int | None, typer.Option(min=0, help="Slot of the session.")] = None,
    session: Annotated[
        str | None, typer.Option(help="Market session: number, from 1, or conversation.")
    ] = None,
    grep: Annotated[str | None, typer.Option(help="Text in body, ids or names; case is ignored.")] = None,
    since: Annotated[str | None, typer.Option(help="From this instant on, ISO 8601; UTC if no zone.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this instant, ISO 8601; UTC if no zone.")] = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="Id of the message; with --full, all about it.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many messages.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until Ctrl-C.")] = False,
    events: Annotated[
        bool, typer.Option("--events", help="Show what else agents logged, as restarts.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Show each whole body below its line.")] = False,
    export_to: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write to FILE.jsonl or FILE.csv instead.")
    ] = None,
    diagram: Annotated[
        bool, typer.Option("--diagram", help="Draw a sequence diagram; with --export, to FILE.svg or .txt.")
    ] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Count instead: kinds, agents, resends, delays.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Check all logs: unchanged, every message arrived once; exit code 1 if not."
        ),
    ] = False,
) -> None:
    """List what the agents of a run said to each other, from their message logs. Times are UTC."""
    if follow and (export_to or stats or verify or diagram or id_):
        raise InputError("--follow: goes with none of --export, --stats, --verify, --diagram and --id")
    criteria = MessageFilter(
        agent=agent,
        peer=with_,
        performative=performative,
        body_type=type_,
        session=None if session is None else session_named(session),
        round=round_,
        slot=slot,
        text=grep,
        since=_instant("--since", since),
        until=_instant("--until", until),
    )
    logs_dir = find_logs(run, may_be_empty=follow)
    printer = _Printer(as_json=as_json, full=full, flush=follow)
    try:
        if follow:
            _follow(logs_dir, criteria, printer, events=events, limit=limit)
            return
        findings = 0
        if export_to or stats or not verify:
            with _query(logs_dir) as query:
                agents = sorted(path.stem for path in log_paths(logs_dir))
                chosen = _Chosen(query, criteria, id_, limit, agents)
                if diagram:
                    _draw(chosen.rows(), run, printer, export_to)
                elif id_ is not None and full and not as_json:
                    _show_whole(query, chosen)
                else:
                    _show(chosen, printer, export_to, stats=stats, events=events)
        if verify:
            findings = _verify(logs_dir, printer)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read this has had enough; Python must not complain of it again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if findings:
        raise typer.Exit(1)


def find_logs(run: str, *, may_be_empty: bool = False) -> Path:
    """Find the folder of a run's message logs.

    Args:
        run: the run's folder, its name under ``./runs``, or a folder of logs.
        may_be_empty: whether a run that has no log yet will do.

    Raises:
        InputError: no such run, or no log in it.
    """
    places = [Path(run), Path("runs") / run]
    for place in places:
        for folder in (RunDirectory(place).logs_dir, place):
            if log_paths(folder):
                return folder
    present = [place for place in places if place.is_dir()]
    if not present:
        raise InputError(f"run {run!r}: expected a folder {places[0]} or {places[1]}, found neither")
    logs_dir = RunDirectory(present[-1]).logs_dir
    if not may_be_empty:
        raise InputError(f"run {run!r}: expected message logs (*.jsonl) in {logs_dir}, found none")
    return logs_dir


def _instant(option: str, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option}: expected an instant like 2026-06-01T10:00:00Z, found {text!r}") from None
    return instant_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _follow(
    logs_dir: Path, criteria: MessageFilter, printer: _Printer, *, events: bool, limit: int | None
) -> None:
    try:
        for row in itertools.islice(_rows_from_now_on(logs_dir, criteria, events=events), limit):
            printer.row(row)
    except KeyboardInterrupt:
        return


def _rows_from_now_on(logs_dir: Path, criteria: MessageFilter, *, events: bool) -> Iterator[Row]:
    """What there is, from the index; then what comes."""
    if not log_paths(logs_dir):
        yield from rows_as_they_come(follow_logs(logs_dir, lambda: False), criteria, events=events)
        return
    with _query(logs_dir) as query:
        known = query.known_logs()
        before = [(key, BodyFacts(None, *place)) for key, place in query.latest(REMEMBERED)]
        yield from listed_rows(query, criteria, events=events)
    records = follow_logs(logs_dir, lambda: False, known=known)
    yield from rows_as_they_come(records, criteria, events=events, before=before)


def _query(logs_dir: Path) -> MessageQuery:
    def telling(new_bytes: int, is_kept: bool) -> None:
        if new_bytes >= _MUCH_BYTES or not is_kept:
            kept = "kept beside them" if is_kept else "for this once, as their folder cannot be written to"
            typer.echo(f"indexing {new_bytes / 1e6:.0f} MB of logs, {kept}", err=True)

    return MessageQuery(open_index(logs_dir, telling))


_NAMED = 20


@dataclass(frozen=True)
class _Chosen:
    """The messages that were asked for."""

    query: MessageQuery
    criteria: MessageFilter
    message_id: str | None
    limit: int | None
    agents: list[str]

    def nothing(self) -> str:
        """Say that there are none, and which names asked for nobody here has."""
        asked = (("--agent", self.criteria.agent), ("--with", self.criteria.peer))
        said = ["no message matches"]
        for option, name in asked:
            if name is not None and name.partition("@")[0] not in self.agents:
                few = [*self.agents[:_NAMED], *(["…"] if len(self.agents) > _NAMED else [])]
                said.append(f"{option}: found {escaped(name)!r}, logs are here of {', '.join(few)}")
        kind = self.criteria.body_type
        if kind is not None and kind not in SUMMARISERS:
            said.append(f"--type: found {escaped(kind)!r}, types are {', '.join(sorted(SUMMARISERS))}")
        return "; ".join(said)

    def rows(self, *, events: bool = False) -> Iterator[Row]:
        """Give their rows, in the order of time."""
        rows = listed_rows(self.query, self.criteria, events=events, message_id=self.message_id)
        return itertools.islice(rows, self.limit)

    def messages(self) -> Iterator[IndexedMessage]:
        """Give what the index knows of them."""
        if self.criteria.text is None:
            return itertools.islice(self.query.messages(self.criteria, self.message_id), self.limit)
        found = self.query.matching(self.criteria, self.message_id)
        return itertools.islice((message for message, _ in found), self.limit)


def _draw(rows: Iterable[Row], run: str, printer: _Printer, export_to: Path | None) -> None:
    text, number = draw_diagram(rows, run, export_to)
    if export_to is None:
        printer.say(text, {"messages": number, "diagram": text})
    else:
        said = f"{counted(number, 'message')} drawn in {export_to}"
        printer.say(said, {"messages": number, "file": str(export_to)})


def _show_whole(query: MessageQuery, chosen: _Chosen) -> None:
    none = True
    for found in chosen.messages():
        none = False
        row, *others = (
            [message_row(query, message, query.envelope(message)) for message in messages]
            for messages in ([found], *query.related(found))
        )
        typer.echo("\n".join(whole_message(row[0], *others)))
    if none:
        typer.echo(chosen.nothing(), err=True)


def _show(chosen: _Chosen, printer: _Printer, export_to: Path | None, *, stats: bool, events: bool) -> None:
    if export_to:
        count = export(chosen.rows(events=events), export_to)
        said = f"{counted(count, 'row')} written to {export_to}"
        printer.say(said, {"written": count, "file": str(export_to)})
    if stats:
        counts = statistics_of(chosen.messages(), chosen.query)
        printer.say(statistics_text(counts), counts.as_json())
    if not export_to and not stats:
        none = True
        for row in chosen.rows(events=events):
            printer.row(row)
            none = False
        if none:
            typer.echo(chosen.nothing(), err=True)


def _verify(logs_dir: Path, printer: _Printer) -> int:
    paths = log_paths(logs_dir)
    findings = verify_logs(paths)
    for finding in findings:
        printer.say(
            escaped(f"{finding.kind}: {finding.text}"), {"finding": finding.kind, "text": finding.text}
        )
    result = counted(len(findings), "finding") if findings else "unchanged, and every message arrived once"
    printer.say(f"{counted(len(paths), 'log')}: {result}", {"logs": len(paths), "findings": len(findings)})
    return len(findings)


class _Printer:
    """Writes rows to standard output: JSON, plain text, or in colour on a terminal."""

    def __init__(self, *, as_json: bool, full: bool, flush: bool) -> None:
        self._json = as_json
        self._full = full
        self._flush = flush
        self._console: Any = None
        if not as_json and sys.stdout.isatty():
            from rich.console import Console

            self._console = Console(highlight=False)

    def row(self, row: Row) -> None:
        """Write one message or event."""
        if self._json:
            print(json.dumps(row.as_json()), flush=self._flush)
            return
        columns = row.columns()
        *heads, text = columns
        head = " ".join(f"{column:<{width}}" for column, width in zip(heads, _WIDTHS, strict=True))
        if self._console is None:
            print(f"{head} {text}", flush=self._flush)
        else:
            self._coloured(head, columns[2], text)
        if self._full and isinstance(row, MessageRow):
            for line in _whole_body(row):
                print(f"    {line}", flush=self._flush)

    def say(self, text: str, entry: dict[str, Any]) -> None:
        """Write something else: its text, or its JSON object."""
        print(json.dumps(entry) if self._json else text, flush=self._flush)

    def _coloured(self, head: str, performative: str, text: str) -> None:
        from rich.text import Text

        line = Text(f"{head} ", style=_STYLES.get(performative, ""))
        line.append(text, style="dim" if performative == "inform" else "")
        self._console.print(line, soft_wrap=True)


def _whole_body(row: MessageRow) -> list[str]:
    if not row.facts.fields:
        return [escaped(row.envelope.body)]
    return [escaped(line) for line in json.dumps(row.facts.fields, indent=2).splitlines()]
