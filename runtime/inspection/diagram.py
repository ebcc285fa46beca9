"""A conversation as a sequence diagram: agents side by side, time downwards, a message an arrow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from runtime.messagelog.summaries import escaped

_TIME_WIDTH = 14
_LABEL_CHARACTERS = 46


@dataclass(frozen=True, slots=True)
class Arrow:
    """A message in a diagram.

    Attributes:
        at: when it was sent, in the form of ``LogRecord.at``.
        sender: local part of who said it.
        recipient: local part of whom it was said to.
        label: performative and body's type.
        text: what it says, in a line.
        arrived: whether a log shows its receipt.
        refuses: whether it says no.
    """

    at: str
    sender: str
    recipient: str
    label: str
    text: str
    arrived: bool = True
    refuses: bool = False


def lifelines(arrows: Iterable[Arrow]) -> list[str]:
    """The agents of a diagram from left to right: as they appear, each meter beside its member."""
    names: list[str] = []
    for arrow in arrows:
        for name in (arrow.sender, arrow.recipient):
            if name not in names:
                owner = name.partition(".")[0]
                place = names.index(owner) + 1 if owner in names else len(names)
                names.insert(place, name)
    return names


def text_diagram(arrows: Sequence[Arrow]) -> str:
    """Draw a diagram in characters; what a message says stands at the right.

    A message that did not arrive ends in ``x`` instead of a head.
    """
    names = lifelines(arrows)
    shown = [escaped(name) for name in names]
    # Neighbouring names must not touch, and an arrow needs room for its head.
    centres, left = [], _TIME_WIDTH
    for name in shown:
        centres.append(left + len(name) // 2)
        left += max(len(name) + 2, 6)
    head = [" "] * left
    for name, centre in zip(shown, centres, strict=True):
        start = centre - len(name) // 2
        head[start : start + len(name)] = name
    lines = ["".join(head).rstrip()]
    for arrow in arrows:
        row = [" "] * left
        for centre in centres:
            row[centre] = "|"
        here, there = centres[names.index(arrow.sender)], centres[names.index(arrow.recipient)]
        low, high = sorted((here, there))
        row[low + 1 : high] = "-" * (high - low - 1)
        tip = "x" if not arrow.arrived else ">" if there > here else "<"
        row[there - 1 if there > here else there + 1] = tip
        row[: _TIME_WIDTH - 2] = arrow.at[11:23]
        lines.append(f"{''.join(row)}  {escaped(arrow.label)}: {escaped(arrow.text)}")
    return "\n".join(lines)


_SVG_STYLE = """
svg { font: 12px system-ui, sans-serif; --ink: #1c2126; --soft: #59636e; --line: #c3cad1; --card: #f5f7f9;
  --bad: #b3261e; --paper: #fff; background: var(--paper) }
@media (prefers-color-scheme: dark) { svg { --ink: #e4e8ec; --soft: #a2acb7; --line: #48525d; --card: #1d2329;
  --bad: #ff8a80; --paper: #14181c } }
text { fill: var(--ink) } .time { fill: var(--soft); font-size: 10px } .life { stroke: var(--line) }
.box { fill: var(--card); stroke: var(--line) } .name { font-weight: 600 }
.arrow { stroke: var(--ink); stroke-width: 1.4 } .lost { stroke-dasharray: 4 3 } .no { stroke: var(--bad) }
.halo { paint-order: stroke; stroke: var(--paper); stroke-width: 4px }
"""


def svg_diagram(arrows: Sequence[Arrow], title: str) -> str:
    """Draw a diagram as an SVG document that stands alone, light and dark.

    Args:
        arrows: the messages, in order.
        title: what it shows, for who cannot see it.
    """
    names = lifelines(arrows)
    step = max([150, *(8 * len(name) + 30 for name in names)])
    centres = {name: 90 + step // 2 + place * step for place, name in enumerate(names)}
    width, height = 90 + step * max(len(names), 1) + 20, 90 + 38 * len(arrows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title><style>{_SVG_STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="context-stroke"/></marker></defs>',
    ]
    for name, x in centres.items():
        wide = 8 * len(name) + 18
        parts.append(
            f'<line class="life" x1="{x}" x2="{x}" y1="42" y2="{height - 10}"/>'
            f'<rect class="box" x="{x - wide // 2}" y="14" width="{wide}" height="28" rx="5"/>'
            f'<text class="name" x="{x}" y="33" text-anchor="middle">{escape(escaped(name))}</text>'
        )
    for place, arrow in enumerate(arrows):
        parts.append(_svg_arrow(arrow, centres[arrow.sender], centres[arrow.recipient], 84 + 38 * place))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _svg_arrow(arrow: Arrow, here: int, there: int, y: int) -> str:
    kind = "arrow" + ("" if arrow.arrived else " lost") + (" no" if arrow.refuses else "")
    text = (
        arrow.label if len(arrow.label) <= _LABEL_CHARACTERS else arrow.label[: _LABEL_CHARACTERS - 1] + "…"
    )
    whole = f"{arrow.at} {arrow.sender} → {arrow.recipient}, {arrow.label}: {arrow.text}"
    lost = "" if arrow.arrived else " (not received)"
    return (
        f"<g><title>{escape(escaped(whole))}</title>"
        f'<text class="time" x="6" y="{y + 4}">{arrow.at[11:23]}</text>'
        f'<text class="halo" x="{(here + there) // 2}" y="{y - 6}" text-anchor="middle">'
        f"{escape(escaped(text))}{lost}</text>"
        f'<line class="{kind}" x1="{here}" x2="{there}" y1="{y}" y2="{y}" marker-end="url(#head)"/></g>'
    )
