"""``simulated:`` plays the scenario's own series, with noise that is the same whenever it is read.

URL: ``simulated:?noise=0.05&seed=3&scale=1.1``; all parameters are optional.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from agents.building import series_of
from agents.meters.source import Parameters, ReadingError, SourceUrl, parameters_of
from runtime.configuration import MeterConfig, MeterRole, derive_seed
from runtime.errors import InputError
from runtime.horizon import Horizon

Array = NDArray[np.float64]


class SimulatedParameters(Parameters):
    """Parameters of ``simulated:``.

    Attributes:
        noise: relative standard deviation of a reading; the meter's own if not given.
        seed: of the noise; the meter's own if not given.
        scale: factor on every reading, for a building that is not as forecast.
    """

    noise: float | None = Field(default=None, ge=0, le=10)
    seed: int | None = Field(default=None, ge=0)
    scale: float = Field(default=1.0, ge=0, le=1000)


class SimulatedSource:
    """Readings of a member's series: ``series * scale * (1 + noise * z)``, z standard normal, at least 0.

    z depends on seed, role, session and slot alone, so that a restart or another order of requests gives the
    same readings.
    """

    immediate = True

    def __init__(self, meter: MeterConfig, noise: float, seed: int, scale: float) -> None:
        """Play the series of ``meter``."""
        self.roles: frozenset[MeterRole] = frozenset(meter.roles)
        self._noise = noise
        self._seed = seed
        self._series_kwh: list[dict[MeterRole, Array]] = []
        for session in meter.sessions:
            load_kwh, pv_kwh = series_of(session, meter.pv)
            self._series_kwh.append({"load": load_kwh * scale, "pv": pv_kwh * scale})

    def read(self, session: int, slot: int, horizon: Horizon, role: MeterRole) -> float:
        """Energy of a slot [kWh]; see ``MeterSource.read``."""
        if session >= len(self._series_kwh) or slot >= len(self._series_kwh[session][role]):
            raise ReadingError(f"the scenario has no slot {slot} of session {session}")
        energy_kwh = float(self._series_kwh[session][role][slot])
        if self._noise:
            seed = derive_seed(self._seed, role, str(session), str(slot))
            energy_kwh *= 1.0 + self._noise * float(np.random.default_rng(seed).standard_normal())
        return max(0.0, energy_kwh)


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
    return SimulatedSource(meter, noise, seed, given.scale)
