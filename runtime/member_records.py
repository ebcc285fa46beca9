"""What a prosumer leaves behind when a run ends, as data: forecasts, plans, and what was metered.

Energies are non-negative pairs (``grid_import_kwh``/``grid_export_kwh``) unless a name says net, import > 0;
arrays have one value a slot.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runtime.devices import Appliance, Battery, ElectricVehicle
from runtime.record_base import Quality, Record


class ForecastError(Record):
    """How far forecasts of past days were off, over the slots that were metered.

    Attributes:
        days: days compared.
        slots: slots compared.
        unmetered_slots: slots of those days without a metered value.
        mean_kwh: mean metered energy of a slot; None, as all below, where nothing was metered.
        mae_kwh: mean absolute error of a slot.
        bias_kwh: mean of forecast − metered.
        rmse_kwh: root mean square error of a slot.
        mae_percent_of_mean: the mean absolute error in percent of ``mean_kwh``; None where that is zero.
        bias_percent_of_mean: the bias, likewise.
        rmse_percent_of_mean: the root mean square error, likewise.
    """

    days: int
    slots: int
    unmetered_slots: int
    mean_kwh: float | None = None
    mae_kwh: float | None = None
    bias_kwh: float | None = None
    rmse_kwh: float | None = None
    mae_percent_of_mean: float | None = None
    bias_percent_of_mean: float | None = None
    rmse_percent_of_mean: float | None = None


class SeriesForecast(Record):
    """A forecast of load or production and where it came from.

    Attributes:
        method: how it was made.
        energy_kwh: forecast energy, shape (slots,), at least 0.
        history_slots: slots of history before the horizon.
        unmetered_slots: how many of them had no value.
        other_class_slots: slots of the horizon for which no day of the same class had a value.
        interpolated_slots: slots of the horizon that no past day had a value for.
        past: how far the same method was off on the days before the horizon.
    """

    method: str
    energy_kwh: list[float]
    history_slots: int
    unmetered_slots: int
    other_class_slots: int
    interpolated_slots: int
    past: ForecastError


class MemberForecast(Record):
    """What a member forecast for a session; None for what it does not have."""

    load_series: SeriesForecast | None = None
    pv_series: SeriesForecast | None = None


Certificate = Literal["optimal", "bounded", "none"]
"""What is proven of a plan: optimal to rounding, within its certified loss of the optimum, or nothing."""


class PriceChange(Record):
    """A change of price at a threshold of net energy n, for each slot: above [n − a]₊ + below [a − n]₊.

    Attributes:
        threshold_kwh: a, import > 0.
        above_eur_per_kwh: price of each kWh beyond it.
        below_eur_per_kwh: price of each kWh short of it.
    """

    threshold_kwh: list[float]
    above_eur_per_kwh: list[float]
    below_eur_per_kwh: list[float]


class AgreedPlan(Record):
    """The plan a member ran, and the problem it was made for, so that its reasons can be told later.

    Arrays have shape (slots,). The planned net energy is the session's ``planned_net_kwh``.

    Attributes:
        round: the round whose prices it answers.
        residual_load_kwh: load − production as foreseen.
        stored_kwh: planned stored energy at the end of each slot; None without a battery.
        import_price_eur_per_kwh: price of the round for energy taken.
        export_price_eur_per_kwh: price of the round for energy given.
        proximal_weight_eur_per_kwh2: weight of the term that holds on to an earlier position.
        reference_net_kwh: that position; None without the term.
        steps: changes of price at thresholds, told in the round or by the member's preference.
        demand_charge_eur_per_kw: price of the greatest import power, told or by preference.
        cost_eur: cost at the round's prices; None, as all below, in a record without it.
        objective_eur: all that the member counted: cost, proximal term, demand charge, wear.
        lower_bound_eur: no plan has an objective below this; None where nothing is proven.
        certified_loss: share of the battery's value that the plan leaves at most; None where nothing is
            proven, 0 without a battery.
        certificate: ``optimal`` to rounding, ``bounded`` by the certified loss, or ``none``.
    """

    round: int
    residual_load_kwh: list[float]
    stored_kwh: list[float] | None
    import_price_eur_per_kwh: list[float]
    export_price_eur_per_kwh: list[float]
    proximal_weight_eur_per_kwh2: float = 0.0
    reference_net_kwh: list[float] | None = None
    steps: list[PriceChange] = []  # noqa: RUF012 - pydantic copies it
    demand_charge_eur_per_kw: float = 0.0
    cost_eur: float | None = None
    objective_eur: float | None = None
    lower_bound_eur: float | None = None
    certified_loss: float | None = None
    certificate: Certificate = "none"


class MemberSessionRecord(Record):
    """What a prosumer measured and did in one session; arrays have shape (slots,).

    Attributes:
        session: market session, from 0.
        load_kwh: consumption: the metered load, and on top of it what vehicles and appliances drew.
        pv_kwh: metered production.
        battery_charge_kwh: energy the battery drew, at the building's side.
        battery_discharge_kwh: energy the battery delivered, at the building's side.
        stored_kwh: stored energy at the end of the slot; empty list without battery.
        net_kwh: metered net position, import > 0: load − production − battery, and what is unmetered.
        planned_net_kwh: the agreed position.
        alone_net_kwh: what the meter would have shown with the member's own baseline plan (alone at the
            grid).
        stored_start_kwh: stored energy before slot 0, where the session before left it; None: at the start
            SOC, or no battery.
        quality: how the slot's net position was come by.
        meter: accounts of the meters that read the slot, separated by commas; empty if none did.
        rounds_planned: number of plans made.
        planning_seconds: time spent planning [s].
        forecast: how load and production were forecast; None where they were told.
        plan: what the member meant to do, and why; None where no price signal was answered in time.
        flexible_kwh: what each vehicle and appliance drew, by its name; part of ``load_kwh``.
        vehicles: the vehicles of the session.
        appliances: its appliances.
        unmetered_kwh: where a meter reads the exchange with the grid: how much more was taken than the other
            readings come to, > 0 for drawn; an empty list where there is nothing of it.
        corrected_slots: slots of which more was read after they were delivered.
    """

    session: int
    load_kwh: list[float]
    pv_kwh: list[float]
    battery_charge_kwh: list[float]
    battery_discharge_kwh: list[float]
    stored_kwh: list[float]
    net_kwh: list[float]
    planned_net_kwh: list[float]
    alone_net_kwh: list[float]
    stored_start_kwh: float | None = None
    quality: list[Quality]
    meter: list[str]
    rounds_planned: int
    planning_seconds: float
    forecast: MemberForecast | None = None
    plan: AgreedPlan | None = None
    flexible_kwh: dict[str, list[float]] = Field(default_factory=dict)
    vehicles: tuple[ElectricVehicle, ...] = ()
    appliances: tuple[Appliance, ...] = ()
    unmetered_kwh: list[float] = Field(default_factory=list)
    corrected_slots: list[int] = Field(default_factory=list)

    @property
    def inflexible_load_kwh(self) -> list[float]:
        """The metered load alone [kWh]: what a forecast of it can learn from."""
        if not self.flexible_kwh:
            return self.load_kwh
        parts = zip(self.load_kwh, *self.flexible_kwh.values(), strict=True)
        return [total - sum(drawn) for total, *drawn in parts]


class MemberRecord(Record):
    """A prosumer's own record of a run.

    Attributes:
        member: its name.
        kind: what it is, for people.
        strategy: how it runs its battery.
        battery_capacity_kwh: None without a battery.
        battery: all that is to be known of it; None without one.
        sessions: one record a session.
    """

    member: str
    kind: str
    strategy: str
    battery_capacity_kwh: float | None
    battery: Battery | None = None
    sessions: list[MemberSessionRecord]
