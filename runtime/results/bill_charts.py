"""The figures of a bill as SVG that stands in the page, in the page's colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 480, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 6, 20, 26


def share_bar(parts: Mapping[str, float], whole_kwh: float) -> Markup:
    """A bar of parts one after the other, as wide as the page.

    Args:
        parts: class name (a colour) to energy, not negative [kWh].
        whole_kwh: what fills the bar [kWh].
    """
    at, rects = 0.0, []
    for name, energy_kwh in parts.items():
        width = 100.0 * energy_kwh / whole_kwh if whole_kwh > 0 else 0.0
        if width > 0:
            rects.append(f'<rect class="{name}" x="{at:.3f}" width="{width:.3f}" height="10"/>')
        at += width
    return Markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        + "".join(rects)
        + "</svg>"
    )


def exchange_chart(
    above: Mapping[str, Sequence[float]],
    below: Mapping[str, Sequence[float]],
    ticks: Mapping[float, str],
    unit: str,
    title: str,
) -> Markup:
    """Stacked columns above and below a line, one position a slot or a day.

    Args:
        above: class name (a colour) to values, not negative, all of one length.
        below: likewise, drawn downwards.
        ticks: position to its label; 0 is the left edge of the first column, 0.5 its middle.
        unit: of the values.
        title: what the chart says, for who cannot see it.
    """
    count = max(len(values) for values in [*above.values(), *below.values()])
    top = max((sum(v) for v in zip(*above.values(), strict=True)), default=0.0)
    bottom = max((sum(v) for v in zip(*below.values(), strict=True)), default=0.0)
    step = _tick_step(max(top, bottom) or 1.0)
    scale = (HEIGHT - _TOP - _BOTTOM) / max(top + bottom, step)
    zero = _TOP + scale * max(top, step - bottom)
    column = (WIDTH - _LEFT - _RIGHT) / count

    lines, texts = [], []
    for number in range(-int(bottom / step), int(max(top, step - bottom) / step) + 1):
        y = zero - number * step * scale
        if number:
            lines.append(
                f'<line class="grid-line" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
        label = f"{abs(number) * step:g}"
        texts.append(f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    zero_line = f'<line class="zero" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{zero:.1f}" y2="{zero:.1f}"/>'
    for position, label in ticks.items():
        x = _LEFT + column * position
        texts.append(f'<text x="{x:.1f}" y="{HEIGHT - 7}" text-anchor="middle">{label}</text>')
    paths = [
        path
        for side, sign in ((above, -1), (below, 1))
        for path in _stacked(side, sign, count, zero, scale, column)
    ]
    texts.append(f'<text x="{_LEFT - 5}" y="12" text-anchor="end">{unit}</text>')
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
        + "".join([*lines, *paths, zero_line, *texts])
        + "</svg>"
    )


def _stacked(
    side: Mapping[str, Sequence[float]], sign: int, count: int, zero: float, scale: float, column: float
) -> list[str]:
    """One path of columns a class, each on top of those before."""
    base = [0.0] * count
    gap = 0.25 * column if column > 8 else 0.0
    paths = []
    for name, values in side.items():
        parts = []
        for position, value in enumerate(values):
            if value > 0:
                x, y = _LEFT + column * position + gap / 2, zero + sign * scale * base[position]
                height = sign * scale * value
                parts.append(f"M{x:.1f} {y:.1f}h{column - gap:.2f}v{height:.2f}h{gap - column:.2f}z")
                base[position] += value
        if parts:
            paths.append(f'<path class="{name}" d="{"".join(parts)}"/>')
    return paths


def _tick_step(largest: float) -> float:
    """A round number of which a few fit."""
    power = 1.0
    while power > largest / 2:
        power /= 10
    while power * 10 <= largest / 2:
        power *= 10
    return next(step * power for step in (5, 2, 1) if step * power <= largest / 1.5)
