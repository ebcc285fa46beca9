"""From the samples of a device to the energy of a slot; all of it, nowhere else.

Samples of a register (energy counted since ever) or of a power come irregularly, late, twice, out of order.
They make a *count*: a curve of counted energy over time that never falls. A slot's energy is the count at its
end minus the count at its start, so that slots next to each other neither lose nor double anything.

* Register: differences; between two samples the count is interpolated linearly.
* Power: integrated. ``trapezoid`` for instant power: linear between samples; ``hold`` for devices that
  publish when something changes: each value holds until the next; ``mean`` for means over the time since the
  sample before. Power below zero is energy in the other direction and counts as zero.

Functions are pure and depend on the set of samples only, not on the order in which these came. They stand on
the standard library alone: meters run on small boards.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

Kind = Literal["power", "register"]
Integration = Literal["trapezoid", "hold", "mean"]

RESOLUTION_KWH = 1.0
"""What the coarsest registers count by; a step of it says nothing about power."""

ROLL_OVER_SHARE = 0.1
"""A register that rolled over was in this last part of its width, and is in the first one now."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a device told.

    Attributes:
        instant_s: when it was so [s since 1970, UTC].
        value: power [kW] or state of the register [kWh].
    """

    instant_s: float
    value: float


@dataclass(frozen=True, slots=True)
class Rules:
    """How a device's samples are read.

    Attributes:
        kind: what the samples are.
        metered_gap_s: at most this far apart, samples tell what was between them.
        bridged_gap_s: up to this distance what was between is estimated, beyond it unknown [s].
        max_power_kw: more than this the device cannot have counted or turned back.
        register_width_kwh: where the register starts at 0 again; None for one that does not within its life.
        integration: of power.
        hours_per_s: hours of the community in a second of the device's clock: 1/3600, and more where a
            community runs faster than the clock.
    """

    kind: Kind
    metered_gap_s: float
    bridged_gap_s: float
    max_power_kw: float = 1000.0
    register_width_kwh: float | None = None
    integration: Integration = "trapezoid"
    hours_per_s: float = 1.0 / 3600.0


@dataclass(frozen=True, slots=True)
class SlotEnergy:
    """Energy of a slot.

    Attributes:
        energy_kwh: >= 0; None if the samples do not tell.
        quality: whether samples tell it, or part of it was bridged.
        end_kwh: the count at the slot's end, from which the next slot goes on.
        reason: why it is unknown or estimated; empty if metered.
    """

    energy_kwh: float | None
    quality: Literal["metered", "estimated"]
    end_kwh: float
    reason: str = ""


@dataclass(frozen=True)
class Count:
    """Energy counted over time.

    Attributes:
        rules: how it came about.
        instants_s: increasing, shape (n,).
        counted_kwh: at these instants, never falling, shape (n,).
        power_kw: for power, its values, shape (n,); zeros for a register.
        doubtful: whether the register was replaced between a sample and the next, shape (n,), so that what
            it counted there is unknown.
        notes: what was found out about the register, and samples that were refused.
    """

    rules: Rules
    instants_s: tuple[float, ...]
    counted_kwh: tuple[float, ...]
    power_kw: tuple[float, ...]
    doubtful: tuple[bool, ...]
    notes: tuple[str, ...] = ()

    def at(self, instant_s: float) -> float:
        """The count at an instant [kWh], interpolated; outside the samples the first or the last one.

        Power goes on as it was last told; a register counts what happened since when it tells it.
        """
        after = bisect_right(self.instants_s, instant_s)
        if after == 0:
            return self.counted_kwh[0]
        before = after - 1
        seconds = instant_s - self.instants_s[before]
        if after == len(self.instants_s):
            return self.counted_kwh[before] + self.power_kw[before] * seconds * self.rules.hours_per_s
        length_s = self.instants_s[after] - self.instants_s[before]
        whole_kwh = self.counted_kwh[after] - self.counted_kwh[before]
        share = seconds / length_s
        if self.rules.kind == "power" and self.rules.integration == "trapezoid":
            first_kw, last_kw = self.power_kw[before], self.power_kw[after]
            mean_kw = first_kw + (last_kw - first_kw) * share / 2.0
            part_kwh = mean_kw * seconds * self.rules.hours_per_s
        else:
            part_kwh = whole_kwh * share
        return self.counted_kwh[before] + min(part_kwh, whole_kwh)


def count(samples: Iterable[Sample], rules: Rules) -> Count:
    """Make the count of samples in any order; of several at one instant the greatest value counts."""
    latest: dict[float, float] = {}
    for sample in samples:
        latest[sample.instant_s] = max(sample.value, latest.get(sample.instant_s, -math.inf))
    instants_s = sorted(latest)
    values = [latest[instant_s] for instant_s in instants_s]
    return (
        _count_power(instants_s, values, rules)
        if rules.kind == "power"
        else _count_register(instants_s, values, rules)
    )


def _count_power(instants_s: list[float], values_kw: list[float], rules: Rules) -> Count:
    power_kw = tuple(max(0.0, value_kw) for value_kw in values_kw)
    hours = [(after_s - before_s) * rules.hours_per_s for before_s, after_s in pairwise(instants_s)]
    match rules.integration:
        case "trapezoid":
            mean_kw = [(before_kw + after_kw) / 2.0 for before_kw, after_kw in pairwise(power_kw)]
        case "hold":
            mean_kw = list(power_kw[:-1])
        case "mean":
            mean_kw = list(power_kw[1:])
    steps_kwh = (kw * length_h for kw, length_h in zip(mean_kw, hours, strict=True))
    counted_kwh = tuple(accumulate(steps_kwh, initial=0.0)) if instants_s else ()
    notes = (POWER_BELOW_ZERO,) if min(values_kw, default=0.0) < 0 else ()
    doubtful = (False,) * len(instants_s)
    return Count(rules, tuple(instants_s), counted_kwh, power_kw, doubtful, notes)


def _count_register(instants_s: list[float], values_kwh: list[float], rules: Rules) -> Count:
    kept_s, counted_kwh, doubtful, notes = instants_s[:1], [0.0][: len(instants_s)], [False], []
    last_kwh = values_kwh[0] if values_kwh else 0.0
    for instant_s, value_kwh in zip(instants_s[1:], values_kwh[1:], strict=True):
        seconds = instant_s - kept_s[-1]
        what, step_kwh = _register_step(last_kwh, value_kwh, seconds, rules)
        if what:
            notes.append(f"register at {last_kwh:.9g} kWh, {seconds:.9g} s later {value_kwh:.9g} kWh: {what}")
        if step_kwh is None and what == BACKWARDS:
            continue
        kept_s.append(instant_s)
        counted_kwh.append(counted_kwh[-1] + (step_kwh or 0.0))
        doubtful[-1] = step_kwh is None
        doubtful.append(False)
        last_kwh = value_kwh
    size = len(kept_s)
    still_kw = (0.0,) * size
    return Count(rules, tuple(kept_s), tuple(counted_kwh), still_kw, tuple(doubtful[:size]), tuple(notes))


POWER_BELOW_ZERO = "power below zero was counted as zero"
BACKWARDS = "ran backwards, sample refused"
REPLACED = "replaced or set back, goes on from there"
ROLLED_OVER = "rolled over"


def _register_step(
    before_kwh: float, after_kwh: float, seconds: float, rules: Rules
) -> tuple[str, float | None]:
    """What happened between two states of a register, and the energy counted; None if unknown."""
    possible_kwh = rules.max_power_kw * seconds * rules.hours_per_s + RESOLUTION_KWH
    step_kwh = after_kwh - before_kwh
    if 0 <= step_kwh <= possible_kwh:
        return "", step_kwh
    width_kwh = rules.register_width_kwh
    if step_kwh < 0 and width_kwh is not None:
        edge_kwh = width_kwh * ROLL_OVER_SHARE
        around_kwh = step_kwh + width_kwh
        if before_kwh >= width_kwh - edge_kwh and after_kwh <= edge_kwh and 0 <= around_kwh <= possible_kwh:
            return ROLLED_OVER, around_kwh
    turned_back = step_kwh < 0 and -step_kwh <= possible_kwh and after_kwh > before_kwh / 2.0
    if turned_back and seconds <= rules.bridged_gap_s:
        return BACKWARDS, None
    return REPLACED, None


def slot_energy(counted: Count, start_s: float, end_s: float, start_kwh: float | None = None) -> SlotEnergy:
    """Energy of the slot from ``start_s`` to ``end_s``.

    Args:
        counted: the count of the device's samples.
        start_s: start of the slot [s since 1970, UTC].
        end_s: its end, later.
        start_kwh: the count that was told for the start, as the end of the slot before: what that slot was
            told too much or too little is made up for in this one.

    Returns:
        The energy: ``metered`` if samples at most ``metered_gap_s`` apart tell it, ``estimated`` if anything
        of it was bridged over up to ``bridged_gap_s``, else None.
    """
    rules, instants_s = counted.rules, counted.instants_s
    if not len(instants_s) or end_s <= instants_s[0] or start_s > instants_s[-1] + rules.bridged_gap_s:
        return SlotEnergy(None, "estimated", 0.0, "no sample of it")
    worst = _longest_gap(counted, start_s, end_s)
    end_kwh = counted.at(end_s)
    if worst.seconds > rules.bridged_gap_s:
        found = f"{worst.what} {worst.seconds:.4g} s long, bridged are {rules.bridged_gap_s:.4g} s"
        return SlotEnergy(None, "estimated", end_kwh, found)
    lead_s = instants_s[0] - start_s
    if lead_s > 0 and start_kwh is None:
        # Before the first sample it was as it was after, on average.
        covered_kwh = end_kwh - counted.counted_kwh[0]
        energy_kwh = covered_kwh * (end_s - start_s) / (end_s - instants_s[0])
    else:
        energy_kwh = end_kwh - (counted.at(start_s) if start_kwh is None else start_kwh)
    if energy_kwh < 0:  # the slot before was told more than there was by now
        end_kwh, energy_kwh = end_kwh - energy_kwh, 0.0
    estimated = worst.doubtful or worst.seconds > rules.metered_gap_s
    reason = f"{worst.what} {worst.seconds:.4g} s long" if estimated else ""
    return SlotEnergy(energy_kwh, "estimated" if estimated else "metered", end_kwh, reason)


def spread_energy(counted: Count, start_s: float, end_s: float) -> SlotEnergy:
    """Energy of a slot within a gap of any length, once a register was heard on either side of it.

    Returns:
        The slot's part of what was counted in the gap, ``estimated``; None if a side is missing, the register
        was replaced meanwhile, or it is a power that was not told.
    """
    instants_s = counted.instants_s
    unknown = SlotEnergy(None, "estimated", 0.0, "not known on both sides")
    if counted.rules.kind != "register" or not instants_s:
        return unknown
    if start_s < instants_s[0] or end_s > instants_s[-1]:
        return unknown
    first = bisect_right(instants_s, start_s) - 1
    last = bisect_left(instants_s, end_s)
    if any(counted.doubtful[first:last]):
        return unknown
    end_kwh = counted.at(end_s)
    return SlotEnergy(end_kwh - counted.at(start_s), "estimated", end_kwh, "its part of a longer gap")


@dataclass(frozen=True, slots=True)
class _Gap:
    seconds: float
    what: str
    doubtful: bool = False


def _longest_gap(counted: Count, start_s: float, end_s: float) -> _Gap:
    """The longest time that matters to a slot and that no sample tells of."""
    instants_s, register = counted.instants_s, counted.rules.kind == "register"
    gaps = [_Gap(0.0, "no gap")]
    if start_s < instants_s[0]:
        gaps.append(_Gap(instants_s[0] - start_s, "before the first sample, a time", True))
    if end_s > instants_s[-1]:
        silent_s = end_s - instants_s[-1]
        silent = counted.rules.integration != "hold" and not register
        gaps.append(_Gap(silent_s, "since the last sample, a time", silent))
    first = max(0, bisect_right(instants_s, start_s) - 1)
    last = bisect_left(instants_s, end_s)
    for before in range(first, min(last, len(instants_s) - 1)):
        begin_s, finish_s = instants_s[before], instants_s[before + 1]
        whole = start_s <= begin_s and finish_s <= end_s
        still = counted.counted_kwh[before] == counted.counted_kwh[before + 1]
        if counted.doubtful[before]:
            gaps.append(_Gap(finish_s - begin_s, "a change of the register, in a time", True))
        elif not (register and (whole or still)):
            gaps.append(_Gap(finish_s - begin_s, "a gap"))
    doubtful = any(gap.doubtful for gap in gaps)
    longest = max(gaps, key=lambda gap: (gap.seconds, gap.doubtful))
    if doubtful and not longest.doubtful and longest.seconds <= counted.rules.metered_gap_s:
        longest = max((gap for gap in gaps if gap.doubtful), key=lambda gap: gap.seconds)
    return _Gap(longest.seconds, longest.what, doubtful)
