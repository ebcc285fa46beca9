"""``simulated:`` plays the scenario's own series, with faults that are the same whenever it is read.

Asked for the exchange with the grid it plays load − production, and of a battery that it rests.

URL: ``simulated:?noise=0.05&seed=3&scale=1.1&drift=0.02&gap=0.1&outage=13:00-14:30``; all parameters are
optional.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from agents.building import series_of
from agents.meters.source import SIGNED_ROLES, Parameters, ReadingError, SourceUrl, parameters_of
from runtime.configuration import MeterConfig, MeterRole, derive_seed
from runtime.errors import InputError
from runtime.horizon import Horizon

Array = NDArray[np.float64]


_TIME = r"([01]\d|2[0-3]):[0-5]\d"
_OUTAGE = rf"^{_TIME}-{_TIME}$"


class SimulatedParameters(Parameters):
    """Parameters of ``simulated:``.

    Attributes:
        noise: relative standard deviation of a reading; the meter's own if not given.
        seed: of the noise; the meter's own if not given.
        scale: factor on every reading, for a building that is not as forecast.
        drift: relative error that a day from the first slot on adds.
        gap: probability that a slot has no reading.
        outage: time of day without readings, ``HH:MM-HH:MM`` in the community's zone; may pass midnight.
    """

    noise: float | None = Field(default=None, ge=0, le=10)
    seed: int | None = Field(default=None, ge=0)
    scale: float = Field(default=1.0, ge=0, le=1000)
    drift: float = Field(default=0.0, ge=-1, le=1)
    gap: float = Field(default=0.0, ge=0, le=1)
    outage: str | None = Field(default=None, pattern=_OUTAGE)


class SimulatedSource:
    """Readings of a member's series: ``series * scale * (1 + drift * days) * (1 + noise * z)``, at least 0.

    z, standard normal, and gaps depend on seed, role, session and slot alone, so that a restart or another
    order of requests gives the same readings.
    """

    immediate = True

    def __init__(self, meter: MeterConfig, noise: float, seed: int, given: SimulatedParameters) -> None:
        """Play the series of ``meter``."""
        self.roles: frozenset[MeterRole] = frozenset(meter.measurable)
        self._noise = noise
        self._seed = seed
        self._given = given
        self._first = meter.sessions[0].horizon.slot_start(0)
        self._outage = given.outage.split("-") if given.outage else None
        self._series_kwh: list[dict[MeterRole, Array]] = []
        for session in meter.sessions:
            load_kwh, pv_kwh = series_of(session, meter.pv)
            series: dict[MeterRole, Array] = {"load": load_kwh * given.scale, "pv": pv_kwh * given.scale}
            series |= {"net": series["load"] - series["pv"], "battery": np.zeros_like(load_kwh)}
            self._series_kwh.append(series)

    def read(self, session: int, slot: int, horizon: Horizon, role: MeterRole) -> float:
        """Energy of a slot [kWh]; see ``MeterSource.read``."""
        if session >= len(self._series_kwh) or slot >= len(self._series_kwh[session][role]):
            raise ReadingError(f"the scenario has no slot {slot} of session {session}")
        if self._is_out(horizon, slot):
            raise ReadingError(f"simulated outage {self._given.outage} at {horizon.local(slot):%H:%M}")
        if self._given.gap:
            seed = derive_seed(self._seed, "gap", str(session), str(slot))
            if float(np.random.default_rng(seed).random()) < self._given.gap:
                raise ReadingError(f"simulated gap in slot {slot} of session {session}")
        energy_kwh = float(self._series_kwh[session][role][slot])
        if self._given.drift:
            days = (horizon.slot_start(slot) - self._first).total_seconds() / 86400.0
            energy_kwh *= 1.0 + self._given.drift * days
        if self._noise:
            seed = derive_seed(self._seed, role, str(session), str(slot))
            energy_kwh *= 1.0 + self._noise * float(np.random.default_rng(seed).standard_normal())
        return energy_kwh if role in SIGNED_ROLES else max(0.0, energy_kwh)

    def _is_out(self, horizon: Horizon, slot: int) -> bool:
        """Whether any of the slot is within the outage."""
        if self._outage is None:
            return False
        start, end = (int(time[:2]) * 60 + int(time[3:]) for time in self._outage)
        length = (end - start) % 1440 or 1440
        local = horizon.local(slot)
        since = (local.hour * 60 + local.minute - start) % 1440
        return since < length or since + horizon.slot_minutes > 1440


def open_source(url: SourceUrl, meter: MeterConfig) -> SimulatedSource:
    """Open ``simulated:``.

    Raises:
        InputError: a parameter will not do.
    """
    if url.path:
        raise InputError(
            f"source {url.text!r}: found {url.path!r} after 'simulated:', expected '?' or nothing"
        )
    given = parameters_of(url, SimulatedParameters)
    noise = meter.noise if given.noise is None else given.noise
    seed = meter.seed if given.seed is None else given.seed
    return SimulatedSource(meter, noise, seed, given)
