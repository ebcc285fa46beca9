"""What a device has told so far: samples are checked as they come, kept while they matter, and counted."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from agents.meters.energy import Count, Rules, Sample, SlotEnergy, count, slot_energy, spread_energy
from runtime.device_units import ConventionError, power_or_register
from runtime.errors import PeerwattError

MAX_REGISTER_KWH = 1e12
"""Beyond this no register counts; it is a unit error or garbage."""

MAX_SAMPLES = 100_000
"""So many are kept at most: more than a day of one a second."""


class SampleRefusedError(PeerwattError):
    """A sample cannot be what the device measured; the message says what was found and what was expected."""


class DeviceSamples:
    """Samples of one quantity of one device, and the count they make.

    Attributes:
        rules: how they are read; the gaps may be changed between slots.
        needed_from_s: samples from here on are kept, for slots that may still be revised.
    """

    def __init__(self, rules: Rules, max_ahead_s: float, max_age_s: float) -> None:
        """Begin without samples.

        Args:
            rules: how they are read.
            max_ahead_s: how much later than it came a sample may say it was taken.
            max_age_s: how much earlier.
        """
        self.rules = rules
        self._max_ahead_s = max_ahead_s
        self._max_age_s = max_age_s
        self._samples: dict[float, float] = {}
        self._latest_s = -math.inf
        self._dropped_until_s = -math.inf
        self._dropped_kwh = 0.0
        self._edges_kwh: dict[float, float] = {}
        self._taken = 0
        self._count: tuple[tuple[int, int, Rules], Count] | None = None
        self.needed_from_s = math.inf
        self._notes: dict[str, bool] = {}

    def take(self, value: float, unit: str, instant_s: float, received_s: float) -> float:
        """Take a sample in.

        Args:
            value: as the device told it.
            unit: of the value, one of ``DEVICE_UNITS``.
            instant_s: when it was so [s since 1970, UTC].
            received_s: when it came.

        Returns:
            The value in kW or kWh.

        Raises:
            SampleRefusedError: NaN or infinite, too great, another unit or kind than expected, from the
                future, too old, or older than what was counted already.
        """
        if not math.isfinite(value):
            raise SampleRefusedError(f"found {value}, expected a finite number")
        try:
            kind, converted = power_or_register(value, unit)
        except ConventionError as error:
            raise SampleRefusedError(str(error)) from error
        if kind != self.rules.kind:
            raise SampleRefusedError(f"found {value:g} {unit}, a {kind}, expected a {self.rules.kind}")
        if kind == "power" and abs(converted) > self.rules.max_power_kw:
            expected = f"at most {self.rules.max_power_kw:g} kW"
            raise SampleRefusedError(f"found a power of {converted:g} kW, expected {expected}")
        if kind == "register" and not 0 <= converted <= MAX_REGISTER_KWH:
            raise SampleRefusedError(f"found a register at {converted:g} kWh, expected 0 or more")
        self._check_instant(instant_s, received_s)
        self._samples[instant_s] = max(converted, self._samples.get(instant_s, -math.inf))
        self._latest_s = max(self._latest_s, instant_s)
        self._taken += 1
        if len(self._samples) > MAX_SAMPLES:
            self._drop_before(sorted(self._samples)[MAX_SAMPLES // 2])
        return converted

    def _check_instant(self, instant_s: float, received_s: float) -> None:
        if not math.isfinite(instant_s):
            raise SampleRefusedError(f"found the instant {instant_s}, expected seconds since 1970")
        if instant_s > received_s + self._max_ahead_s:
            ahead = f"{instant_s - received_s:.4g} s ahead"
            raise SampleRefusedError(f"found {_text(instant_s)}, {ahead}: the device's clock is fast")
        if instant_s < received_s - self._max_age_s:
            expected = f"expected at most {self._max_age_s:g} s before it came"
            raise SampleRefusedError(f"found {_text(instant_s)}, {expected}: is the device's clock set?")
        if instant_s < self._dropped_until_s:
            raise SampleRefusedError(f"found {_text(instant_s)}, which came too late: it is settled")

    @property
    def span_s(self) -> tuple[float, float] | None:
        """Instants of the first and the last sample that is kept [s since 1970, UTC]; None without any."""
        return (min(self._samples), max(self._samples)) if self._samples else None

    def reaches(self, instant_s: float) -> bool:
        """Whether a sample of this instant or later is there."""
        return self._latest_s >= instant_s

    def slot_energy(self, start_s: float, end_s: float) -> SlotEnergy:
        """Energy of a slot, in whole steps; it goes on from where the slot before ended, if that was told.

        Samples that no later slot needs are dropped.
        """
        counted = self._counted()
        self._notes = {note: self._notes.get(note, False) for note in counted.notes}
        energy = self._energy(counted, start_s, end_s)
        if energy.energy_kwh is not None:
            self._edges_kwh[end_s] = energy.end_kwh
            self._edges_kwh[start_s] = _steps(energy.end_kwh - energy.energy_kwh)
            needed_s = end_s - max(self.rules.bridged_gap_s, end_s - start_s)
            self._drop_before(min(needed_s, self.needed_from_s))
        return energy

    def revised(self, start_s: float, end_s: float, *, told: bool) -> SlotEnergy:
        """Energy of a slot that was not known, or not for sure, as it is known by now.

        A register tells the energy of a whole gap once it is heard again: that is spread evenly over the gap,
        and the slots in it are estimated, but their sum is what was counted.

        Args:
            start_s: start of the slot [s since 1970, UTC].
            end_s: its end.
            told: whether an energy was told for it; then its end counts as told until it is known for sure.
        """
        counted = self._counted()
        energy = self._energy(counted, start_s, end_s)
        if energy.energy_kwh is None:
            energy = spread_energy(counted, start_s, end_s)
        if energy.energy_kwh is None or (told and energy.quality == "estimated"):
            return SlotEnergy(None, "estimated", 0.0, energy.reason)
        start_kwh = self._edges_kwh.get(start_s, _steps(counted.at(start_s) + self._dropped_kwh))
        end_kwh = _steps(counted.at(end_s) + self._dropped_kwh)
        if not told:
            end_kwh = self._edges_kwh.get(end_s, end_kwh)
        energy_kwh = max(0.0, _steps(end_kwh - start_kwh))
        return SlotEnergy(energy_kwh, energy.quality, start_kwh + energy_kwh, energy.reason)

    def settle_edges(self, start_s: float, end_s: float, energy: SlotEnergy) -> float:
        """Take a revised slot for told; by how much its end moved back [kWh]: the next slot has it."""
        assert energy.energy_kwh is not None, "only what is known is told"
        before_kwh = self._edges_kwh.get(end_s, energy.end_kwh)
        self._edges_kwh[start_s] = _steps(energy.end_kwh - energy.energy_kwh)
        self._edges_kwh[end_s] = _steps(energy.end_kwh)
        return _steps(before_kwh - energy.end_kwh)

    def _counted(self) -> Count:
        known = len(self._samples), self._taken, self.rules
        if self._count is None or self._count[0] != known:
            samples = (Sample(at_s, value) for at_s, value in self._samples.items())
            self._count = known, count(samples, self.rules)
        return self._count[1]

    def _energy(self, counted: Count, start_s: float, end_s: float) -> SlotEnergy:
        """A slot's energy, its end as counted since ever."""
        told_kwh = self._edges_kwh.get(start_s)
        relative_kwh = None if told_kwh is None else told_kwh - self._dropped_kwh
        energy = slot_energy(counted, start_s, end_s, relative_kwh)
        if energy.energy_kwh is None:
            return energy
        end_kwh = _steps(energy.end_kwh + self._dropped_kwh)
        energy_kwh = _steps(energy.energy_kwh if told_kwh is None else end_kwh - told_kwh)
        return SlotEnergy(energy_kwh, energy.quality, end_kwh, energy.reason)

    def new_notes(self) -> list[str]:
        """What was found out about the device since this was asked last: refused samples, replacements."""
        new = [note for note, told in self._notes.items() if not told]
        self._notes = dict.fromkeys(self._notes, True)
        return new

    def _drop_before(self, needed_s: float) -> None:
        """Drop samples that are before the last one not after ``needed_s``; the count goes on."""
        earlier = [at_s for at_s in self._samples if at_s <= needed_s]
        if len(earlier) < 2:
            return
        first_s = max(earlier)
        counted = self._counted()
        if first_s not in counted.instants_s:  # it was refused, and is no state to go on from
            first_s = max(at_s for at_s in counted.instants_s if at_s <= needed_s)
        self._dropped_kwh += counted.at(first_s)
        self._dropped_until_s = first_s
        self._edges_kwh = {at_s: edge for at_s, edge in self._edges_kwh.items() if at_s >= first_s}
        self._samples = {at_s: value for at_s, value in self._samples.items() if at_s >= first_s}


def _steps(energy_kwh: float) -> float:
    """In whole steps of what readings are told in, so that slots add up to what was counted, to the last."""
    return round(energy_kwh, 9)


def _text(instant_s: float) -> str:
    try:
        return datetime.fromtimestamp(instant_s, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return f"{instant_s:g} s since 1970"
