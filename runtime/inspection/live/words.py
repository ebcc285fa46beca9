"""What agents answered the inspector, as a table of text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.inspection.live.client import Answer
from runtime.messagelog.summaries import escaped

COLUMNS = ("agent", "phase", "session", "round", "slot", "waits for", "computes", "up", "reconn.", "answer")
_MOST_NAMES = 4


def answer_cells(answer: Answer) -> tuple[str, ...]:
    """An agent's cells, in the order of ``COLUMNS``."""
    status = answer.status
    if status is None:
        return (escaped(answer.agent), escaped(answer.problem), *[""] * (len(COLUMNS) - 2))
    cells = (
        answer.agent,
        status.phase,
        "" if status.session is None else f"{status.session + 1}/{status.sessions or '?'}",
        "" if status.round is None else str(status.round),
        "" if status.slot is None else f"{status.slot + 1}/{status.slots or '?'}",
        _names(status.waits_for),
        _names(status.computing),
        f"{status.up_s:.0f} s",
        str(status.reconnects),
        "" if answer.delay_s is None else f"{1000 * answer.delay_s:.0f} ms",
    )
    return tuple(escaped(cell) for cell in cells)


def answers_table(answers: Sequence[Answer]) -> str:
    """All answers as lines of text."""
    rows = [COLUMNS, *map(answer_cells, answers)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def answers_json(at: str, answers: Sequence[Answer]) -> dict[str, Any]:
    """All answers, JSON-ready.

    Args:
        at: when they were gathered.
        answers: in order.
    """
    return {
        "at": at,
        "agents": [
            {
                "agent": answer.agent,
                "problem": answer.problem or None,
                "delay_s": None if answer.delay_s is None else round(answer.delay_s, 4),
                "status": None if answer.status is None else answer.status.model_dump(mode="json"),
            }
            for answer in answers
        ],
    }


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown
