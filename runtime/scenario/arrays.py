"""Turning a scenario's series into one number per slot, in the units used inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np

from runtime.conventions import (
    ConventionError,
    FloatArray,
    common_step_s,
    energy_kwh,
    exact_price,
    instants_s,
    mean_power_kw,
    period_starts_s,
    price_eur_per_kwh,
    slot_means,
)
from runtime.errors import InputError
from runtime.horizon import Horizon
from runtime.scenario.files import Column, read_column
from runtime.scenario.intensity import HIGHEST_CO2_INTENSITY_G_PER_KWH
from runtime.scenario.model import SeriesSource
from runtime.scenario.series import BdewSeries, ConstantSeries, FileSeries, IrradianceSeries, Section
from runtime.scenario.tariff import TimeOfUse

Quantity = Literal["energy", "irradiance", "price", "intensity"]
"""What a series is of: kWh per slot, W/m² mean over the slot, EUR/kWh, g CO₂/kWh."""

ModelGenerator = Callable[
    [BdewSeries | IrradianceSeries, list[Horizon], int, str], tuple[list[FloatArray], dict[str, Any]]
]
"""From model, horizons, seed and label to means per slot (kW or W/m²), by session, and their provenance."""

HIGHEST_PRICE_EUR_PER_KWH = 10.0
HIGHEST_MEANS = {"energy": (100_000.0, "kW"), "irradiance": (2000.0, "W/m2")}
"""Of a member's load or production, and of irradiance; what is above has a wrong unit."""


