"""What the members' side is asked to plan for the replication, and what it answers: checked, as JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runtime.configuration import Configuration
from runtime.devices import Battery

Method = Literal["rule", "optimised", "genetic"]
"""The paper's rule, Peerwatt's optimisation, or the paper's genetic algorithm as its program has it."""


class BuildingDay(Configuration):
    """One building's problem; every list has one value per slot.

    Attributes:
        name: names it in the answer.
        load_kwh: consumption [kWh].
        pv_kwh: production [kWh].
        battery: the battery.
        slot_hours: length of a slot [h].
        import_price_eur_per_kwh: price of imported energy [EUR/kWh].
        export_price_eur_per_kwh: price paid for exported energy [EUR/kWh].
        seed: of the random numbers of Peerwatt's optimisation.
    """

    name: str
    load_kwh: list[float] = Field(min_length=1)
    pv_kwh: list[float] = Field(min_length=1)
    battery: Battery
    slot_hours: float = Field(gt=0)
    import_price_eur_per_kwh: list[float]
    export_price_eur_per_kwh: list[float]
    seed: int = 1


class StorageRequest(Configuration):
    """How batteries are run.

    Attributes:
        method: by which method.
        days: the problems.
        generations: of the genetic algorithm; only ``genetic`` uses it.
    """

    method: Method
    days: list[BuildingDay] = Field(min_length=1)
    generations: int = Field(default=1, ge=1)


class StoredDay(Configuration):
    """How one battery is run.

    Attributes:
        name: as asked.
        stored_energy_kwh: at the end of each slot [kWh].
        objective_eur: cost of the day (eq. 1) at the prices asked for [EUR].
        idle_objective_eur: the same with the battery left alone [EUR].
        feasible: whether the genetic algorithm met its own balance constraint; None for other methods.
        worst_balance_kwh: greatest imbalance of a slot of its best individual [kWh]; None likewise.
        seconds: process time [s].
    """

    name: str
    stored_energy_kwh: list[float]
    objective_eur: float
    idle_objective_eur: float
    feasible: bool | None = None
    worst_balance_kwh: float | None = None
    seconds: float


class StorageAnswer(Configuration):
    """An answer for each day asked for, in that order."""

    days: list[StoredDay]
