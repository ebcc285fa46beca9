"""Re-planning one band of cycle depths exactly, while the rest of a trajectory stays.

A trajectory is the sum of its parts by cycle depth: the difference between two taut strings is what cycles
deeper than one width and no deeper than the other do. Such a part behaves as a battery of its own, as large
as the band is wide, whose every kWh wears at the band's own slope of the wear function. Water values plan it
exactly. The idea of a battery as a stack of segments with rising throughput prices: B. Xu et al., *Factoring
the Cycle Aging Cost of Batteries Participating in Electricity Markets*, IEEE Trans. Power Syst. 33 (2018).
"""

from __future__ import annotations

import numpy as np

from agents.devices.battery import clip_trajectories, retention, stored_change_kwh
from agents.planning.ageing.cost import cycle_wear_eur
from agents.planning.ageing.rainflow import taut_string_kwh
from agents.planning.ageing.smoothing import smoothed
from agents.planning.exact.curves import Curve
from agents.planning.exact.stages import Stages
from agents.planning.exact.water_values import water_value_plan
from agents.planning.problem import PlanningProblem
from agents.planning.tariff import FloatArray
from runtime.devices import Battery
from runtime.preferences import BatteryAgeing


class DepthBands:
    """Plans bands of cycle depths.

    Args:
        stages: the slots' objectives.
        lower_kwh: lower envelope [kWh], shape (T,).
        ageing: what cycles cost.
    """

    def __init__(self, stages: Stages, lower_kwh: FloatArray, ageing: BatteryAgeing) -> None:
        self.stages = stages
        self.lower_kwh = lower_kwh
        self.ageing = ageing
        self.curves = stages.hull_curves()

    @property
    def span_kwh(self) -> float:
        """Deepest cycle within the SOC bounds [kWh]."""
        return self.stages.battery.stored_max_kwh - self.stages.battery.stored_min_kwh

    def smoothed_curves(self, share: float) -> list[Curve]:
        """Staircases of the slots with averaged kinks (:func:`agents.planning.ageing.smoothing.smoothed`).

        Args:
            share: width of the average as a share of what a slot can change, above 0.
        """
        problem = self.stages.problem
        width = share * float(np.median(self.stages.greatest_kwh - self.stages.least_kwh))
        prices = np.concatenate([problem.import_price_eur_per_kwh, problem.export_price_eur_per_kwh])
        beyond = 2.0 * float(np.abs(prices).max())
        return [smoothed(curve, width, beyond) for curve in self.curves]

    def wear_slope_eur_per_kwh(self, from_kwh: float, to_kwh: float) -> float:
        """Mean wear of a full cycle per kWh of depth between two depths [EUR/kWh]."""
        battery = self.stages.battery
        wear = cycle_wear_eur(np.array([from_kwh, to_kwh]) / battery.capacity_kwh, self.ageing, battery)
        return float(wear[1] - wear[0]) / (to_kwh - from_kwh)

    def replanned(
        self,
        stored_energy_kwh: FloatArray,
        from_kwh: float,
        to_kwh: float,
        curves: list[Curve] | None = None,
    ) -> FloatArray:
        """A trajectory whose cycles between two depths are planned anew.

        Args:
            stored_energy_kwh: a feasible trajectory [kWh], shape (T,).
            from_kwh: depth where the band begins, at least 0 [kWh].
            to_kwh: depth where it ends, above ``from_kwh`` [kWh].
            curves: staircases of the slots, without wear; without them, those of the objective's hull.

        Returns:
            Stored energy [kWh], shape (T,), feasible; not always better.
        """
        battery, slot_hours = self.stages.battery, self.stages.problem.slot_hours
        keep, height = retention(battery), to_kwh - from_kwh
        levels = np.concatenate([[battery.stored_start_kwh], stored_energy_kwh])
        part = taut_string_kwh(levels, from_kwh) - taut_string_kwh(levels, to_kwh)
        held = np.clip(part + 0.5 * height, 0.0, height)
        remaining = stored_energy_kwh - held[1:]
        other_change = stored_change_kwh(stored_energy_kwh, battery) - (held[1:] - keep * held[:-1])
        half_price = 0.5 * self.wear_slope_eur_per_kwh(from_kwh, to_kwh)
        own = [
            _with_throughput_price(Curve(curve.value_eur_per_kwh, curve.change_kwh - other), half_price)
            for curve, other in zip(curves or self.curves, other_change.tolist(), strict=True)
        ]
        band = self._band_stages(height, float(held[0]))
        lower = self._band_lower_kwh(held, remaining, other_change, height)
        planned = water_value_plan(own, band, lower).stored_energy_kwh
        return clip_trajectories(remaining + planned, battery, slot_hours, self.lower_kwh)

    def _band_stages(self, height_kwh: float, start_kwh: float) -> Stages:
        problem, battery = self.stages.problem, self.stages.battery
        band = Battery(
            capacity_kwh=height_kwh,
            soc_min=0.0,
            soc_max=1.0,
            soc_start=min(start_kwh / height_kwh, 1.0),
            self_discharge_per_slot=battery.self_discharge_per_slot,
        )
        plain = PlanningProblem(
            residual_load_kwh=problem.residual_load_kwh,
            battery=band,
            slot_hours=problem.slot_hours,
            import_price_eur_per_kwh=problem.import_price_eur_per_kwh,
            export_price_eur_per_kwh=problem.export_price_eur_per_kwh,
        )
        return Stages(plain, band)

    def _band_lower_kwh(
        self, held_kwh: FloatArray, remaining_kwh: FloatArray, other_change_kwh: FloatArray, height_kwh: float
    ) -> FloatArray:
        """Least that the band must hold, from which later bounds can be met; never more than it holds now."""
        keep = retention(self.stages.battery)
        lower = np.clip(self.lower_kwh - remaining_kwh, 0.0, height_kwh)
        greatest = self.stages.greatest_kwh - other_change_kwh
        for slot in range(lower.size - 1, 0, -1):
            lower[slot - 1] = max(lower[slot - 1], (lower[slot] - greatest[slot]) / keep)
        return np.minimum(lower, held_kwh[1:])


def _with_throughput_price(curve: Curve, price_eur_per_kwh: float) -> Curve:
    """A staircase after adding ``price * |y|`` to the slot's objective: a flat part at rest."""
    value, change = curve.value_eur_per_kwh, curve.change_kwh
    split = int(np.searchsorted(change, 0.0))
    if split == 0:
        return Curve(value + price_eur_per_kwh, change)
    if split == change.size:
        return Curve(value - price_eur_per_kwh, change)
    width = change[split] - change[split - 1]
    share = -change[split - 1] / width if width > 0 else 0.0
    rest = value[split - 1] + share * (value[split] - value[split - 1])
    return Curve(
        np.concatenate(
            [
                value[:split] - price_eur_per_kwh,
                [rest - price_eur_per_kwh, rest + price_eur_per_kwh],
                value[split:] + price_eur_per_kwh,
            ]
        ),
        np.concatenate([change[:split], [0.0, 0.0], change[split:]]),
    )
