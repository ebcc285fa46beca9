"""How the paper's programs count energy and money, and how its equations say it is counted: pure functions.

Three slips of the programs, each of which can be put right by itself:

1. Production is ``GHI * area * efficiency`` for a slot, a power, added to energies: six times too much.
2. Values are collected before each step: slot 0 counts twice, first as the programs set it up (battery
   idle), and slot 143 never.
3. The "self-sufficiency index" is the sum over slots of (load − import) / load, printed as a percentage,
   where equation 11 divides totals; the "global cost" leaves out equation 1's revenue for energy fed in.

Two settings of the programs differ from the paper's text besides: SOC_max and the feed-in tariff.

Arrays have shape (T, M): slots by members. Signs are the paper's: import > 0.

Source: Gabriel, Oulhaj and Dupont (2021), equations 1, 4 and 11, and the authors' programs
(``solarProduction``, ``global_self_sufficiency2``, ``global_cost``, ``P2PEnergyTradingModel.step``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from runtime.devices import Battery
from runtime.replication.paper_case import (
    CORRECT_FEED_IN_EUR_PER_KWH,
    PROGRAM_FEED_IN_EUR_PER_KWH,
    PROGRAM_SOC_MAX,
    FloatArray,
    PaperCase,
    PaperScenario,
)


@dataclass(frozen=True)
class Accounting:
    """Which of the slips are put right; as it stands, none is.

    Attributes:
        energy_from_power: production is power times slot length (slip 1).
        collected_after_step: every slot is counted once (slip 2).
        by_equations: index by eq. 11, cost by eq. 1 (slip 3).
        soc_max_of_text: SOC_max is 0.8.
        one_feed_in_tariff: 0.035 EUR/kWh in all scenarios.
    """

    energy_from_power: bool = False
    collected_after_step: bool = False
    by_equations: bool = False
    soc_max_of_text: bool = False
    one_feed_in_tariff: bool = False

    def feed_in_eur_per_kwh(self, scenario: PaperScenario) -> float:
        """Feed-in tariff FIT of a scenario [EUR/kWh]."""
        return (
            CORRECT_FEED_IN_EUR_PER_KWH if self.one_feed_in_tariff else PROGRAM_FEED_IN_EUR_PER_KWH[scenario]
        )

    @property
    def problem(self) -> tuple[bool, bool, bool]:
        """What of it changes how batteries are run; the rest only counts."""
        return self.energy_from_power, self.soc_max_of_text, self.one_feed_in_tariff

    def pv_kwh(self, case: PaperCase) -> FloatArray:
        """Production that is counted in each slot [kWh], shape (T, M) (eq. 4)."""
        return case.pv_kw * case.slot_hours if self.energy_from_power else case.pv_kw.copy()

    def battery(self, battery: Battery) -> Battery:
        """A battery with the greatest state of charge that is meant."""
        if self.soc_max_of_text:
            return battery
        return battery.model_copy(update={"soc_max": PROGRAM_SOC_MAX})


PUBLISHED = Accounting()
CORRECTED = Accounting(True, True, True, True, True)

STEPS: tuple[tuple[str, Accounting], ...] = (
    ("published", PUBLISHED),
    ("slip-1", Accounting(True)),
    ("slip-2", Accounting(True, True)),
    ("slip-3", Accounting(True, True, True)),
    ("soc-max", Accounting(True, True, True, True)),
    ("feed-in", CORRECTED),
)
"""From the published accounting to the corrected one, a change a step."""

ALONE: dict[str, Accounting] = {
    "slip-1": replace(PUBLISHED, energy_from_power=True),
    "slip-2": replace(PUBLISHED, collected_after_step=True),
    "slip-3": replace(PUBLISHED, by_equations=True),
    "soc-max": replace(PUBLISHED, soc_max_of_text=True),
    "feed-in": replace(PUBLISHED, one_feed_in_tariff=True),
}
"""Each change made by itself to the published accounting."""


@dataclass(frozen=True, eq=False)
class Day:
    """What is counted; arrays of shape (T, M), rows in the order in which they were collected.

    Attributes:
        load_kwh: consumption [kWh].
        pv_kwh: production [kWh].
        net_kwh: exchange with the grid Pg [kWh], import > 0.
        stored_kwh: stored energy W when the row was collected [kWh]; None without batteries.
        import_price_eur_per_kwh: shape (T,).
    """

    load_kwh: FloatArray
    pv_kwh: FloatArray
    net_kwh: FloatArray
    stored_kwh: FloatArray | None
    import_price_eur_per_kwh: FloatArray


def simulated_day(case: PaperCase, accounting: Accounting, stored_kwh: FloatArray | None) -> Day:
    """The day of four ideal batteries that hold ``stored_kwh``, as the accounting collects it.

    Args:
        case: the paper's case.
        accounting: how it is counted.
        stored_kwh: stored energy at the end of each slot [kWh], shape (T, M); None without batteries.

    Returns:
        The day; balance (eq. 3) holds in every row.
    """
    pv_kwh = accounting.pv_kwh(case)
    idle_net_kwh = case.load_kwh - pv_kwh
    net_kwh = idle_net_kwh
    start_kwh = np.array([battery.stored_start_kwh for battery in case.batteries])
    if stored_kwh is not None:
        net_kwh = net_kwh + np.diff(stored_kwh, axis=0, prepend=start_kwh[None])
    day = Day(case.load_kwh, pv_kwh, net_kwh, stored_kwh, case.import_price_eur_per_kwh)
    if accounting.collected_after_step:
        return day
    return Day(
        load_kwh=_before_step(day.load_kwh, day.load_kwh[0]),
        pv_kwh=_before_step(day.pv_kwh, day.pv_kwh[0]),
        net_kwh=_before_step(day.net_kwh, idle_net_kwh[0]),
        stored_kwh=None if stored_kwh is None else _before_step(stored_kwh, start_kwh),
        import_price_eur_per_kwh=_before_step(
            case.import_price_eur_per_kwh, case.import_price_eur_per_kwh[:1].reshape(())
        ),
    )


def _before_step(values: FloatArray, at_construction: FloatArray) -> FloatArray:
    """Rows as collected before each step: the state at construction, then all slots but the last."""
    return np.concatenate([at_construction[None], values[:-1]])


@dataclass(frozen=True)
class Counted:
    """What a scenario comes to.

    Attributes:
        self_sufficiency_percent: the programs' index or eq. 11 [%].
        cost_eur: imports alone, or eq. 1 [EUR].
        import_kwh: energy imported [kWh].
        export_kwh: energy fed in [kWh].
    """

    self_sufficiency_percent: float
    cost_eur: float
    import_kwh: float
    export_kwh: float


def count(day: Day, accounting: Accounting, feed_in_eur_per_kwh: float) -> Counted:
    """Index and cost of a day, the four buildings together.

    Args:
        day: as collected.
        accounting: how it is counted.
        feed_in_eur_per_kwh: FIT [EUR/kWh].

    Returns:
        The figures of a row of Table III, and the energies behind them.
    """
    imported, exported = np.maximum(day.net_kwh, 0.0), np.maximum(-day.net_kwh, 0.0)
    load_by_slot, import_by_slot = day.load_kwh.sum(axis=1), imported.sum(axis=1)
    cost_eur = float(import_by_slot @ day.import_price_eur_per_kwh)
    if accounting.by_equations:
        index = 100.0 * float(1.0 - import_by_slot.sum() / load_by_slot.sum())
        cost_eur -= feed_in_eur_per_kwh * float(exported.sum())
    else:
        index = float(((load_by_slot - import_by_slot) / load_by_slot).sum())
    return Counted(index, cost_eur, float(imported.sum()), float(exported.sum()))
