"""``csv:`` replays a text file: energies or mean powers, found by their time stamps or by their row.

URL: ``csv:FILE?load=COLUMN&pv=COLUMN&unit=kWh``, with ``time=COLUMN`` to find slots by time. Without it row n
is slot n, on through the sessions, or with ``repeat=true`` of each session.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import Field, ValidationError

from agents.meters.source import SIGNED_ROLES, Parameters, ReadingError, SourceUrl, parameters_of
from runtime.configuration import MeterConfig, MeterRole
from runtime.conventions import (
    ConventionError,
    FloatArray,
    common_step_s,
    energy_kwh,
    instants_s,
    mean_power_kw,
    period_starts_s,
    slot_means,
)
from runtime.errors import InputError
from runtime.horizon import Horizon
from runtime.scenario.files import Column, read_column
from runtime.scenario.series import FileSeries


class CsvParameters(Parameters):
    """Parameters of ``csv:``; all but the first ones mean what they mean in a scenario's file series.

    Attributes:
        load: column of the load: its header, or its number from 0 on.
        pv: column of the production.
        net: column of the exchange with the grid, import > 0.
        battery: column of what the battery does, discharge > 0.
        repeat: without ``time``: whether each session starts again at the first row.
        unit: of all columns; a power is a mean over its row's period.
        time: column of the stamps.
        time_format: format of the stamps as in strptime; ISO 8601 without it.
        time_zone: zone of stamps without offset; the horizon's without it.
        label: whether a stamp names the start or the end of its period.
        separator: between columns.
        decimal: decimal mark.
        skip_lines: lines before the header.
    """

    load: str | None = None
    pv: str | None = None
    net: str | None = None
    battery: str | None = None
    repeat: bool = False
    unit: Literal["W", "kW", "Wh", "kWh"]
    time: str | None = None
    time_format: str | None = None
    time_zone: str | None = None
    label: Literal["start", "end"] = "start"
    separator: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    skip_lines: int = Field(default=0, ge=0)


class CsvSource:
    """Readings of a file, all read and checked when it is opened."""

    immediate = True

    def __init__(self, path: Path, energies_kwh: dict[MeterRole, list[FloatArray]]) -> None:
        """Serve ``energies_kwh``: by role and session, one value per slot; NaN where the file has none."""
        self.roles: frozenset[MeterRole] = frozenset(energies_kwh)
        self._path = path
        self._energies_kwh = energies_kwh

    def read(self, session: int, slot: int, horizon: Horizon, role: MeterRole) -> float:
        """Energy of a slot [kWh]; see ``MeterSource.read``."""
        sessions = self._energies_kwh[role]
        value = float(sessions[session][slot]) if session < len(sessions) else np.nan
        if np.isnan(value):
            raise ReadingError(
                f"{self._path}: has no value for all of slot {slot} of session {session}, "
                f"{horizon.local(slot).isoformat()}"
            )
        return value


def open_source(url: SourceUrl, meter: MeterConfig) -> CsvSource:
    """Open ``csv:``.

    Raises:
        InputError: a parameter, the file, one of its values or stamps will not do, or it has nothing for any
            slot.
    """
    if not url.path:
        raise InputError(f"source {url.text!r}: expected a file after 'csv:'")
    given = parameters_of(url, CsvParameters)
    named: dict[MeterRole, str | None] = {
        "load": given.load,
        "pv": given.pv,
        "net": given.net,
        "battery": given.battery,
    }
    columns = {role: column for role, column in named.items() if column is not None}
    if not columns:
        raise InputError(
            f"source {url.text!r}: found neither load=COLUMN nor pv=COLUMN, expected one or both "
            "(or net=COLUMN, battery=COLUMN)"
        )
    if given.repeat and given.time is not None:
        raise InputError(f"source {url.text!r}: repeat goes with rows counted as slots, not with time")
    path = Path(url.path)
    horizons = [session.horizon for session in meter.sessions]
    energies_kwh: dict[MeterRole, list[FloatArray]] = {}
    for role, name in columns.items():
        column = read_column(_series(url, given, name), path)
        if role not in SIGNED_ROLES:
            _check_not_negative(column, role)
        if column.stamps is None:
            energies_kwh[role] = _by_row(column, given, horizons)
        else:
            energies_kwh[role] = _by_time(column, given, horizons)
    return CsvSource(path, energies_kwh)


def _series(url: SourceUrl, given: CsvParameters, column: str) -> FileSeries:
    """A column as a scenario would describe it."""
    fields = given.model_dump(exclude={"load", "pv", "net", "battery", "repeat"})
    try:
        return FileSeries(file=url.path, column=int(column) if column.isdecimal() else column, **fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(f"source {url.text!r}: {field}: {first['msg']}") from error


def _check_not_negative(column: Column, role: MeterRole) -> None:
    for row in np.flatnonzero(column.values < 0):
        where = f"{column.path}: line {column.lines[row]} ({role})"
        raise InputError(f"{where}: found {column.values[row]:g}, expected 0 or more")


def _by_row(column: Column, given: CsvParameters, horizons: Sequence[Horizon]) -> list[FloatArray]:
    """Row n is slot n: of all sessions on end or only the first of them, or of each with ``repeat``."""
    rows = len(column.values)
    if given.repeat:
        for number, horizon in enumerate(horizons):
            if horizon.slots != rows:
                raise InputError(
                    f"{column.path}: found {rows} rows to repeat, expected {horizon.slots}, one for each "
                    f"slot of session {number}"
                )
        parts = [column.values] * len(horizons)
    else:
        ends = np.cumsum([horizon.slots for horizon in horizons])
        if rows not in ends:
            expected = " or ".join(map(str, ends))
            raise InputError(
                f"{column.path}: found {rows} rows, expected {expected}, one for each slot of the sessions "
                "from the first on (or time=COLUMN to find slots by time)"
            )
        covered = int(np.searchsorted(ends, rows)) + 1
        parts = np.split(column.values, ends[: covered - 1])
    return [
        energy_kwh(mean_power_kw(part, given.unit, horizon.slot_hours), horizon.slot_hours)
        for part, horizon in zip(parts, horizons, strict=False)
    ]


def _by_time(column: Column, given: CsvParameters, horizons: Sequence[Horizon]) -> list[FloatArray]:
    """Energy of each slot from the periods that cover it [kWh]; NaN for a slot not wholly covered."""
    assert column.stamps is not None, "called for files with stamps"
    try:
        stamps_s = instants_s(column.stamps, ZoneInfo(given.time_zone or horizons[0].zone))
    except ConventionError as error:
        raise InputError(f"{column.path}: time: {error}") from error
    for row in np.flatnonzero(np.diff(stamps_s) <= 0):
        raise InputError(
            f"{column.path}: line {column.lines[row + 1]}, time: found {column.stamps[row + 1].isoformat()} "
            f"after {column.stamps[row].isoformat()}, expected increasing times"
        )
    if len(stamps_s) < 2:
        raise InputError(f"{column.path}: found 1 row, expected two or more, to tell their step")
    step_s = common_step_s(stamps_s)
    starts_s = period_starts_s(stamps_s, step_s, given.label)
    powers_kw = mean_power_kw(column.values, given.unit, step_s / 3600)
    energies_kwh = []
    for horizon in horizons:
        slot_s = horizon.slot_minutes * 60
        slots_s = int(horizon.start.timestamp()) + slot_s * np.arange(horizon.slots, dtype=np.int64)
        means_kw = slot_means(starts_s, step_s, powers_kw, slots_s, slot_s)
        energies_kwh.append(energy_kwh(means_kw, horizon.slot_hours))
    if all(np.isnan(session).all() for session in energies_kwh):
        raise InputError(
            f"{column.path}: found values from {column.stamps[0].isoformat()} to "
            f"{column.stamps[-1].isoformat()} for none of the slots, expected some from "
            f"{horizons[0].local(0).isoformat()} on"
        )
    return energies_kwh