@dataclass
class SeriesResolver:
    """Turns the series of one scenario into arrays and keeps account of where they came from.

    Attributes:
        source: what errors call the scenario.
        folder: where relative paths of files start.
        hint: what to say beside a file that is not there.
        horizons: one per session.
        seed: the scenario's.
        generate: makes the series of models.
        provenance: one entry per series, in order of resolution.
        gaps_allowed: whether slots that a file with times has no value for become NaN instead of an error.
    """

    source: str
    folder: Path
    hint: str
    horizons: list[Horizon]
    seed: int
    generate: ModelGenerator
    provenance: list[dict[str, Any]] = field(default_factory=list)
    gaps_allowed: bool = False
    _columns: dict[str, Column] = field(default_factory=dict)

    def resolve(self, series: SeriesSource, quantity: Quantity, place: str, label: str) -> list[FloatArray]:
        """One array of shape (slots,) per session: kWh per slot, W/m², EUR/kWh or g/kWh, by ``quantity``.

        Args:
            series: where the numbers come from.
            quantity: what they are.
            place: the field, for errors and provenance.
            label: seeds what is random; equal labels give equal numbers.

        Raises:
            InputError: a file or value that will not do.
        """
        means: list[FloatArray]
        origin: dict[str, Any]
        written: list[FloatArray] | None = None
        match series:
            case FileSeries():
                means, origin = self._from_file(series, quantity, place)
            case ConstantSeries():
                written = [np.full(h.slots, series.constant) for h in self.horizons]
                means = [
                    self._inner(part, series, quantity, h.slot_hours)
                    for part, h in zip(written, self.horizons, strict=True)
                ]
                origin = {"kind": "constant"}
            case BdewSeries() | IrradianceSeries():
                try:
                    means, origin = self.generate(series, self.horizons, self.seed, label)
                except ConventionError as error:
                    raise InputError(f"{self.source}: {place}: {error}") from error
                origin = {"kind": "model", **origin}
            case _:
                values = np.array(series.values, dtype=np.float64)
                written = self._split(values, f"{self.source}: {place}.values")
                means = [
                    self._inner(part, series, quantity, h.slot_hours)
                    for part, h in zip(written, self.horizons, strict=True)
                ]
                origin = {"kind": "values"}
        if not isinstance(series, FileSeries):
            for session, shown in zip(means, written or means, strict=True):
                self._check_range(
                    session, quantity, lambda slot: f"{self.source}: {place}: slot {slot}", shown=shown
                )
        self.provenance.append({"series": place, **origin})
        if quantity == "energy":
            return [energy_kwh(kw, h.slot_hours) for kw, h in zip(means, self.horizons, strict=True)]
        return means

    def resolve_prices(self, source: float | Section, place: str) -> list[list[Decimal]]:
        """Exact prices [EUR/kWh], one list of length ``slots`` per session.

        Raises:
            InputError: a file or value that will not do.
        """
        if isinstance(source, float | int):
            self.provenance.append({"series": place, "kind": "constant"})
            return [[exact_price(float(source))] * horizon.slots for horizon in self.horizons]
        if isinstance(source, TimeOfUse):
            self.provenance.append({"series": place, "kind": "time of use"})
            return [time_of_use_prices(source, horizon) for horizon in self.horizons]
        if not isinstance(source, SeriesSource):
            raise TypeError(f"{place}: not a source of prices: {source!r}")
        sessions = self.resolve(source, "price", place, label=place)
        return [[exact_price(float(value)) for value in session] for session in sessions]

    def resolve_intensity(self, source: float | Section | None, place: str) -> list[list[float]] | None:
        """CO₂ intensity [g/kWh], one list of length ``slots`` per session; None without a source.

        Raises:
            InputError: a file or value that will not do.
        """
        if source is None:
            return None
        if isinstance(source, float | int):
            self.provenance.append({"series": place, "kind": "constant"})
            return [[float(source)] * horizon.slots for horizon in self.horizons]
        if not isinstance(source, SeriesSource):
            raise TypeError(f"{place}: not a source of intensities: {source!r}")
        return [session.tolist() for session in self.resolve(source, "intensity", place, label=place)]

    def path_of(self, series: FileSeries, place: str) -> Path:
        """The file a series names.

        Raises:
            InputError: it is not there.
        """
        path = self.folder / series.file
        if not path.is_file():
            what = "a folder" if path.is_dir() else "no such file"
            raise InputError(f"{self.source}: {place}.file: found {what}: {path}{self.hint}")
        return path

    def _from_file(
        self, series: FileSeries, quantity: Quantity, place: str
    ) -> tuple[list[FloatArray], dict[str, Any]]:
        path = self.path_of(series, place)
        key = series.model_dump_json()
        if key not in self._columns:
            self._columns[key] = read_column(series, path)
        column = self._columns[key]
        self._check_range(
            self._inner(column.values, series, quantity, 1.0),
            quantity,
            lambda row: f"{path}: line {column.lines[row]} ({place})",
            shown=column.values,
        )
        if column.stamps is None:
            for row in np.flatnonzero(np.isnan(column.values)):
                raise InputError(
                    f"{path}: line {column.lines[row]} ({place}): found no value, expected one per slot"
                )
            means = [
                self._inner(part, series, quantity, horizon.slot_hours)
                for part, horizon in zip(
                    self._split(column.values, f"{path} ({place})"), self.horizons, strict=True
                )
            ]
        else:
            means = self._by_time(series, column, column.stamps, quantity, place)
        return means, {"kind": "file", "path": str(path), "sha256": column.sha256}

    def _by_time(
        self, series: FileSeries, column: Column, stamps: list[datetime], quantity: Quantity, place: str
    ) -> list[FloatArray]:
        name = series.time_zone or self.horizons[0].zone
        try:
            instants = instants_s(stamps, ZoneInfo(name))
        except ConventionError as error:
            raise InputError(f"{column.path} ({place}): time: {error}") from error
        for row in np.flatnonzero(np.diff(instants) <= 0):
            raise InputError(
                f"{column.path}: line {column.lines[row + 1]} ({place}): time: found "
                f"{stamps[row + 1].isoformat()} after {stamps[row].isoformat()}, expected increasing times"
            )
        if len(instants) < 2:
            raise InputError(
                f"{column.path} ({place}): found 1 row, expected two or more, to tell their step"
            )
        step_s = common_step_s(instants)
        starts_s = period_starts_s(instants, step_s, series.label)
        inner = self._inner(column.values, series, quantity, step_s / 3600)
        sessions = []
        for horizon in self.horizons:
            slot_s = horizon.slot_minutes * 60
            first = int(horizon.start.timestamp())
            slots_s = first + slot_s * np.arange(horizon.slots, dtype=np.int64)
            means = slot_means(starts_s, step_s, inner, slots_s, slot_s)
            missing = np.flatnonzero(np.isnan(means))
            if len(missing) and not self.gaps_allowed:
                zone = ZoneInfo(horizon.zone)
                span = " to ".join(
                    datetime.fromtimestamp(int(at), zone).isoformat()
                    for at in (starts_s[0], starts_s[-1] + step_s)
                )
                outside = int(
                    (slots_s < starts_s[0]).sum() + (slots_s + slot_s > starts_s[-1] + step_s).sum()
                )
                hint = "" if outside else "; `peerwatt import` can fill gaps: --fill-gaps-up-to MINUTES"
                raise InputError(
                    f"{column.path} ({place}): found no value for {len(missing)} of {horizon.slots} slots, "
                    f"first slot {missing[0]} at {horizon.local(int(missing[0])).isoformat()}; "
                    f"the file covers {span}{hint}"
                )
            sessions.append(means)
        return sessions

    def _split(self, values: FloatArray, where: str) -> list[FloatArray]:
        lengths = [horizon.slots for horizon in self.horizons]
        if len(values) != sum(lengths):
            per = f" ({' + '.join(map(str, lengths))})" if len(lengths) > 1 else ""
            raise InputError(
                f"{where}: found {len(values)} values, expected {sum(lengths)}, one for each slot{per}"
            )
        return list(np.split(values, np.cumsum(lengths)[:-1]))

    @staticmethod
    def _inner(values: FloatArray, series: SeriesSource, quantity: Quantity, step_hours: float) -> FloatArray:
        """Mean power [kW], irradiance [W/m²], price [EUR/kWh] or intensity [g/kWh] of values in any unit."""
        unit = getattr(series, "unit", None)
        if unit is None or quantity in ("irradiance", "intensity"):
            return values
        if quantity == "price":
            return price_eur_per_kwh(values, unit)
        return mean_power_kw(values, unit, step_hours)

    @staticmethod
    def _check_range(
        values: FloatArray, quantity: Quantity, where: Callable[[int], str], shown: FloatArray | None = None
    ) -> None:
        if quantity == "price":
            wrong = np.flatnonzero(np.abs(values) > HIGHEST_PRICE_EUR_PER_KWH)
            expected = f"a price within ±{HIGHEST_PRICE_EUR_PER_KWH:g} EUR/kWh (check the unit)"
        elif quantity == "intensity":
            wrong = np.flatnonzero((values < 0) | (values > HIGHEST_CO2_INTENSITY_G_PER_KWH))
            expected = f"0 to {HIGHEST_CO2_INTENSITY_G_PER_KWH:g} g/kWh (check the unit)"
        else:
            highest, unit = HIGHEST_MEANS[quantity]
            wrong = np.flatnonzero((values < 0) | (values > highest))
            below = len(wrong) and values[wrong[0]] < 0
            expected = "0 or more" if below else f"at most {highest:g} {unit} (check the unit)"
        for at in wrong:
            found = (values if shown is None else shown)[at]
            raise InputError(f"{where(int(at))}: found {found:g}, expected {expected}")


def time_of_use_prices(table: TimeOfUse, horizon: Horizon) -> list[Decimal]:
    """Price of each slot [EUR/kWh], length ``slots``; where it changes within a slot, the mean over it."""
    prices = []
    zone = ZoneInfo(horizon.zone)
    first = int(horizon.start.timestamp())
    for slot in range(horizon.slots):
        minutes = []
        for minute in range(horizon.slot_minutes):
            local = datetime.fromtimestamp(first + (slot * horizon.slot_minutes + minute) * 60, zone)
            minutes.append(exact_price(table.price_at(local.hour * 60 + local.minute, local.weekday() >= 5)))
        mean = minutes[0] if len(set(minutes)) == 1 else sum(minutes, Decimal(0)) / len(minutes)
        prices.append(exact_price(float(mean)))
    return prices
