"""The paper's case as arrays, and what the paper publishes of it.

Source: Gabriel, Oulhaj and Dupont (2021), Tables II and III; the authors' programs
``main_agent_battery_off.py``, ``main_agent_with_battery.py`` and ``main_agent_with_battery_opti.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.devices import Battery
from runtime.scenario.resolve import resolve
from runtime.scenario.resolved import ResolvedScenario

FloatArray = NDArray[np.float64]

SCENARIO = "lorient"
"""The built-in scenario that describes the case."""

PaperScenario = Literal["pv-only", "pv-battery-rule", "pv-battery-optimised"]
"""The paper's scenarios 1 to 3, by the names of the settings that run them."""

PAPER_SCENARIOS: tuple[PaperScenario, ...] = ("pv-only", "pv-battery-rule", "pv-battery-optimised")

CORRECT_FEED_IN_EUR_PER_KWH = 0.035
"""The feed-in tariff of the authors' first program, taken for all three [EUR/kWh]."""

PROGRAM_FEED_IN_EUR_PER_KWH: dict[PaperScenario, float] = {
    "pv-only": 0.035,
    "pv-battery-rule": 0.10,
    "pv-battery-optimised": 0.10,
}
"""The feed-in tariff that each of the authors' programs has [EUR/kWh]."""

PROGRAM_SOC_MAX = 0.9
"""Greatest state of charge in the authors' programs; the paper's text says 0.8."""

PAPER_GENERATIONS, PAPER_POPULATION = 1600, 600
"""Size of the genetic algorithm of the authors' third program."""


class Published(NamedTuple):
    """A row of the paper's Table III.

    Attributes:
        title: as the paper calls it.
        index_percent: "self-sufficiency index" [%].
        cost_eur: "global cost" [EUR].
    """

    title: str
    index_percent: float
    cost_eur: float


TABLE_III: dict[PaperScenario, Published] = {
    "pv-only": Published("Only PV panel", 21.94, 154.53),
    "pv-battery-rule": Published("PV panel & BESS", 23.81, 152.70),
    "pv-battery-optimised": Published("PV panel & BESS with optimisation", 22.55, 153.97),
}


@dataclass(frozen=True, eq=False)
class PaperCase:
    """The four buildings' day; M members, T slots.

    Attributes:
        members: names, length M.
        slot_hours: length of a slot [h].
        load_kwh: consumption [kWh per slot], shape (T, M).
        pv_kw: production (eq. 4) as mean power [kW], shape (T, M).
        batteries: with the bounds of the paper's text, length M.
        seeds: of each member's planning, length M.
        import_price_eur_per_kwh: GT [EUR/kWh], shape (T,).
    """

    members: list[str]
    slot_hours: float
    load_kwh: FloatArray
    pv_kw: FloatArray
    batteries: list[Battery]
    seeds: list[int]
    import_price_eur_per_kwh: FloatArray

    @property
    def slots(self) -> int:
        """Number of slots T."""
        return len(self.load_kwh)

    @property
    def capacity_kwh(self) -> FloatArray:
        """Nominal capacity W_NC of each battery [kWh], shape (M,)."""
        return np.array([battery.capacity_kwh for battery in self.batteries])


def read_case(data: Path) -> tuple[ResolvedScenario, PaperCase]:
    """Read the authors' data.

    Args:
        data: folder of a clone of the authors' repository.

    Returns:
        The scenario, from which fleets run, and the case as arrays.

    Raises:
        InputError: the folder or a file in it is missing, or holds something else.
    """
    resolved = resolve(SCENARIO, data, "community")
    return resolved, case_of(resolved)


def case_of(resolved: ResolvedScenario) -> PaperCase:
    """The arrays of the resolved scenario ``lorient``."""
    configs = [resolved.member_config(name) for name in resolved.members]
    load, power, batteries = [], [], []
    for config in configs:
        (session,) = config.sessions
        if config.pv is None or config.battery is None or not session.load_kwh or not session.ghi_w_per_m2:
            raise ValueError(f"{config.name}: the case has load, PV and battery in every building")
        load.append(session.load_kwh)
        power.append(config.pv.area_m2 * config.pv.efficiency * np.array(session.ghi_w_per_m2) / 1000.0)
        batteries.append(config.battery)
    return PaperCase(
        members=resolved.members,
        slot_hours=resolved.horizons[0].slot_hours,
        load_kwh=np.array(load).T,
        pv_kw=np.array(power).T,
        batteries=batteries,
        seeds=[config.seed for config in configs],
        import_price_eur_per_kwh=np.array([float(price) for price in resolved.import_price_eur_per_kwh[0]]),
    )
