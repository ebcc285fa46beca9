"""Other views of messages than a list: a sequence diagram, and one message whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from runtime.cli.message_rows import MessageRow, Row
from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.inspection.diagram import Arrow, svg_diagram, text_diagram
from runtime.messagelog.pairing import Sighting
from runtime.messagelog.summaries import escaped, summarise

MOST_ARROWS = 5000
_REFUSALS = frozenset({"refuse", "failure", "not-understood", "reject-proposal"})


def diagram(rows: Iterable[Row], run: str, file: Path | None) -> tuple[str, int]:
    """Draw messages as a sequence diagram.

    Args:
        rows: messages, in order.
        run: name of the run.
        file: where to, ``.svg`` or ``.txt``; None for text that is given back.

    Returns:
        The diagram, and the number of messages in it.

    Raises:
        InputError: too many messages, or a file of another form or that cannot be written.
    """
    arrows = [_arrow(row) for row in islice(rows, MOST_ARROWS + 1) if isinstance(row, MessageRow)]
    if len(arrows) > MOST_ARROWS:
        raise InputError(
            f"--diagram: found more than {MOST_ARROWS} messages, expected so many or fewer; "
            "filters (--agent, --slot, --round) or --limit choose some"
        )
    if file is None:
        return text_diagram(arrows), len(arrows)
    if file.suffix not in (".svg", ".txt"):
        raise InputError(f"--export {file}: expected a name ending in .svg or .txt for a diagram")
    text = svg_diagram(arrows, f"Messages of {run}") if file.suffix == ".svg" else text_diagram(arrows) + "\n"
    try:
        write_text_atomically(file, text)
    except OSError as error:
        raise InputError(f"--export {file}: cannot be written: {error.strerror}") from error
    return text, len(arrows)


def _arrow(row: MessageRow) -> Arrow:
    envelope, trace, facts = row.envelope, row.trace, row.facts
    place = "".join(
        f", {name} {value}"
        for name, value in (("round", facts.round), ("slot", facts.slot))
        if value is not None
    )
    return Arrow(
        at=row.at,
        sender=envelope.sender.partition("@")[0],
        recipient=envelope.recipient.partition("@")[0],
        label=f"{envelope.performative} {facts.type or '?'}{place}",
        text=summarise(envelope, facts),
        arrived=trace is None or bool(trace.received),
        refuses=envelope.performative in _REFUSALS,
    )


def whole_message(row: MessageRow, asked: Iterable[MessageRow], answers: Iterable[MessageRow]) -> list[str]:
    """One message whole: its headers, who logged it when, what it answers, what answers it, its body.

    Args:
        row: the message.
        asked: what it answers.
        answers: what answers it.
    """
    envelope, trace = row.envelope, row.trace
    lines = [
        f"{envelope.performative} {envelope.message_id!r} from {envelope.sender} to {envelope.recipient}",
        f"  protocol {envelope.protocol}, conversation {envelope.conversation}, ontology {envelope.ontology}",
        f"  {'expects' if envelope.expects_reply else 'expects no'} reply"
        + (f", until {envelope.reply_by}" if envelope.reply_by else ""),
    ]
    for verb, seen in (("sent", trace.sent), ("received", trace.received)) if trace is not None else ():
        lines += [f"  {verb}: {_sighting(sighting)}" for sighting in seen] or [f"  {verb}: in no log here"]
    lines += [f"  answers {_brief(other)}" for other in asked]
    lines += [f"  answered by {_brief(other)}" for other in answers]
    body = json.dumps(row.facts.fields, indent=2) if row.facts.fields else envelope.body
    return [escaped(line) for line in [*lines, *(f"  {line}" for line in body.splitlines())]]


def _sighting(seen: Sighting) -> str:
    return f"{seen.at} by {seen.agent}, record {seen.seq}" + (f" ({seen.note})" if seen.note else "")


def _brief(row: MessageRow) -> str:
    envelope = row.envelope
    return f"{envelope.performative} {envelope.message_id!r} of {row.at}: {summarise(envelope, row.facts)}"
