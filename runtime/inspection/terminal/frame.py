"""What a terminal shows of a run's state: lines and cells of plain text, nothing that acts on a terminal.

The state is what ``RunFollower.snapshot`` gives, the same as the dashboard's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from runtime.inspection.counts import METERED
from runtime.messagelog.summaries import escaped
from runtime.wording import counted

Fields = dict[str, Any]
Series = Sequence[float | None]

# "owes" is for the session, "in all" since the run began
MEMBER_COLUMNS = ("member", "state", "net kWh", "batt", "owes EUR", "in all", "metered", "meter")
LEFT_ALIGNED = frozenset({"member", "state", "meter"})
_BARS = "▁▂▃▄▅▆▇█"
_LABEL_WIDTH, _RANGE_WIDTH = 17, 26
_WIDEST = 240


def title_line(run: str, state: Fields) -> str:
    """Which run this is and where it stands, in one line."""
    parts = [run, state["community"], state["mechanism"], state["phase"]]
    shown = state["shown"]
    if shown is not None:
        parts.append(f"session {shown['number'] + 1}/{state['sessions']}")
        if shown["number"] == state["session"]:
            parts += [f"round {state['round']}"] if state["round"] is not None else []
            parts += [f"slot {state['slot'] + 1}/{shown['slots']}"] if state["slot"] is not None else []
    return escaped(" · ".join(part for part in parts if part))


def count_line(state: Fields) -> str:
    """How much there was: messages, alarms, and the newest of these."""
    text = f"{counted(state['messages'], 'message')} · {counted(state['alarm_count'], 'alarm')}"
    if state["read_share"] < 1.0:
        text += f" · {100 * state['read_share']:.0f} % of the logs read"
    if state["problem"]:
        text += f" · {state['problem']}"
    elif state["stopped"]:
        text += f" · {state['stopped']}"
    elif state["alarms"]:
        text += f" · {alarm_line(state['alarms'][0])}"
    return escaped(text)


def member_rows(state: Fields) -> Iterator[tuple[str, ...]]:
    """The members' cells, in the order of ``MEMBER_COLUMNS``."""
    for member in state["members"]:
        qualities: dict[str, int] = member["qualities"]
        slots = sum(qualities.values())
        cells = (
            member["name"],
            "silent" if member["silent"] else member["doing"],
            "–" if member["net_kwh"] is None else f"{member['net_kwh']:+.3f}",
            battery_text(state["soc"].get(member["name"])),
            euros(member["owed_eur"]),
            euros(member["owed_in_all_eur"]),
            f"{qualities.get(METERED, 0)}/{slots}",
            member["meter"].removeprefix(f"{member['name']}."),
        )
        yield tuple(escaped(cell) for cell in cells)


def euros(amount: str | None) -> str:
    """An exact amount in cents; half a cent to the even one."""
    return "–" if amount is None else f"{round(Decimal(amount), 2) + 0:.2f}"  # + 0: no sign of zero


def battery_text(charges: Sequence[float] | None) -> str:
    """State of charge after the session's last slot; members tell it when the run has ended."""
    return f"{100 * charges[-1]:.0f} %" if charges else "–"


def series_lines(state: Fields, width: int, member: str | None = None) -> Iterator[str]:
    """Prices, flows, battery levels and the rounds' costs over the session, one line each.

    Args:
        state: the run's state.
        width: of a line.
        member: whose battery; None for the mean of all.
    """
    shown = state["shown"]
    if shown is None:
        return
    wide = max(8, min(width - _LABEL_WIDTH - _RANGE_WIDTH, _WIDEST))
    costs = [entry["cost"] for entry in shown["costs_eur"]]
    lines: list[tuple[str, Series, str, int]] = [
        ("local price", shown["local_price"], "EUR/kWh", 4),
        ("grid price", shown["import_price"], "EUR/kWh", 4),
        ("traded", shown["traded_kwh"], "kWh", 2),
        ("from the grid", shown["import_kwh"], "kWh", 2),
        ("to the grid", shown["export_kwh"], "kWh", 2),
        battery_series(state["soc"], member),
        ("cost by round", costs, "EUR", 2),
    ]
    for label, values, unit, digits in lines:
        known = [value for value in values if value is not None]
        told = f"{min(known):.{digits}f} … {max(known):.{digits}f} {unit}" if known else "–"
        yield escaped(f"{label[: _LABEL_WIDTH - 1]:<{_LABEL_WIDTH}}{sparkline(values, wide):<{wide}} {told}")


def battery_series(charges: dict[str, list[float]], member: str | None) -> tuple[str, Series, str, int]:
    """Label, states of charge [%], unit and digits of one member's battery, or of all in the mean."""
    if member is not None:
        return f"battery {member}", [100 * share for share in charges.get(member, ())], "%", 0
    mean = [100 * sum(shares) / len(shares) for shares in zip(*charges.values(), strict=True)]
    return "batteries, mean", mean, "%", 0


def sparkline(values: Series, width: int) -> str:
    """Draw values as bars from their least to their greatest, at most ``width`` of them; gaps stay empty.

    More values than ``width`` are drawn as means of neighbours.
    """
    drawn = _narrowed(values, width)
    known = [value for value in drawn if value is not None]
    if not known:
        return ""
    least, span = min(known), max(known) - min(known)
    levels = len(_BARS) - 1

    def bar(value: float | None) -> str:
        if value is None:
            return " "
        return _BARS[round(levels * (value - least) / span)] if span else _BARS[0]

    return "".join(map(bar, drawn))


def _narrowed(values: Series, width: int) -> Series:
    if len(values) <= width:
        return values
    edges = [place * len(values) // width for place in range(width + 1)]
    means: list[float | None] = []
    for start, end in pairwise(edges):
        known = [value for value in values[start:end] if value is not None]
        means.append(sum(known) / len(known) if known else None)
    return means


def message_line(row: Fields) -> str:
    """A message in one line: when, who to whom, what."""
    ends = f"{row['from']} → {row['to']}"
    note = f" [{row['note']}]" if row["note"] else ""
    return escaped(f"{row['at'][11:19]} {ends:<26} {row['performative']:<15} {row['text']}{note}")


def alarm_line(alarm: Fields) -> str:
    """An alarm in one line: when, who, what."""
    return escaped(f"{alarm['at'][11:19]} {alarm['agent']} {alarm['text']}")


def whole_frame(run: str, state: Fields, messages: Sequence[Fields], width: int) -> str:
    """Everything as text, for where no program can stay.

    Args:
        run: the run's name.
        state: its state.
        messages: rows of messages, the newest first.
        width: of the text; members' cells and messages are cut to it.
    """
    table = [MEMBER_COLUMNS, *member_rows(state)]
    widths = [max(len(row[column]) for row in table) for column in range(len(MEMBER_COLUMNS))]
    lines = [title_line(run, state), count_line(state), ""]
    for row in table:
        cells = [
            f"{cell:<{wide}}" if MEMBER_COLUMNS[column] in LEFT_ALIGNED else f"{cell:>{wide}}"
            for column, (cell, wide) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells))
    lines += ["", *series_lines(state, width), ""]
    lines += [message_line(row) for row in messages]
    return "\n".join(line[:width].rstrip() for line in lines)
