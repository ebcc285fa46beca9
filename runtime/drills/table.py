"""A drill's outcome, for a person."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.drills.drill import UNDISTURBED, Case
from runtime.drills.judging import Judgement
from runtime.wording import counted

HEADER = (
    *("fault", "when", "started again", "reconnects", "repeated", "rounds", "late", "missing", "estimated"),
    *("refused", "EUR", "ledger", "logs"),
)

_NONE = "–"


def drill_lines(undisturbed: Judgement, cases: Sequence[Case]) -> list[str]:
    """Lay out a table with a line a case, then why ledgers differ, then what should not be.

    Args:
        undisturbed: the run without a fault.
        cases: those with one.
    """
    rows = [HEADER, _row(UNDISTURBED, "", "", undisturbed, "")]
    for case in cases:
        fault = f"{case.fault} ({case.hit})" if case.hit else case.fault
        again = [f"{name} ×{times}" if times > 1 else name for name, times in case.restarts.items()]
        if case.resumed:
            again.append("all, by resume")
        refused = "" if case.nonsense is None else f"{case.nonsense.refused} of {case.nonsense.said}"
        rows.append(_row(fault, str(case.moment), ", ".join(again), case.judgement, refused))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    for case in cases:
        if case.broken_off is not None:
            lines.append(f"{_place(case)}: broken off: {case.broken_off}")
        if case.judgement is not None and case.judgement.ledger == "by rule":
            lines.append(f"{_place(case)}: differs as the rule says: {'; '.join(case.judgement.differences)}")
    for case in cases:
        lines += [f"FAILED {_place(case)}: {failure}" for failure in case.failures]
    failed = sum(bool(case.failures) for case in cases)
    lines.append(
        f"{failed} of {len(cases)} faults did harm"
        if failed
        else f"{counted(len(cases), 'fault')}: nothing lost, nothing done twice"
    )
    return lines


def _place(case: Case) -> str:
    return f"{case.fault}, {case.moment.phase}"


def _row(fault: str, when: str, again: str, judgement: Judgement | None, refused: str) -> tuple[str, ...]:
    begin = (fault, when or _NONE, again or _NONE)
    if judgement is None:
        return (*begin, *[_NONE] * 6, refused or _NONE, _NONE, "none", _NONE)
    names = (judgement.late, judgement.missing, judgement.estimated)
    numbers = (judgement.reconnects, judgement.repeated, judgement.rounds, *map(len, names))
    return (
        *begin,
        *(str(number) if number else _NONE for number in numbers),
        refused or _NONE,
        f"{judgement.cost_eur:.2f}",
        {"equal": "equal", "by rule": "by rule", "wrong": "WRONG"}[judgement.ledger],
        counted(len(judgement.findings), "finding") if judgement.findings else "proven",
    )
