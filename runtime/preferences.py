"""What a person wants of a battery plan beside its cost, as data: objectives, ageing, a preference.

Scenario, agents and commands share these; how plans are judged by them is the agents'.
"""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Objective = Literal["cost", "import", "peak", "wear"]
"""What a plan is judged by: cost at the tariffs, energy imported, greatest import power, wear."""

OBJECTIVE_UNITS: dict[Objective, str] = {"cost": "EUR", "import": "kWh", "peak": "kW", "wear": "EUR"}
"""Unit of each objective; less is better for all."""


class BatteryAgeing(BaseModel):
    """What a charge cycle costs: replacement cost × depth^exponent / cycle life.

    The cycle life at a depth of discharge d is taken as ``cycle_life · d^(−depth_exponent)``, the power law
    fitted to manufacturers' curves, and damage adds up over cycles (Palmgren-Miner). Sources: B. Xu et al.,
    *Modeling of Lithium-Ion Battery Degradation for Cell Life Assessment*, IEEE Trans. Smart Grid 9 (2018);
    M. A. Ortega-Vazquez, *Optimal scheduling of electric vehicle charging … including battery degradation*,
    IET Gener. Transm. Distrib. 8 (2014), for the power law.

    Attributes:
        replacement_eur_per_kwh: cost of replacing the battery per kWh of nominal capacity [EUR/kWh].
        cycle_life: full cycles (depth 1) until replacement.
        depth_exponent: how wear grows with depth; at least 1 (1: wear is proportional to throughput).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    replacement_eur_per_kwh: float = Field(default=150.0, ge=0)
    cycle_life: float = Field(default=6000.0, gt=0)
    depth_exponent: float = Field(default=1.6, ge=1, le=4)


class Preference(BaseModel):
    """Which plan of a front a person wants: the knee, or the least weighted sum.

    Attributes:
        knee: the plan from which any gain in one objective costs the others most.
        weights: by objective, of its share of the front's range (0 best, 1 worst); those unnamed weigh 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    knee: bool = False
    weights: dict[Objective, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.knee == bool(self.weights):
            raise ValueError("expected either knee or weights")
        for name, weight in self.weights.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"weights.{name}: found {weight}, expected at least 0")
        if self.weights and not any(self.weights.values()):
            raise ValueError("weights: found nothing but 0, expected one above 0")
        return self


class PlanningWishes(BaseModel):
    """What a member's plans are to heed beside their cost.

    Attributes:
        preference: how import, peak and wear weigh against cost.
        ageing: what cycles of its battery cost, counted by rainflow; None leaves wear out of account.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    preference: Preference | None = None
    ageing: BatteryAgeing | None = None

    @model_validator(mode="after")
    def _wear_is_counted(self) -> Self:
        if self.preference is not None and self.preference.weights.get("wear") and self.ageing is None:
            raise ValueError("preference.weights.wear: found a weight, expected an ageing table beside it")
        return self


class TradePreferences(BaseModel):
    """What energy of neighbours is worth to a member beyond its price, where members trade bilaterally.

    Source: E. Sorin, L. Bobo, P. Pinson, *Consensus-based approach to peer-to-peer electricity markets with
    product differentiation*, IEEE Trans. Power Syst. 34 (2019).

    Attributes:
        local_eur_per_kwh: of any neighbour, instead of the grid [EUR/kWh].
        green_eur_per_kwh: on top, of a neighbour that produces energy from the sun [EUR/kWh].
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    local_eur_per_kwh: float = Field(default=0.0, ge=0, le=10)
    green_eur_per_kwh: float = Field(default=0.0, ge=0, le=10)
