"""Why a plan does what it does: for each slot what keeps it from storing more and from storing less.

A plan is locally as good as it gets where in no slot one more kWh stored is worth more than it costs, and one
less saves less than it will be missed for. Both sides of that comparison are read off the plan itself:

- the own side is the slope of the slot's objective just above and just below its stored change;
- the later side is the value of stored energy (the water value): one more kWh at the end of a slot is used in
  the one later slot where that gains most, if it can be held until then; one less is made up for in the one
  later slot where that costs least. A backward pass over the plan finds both, and the slot (optimality
  conditions of a flow along a chain: only later slots can absorb a change, each by itself).

For a convex problem a plan is optimal exactly if no side is forgone (without a demand charge, which couples
slots: there the comparisons are true of one slot at a time). Where the problem is not convex, or a plan was
not optimised, a side may be forgone; the reason says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from agents.devices.battery import lower_envelope_kwh, retention, stored_change_kwh
from agents.planning.exact.peak import capped_stages, peak_kw
from agents.planning.exact.stages import Stages
from agents.planning.problem import Plan, PlanningProblem
from agents.planning.tariff import FloatArray
from runtime.devices import Battery

Action = Literal["charge", "discharge", "rest"]

Limit = Literal["power-limit", "soc-max", "soc-min", "end-soc"]
"""What physically keeps a slot from going further."""

Kink = Literal["zero-net", "rest", "block-threshold", "peak", "wear"]
"""Where the price of a further kWh changes: no net energy, battery at rest, threshold, peak, wear segment."""

Binding = Literal[
    "no-battery",
    "power-limit",
    "soc-max",
    "soc-min",
    "end-soc",
    "self-discharge",
    "zero-net",
    "block-threshold",
    "peak",
    "wear",
    "proximal",
    "reserve",
    "price",
    "equal-price",
    "forgone",
]
"""What binds a slot.

A limit; a kink; the proximal term; energy kept for a later discharge (``reserve``); a price that is not worth
it (``price``) or exactly is (``equal-price``); nothing, it could do better (``forgone``). ``self-discharge``,
and ``end-soc`` of a slot that charges, mean that it must, whatever the price.
"""

PRICE_TOLERANCE_EUR_PER_KWH = 2e-5
"""Prices nearer than this are equal: a fiftieth of a thousandth of a euro."""

ENERGY_TOLERANCE_SHARE = 1e-6
"""Energies nearer than this share of the battery's range are equal."""


@dataclass(frozen=True)
class Side:
    """Storing one more kWh in a slot, or one less; prices per kWh at the building's side.

    Attributes:
        limits: what makes it impossible; empty where it is possible.
        own_eur_per_kwh: for more: what it costs in this slot; for less: what it saves. With the proximal
            term's pull.
        later_eur_per_kwh: for more: what the energy gains later; for less: what it is missed for. None where
            no later slot can take up the change.
        later_slot: where that is; None at the end of the horizon, where stored energy counts for nothing.
        kinks: where the slot's price changes in this direction.
    """

    limits: tuple[Limit, ...]
    own_eur_per_kwh: float
    later_eur_per_kwh: float | None
    later_slot: int | None
    kinks: tuple[Kink, ...]


@dataclass(frozen=True)
class SlotReason:
    """Why a slot of a plan is as it is.

    Attributes:
        slot: the slot.
        action: what the battery does.
        binding: what binds it, in one word.
        energy_kwh: energy the battery draws or delivers at the building's side, at least 0.
        stored_kwh: stored energy at its end; 0 without a battery.
        net_kwh: net energy, import > 0.
        price_eur_per_kwh: what net energy costs here, or earns where there is none or a surplus, without the
            proximal term.
        pull_eur_per_kwh: the proximal term's slope in net energy, import > 0; 0 without it.
        later_slot: the later slot that the binding speaks of.
        more: storing one more kWh; None without a battery.
        less: storing one less.
    """

    slot: int
    action: Action
    binding: Binding
    energy_kwh: float
    stored_kwh: float
    net_kwh: float
    price_eur_per_kwh: float
    pull_eur_per_kwh: float
    later_slot: int | None = None
    more: Side | None = None
    less: Side | None = None


@dataclass(frozen=True, eq=False)
class _Slopes:
    """Slope of each slot's objective just below and just above its stored change [EUR/kWh], shapes (T,)."""

    below: FloatArray
    above: FloatArray


@dataclass(frozen=True, eq=False)
class _Later:
    """Per stored kWh at the end of each slot: gain of one more, loss of one less, and where, shapes (T,).

    The slot T stands for the end of the horizon.
    """

    gain: FloatArray
    gain_slot: list[int]
    loss: FloatArray
    loss_slot: list[int]


def reasons(problem: PlanningProblem, plan: Plan) -> list[SlotReason]:
    """Why each slot of a plan is as it is.

    Args:
        problem: the problem.
        plan: a feasible plan for it, optimised or not.

    Returns:
        One reason per slot.
    """
    price = _net_prices(problem, plan.net_kwh)
    pull = problem.weight_eur_per_kwh2 * (plan.net_kwh - problem.reference_kwh)
    if problem.battery is None:
        nets, pulls = plan.net_kwh.tolist(), pull.tolist()
        return [
            SlotReason(slot, "rest", "no-battery", 0.0, 0.0, nets[slot], price[slot], pulls[slot])
            for slot in range(problem.slots)
        ]
    return _Explainer(problem, plan, problem.battery).reasons(price, pull)


class _Explainer:
    """The plan's slopes, limits and later values, once for all slots."""

    def __init__(self, problem: PlanningProblem, plan: Plan, battery: Battery) -> None:
        self.problem, self.plan, self.battery = problem, plan, battery
        self.change = stored_change_kwh(plan.stored_energy_kwh, battery)
        self.lower = lower_envelope_kwh(battery, problem.slots, problem.slot_hours)
        self.same_kwh = ENERGY_TOLERANCE_SHARE * (battery.stored_max_kwh - battery.stored_min_kwh)
        self.peak_kwh = np.inf
        self.stages = Stages(problem, battery)
        if problem.peak_charge_eur_per_kw:
            cap_kw = peak_kw(plan.stored_energy_kwh, problem, battery)
            self.peak_kwh = cap_kw * problem.slot_hours
            self.stages = capped_stages(problem, battery, cap_kw)
        self.slopes = self._slopes()
        self.at_greatest = self.change >= self.stages.greatest_kwh - self.same_kwh
        self.at_least = self.change <= self.stages.least_kwh + self.same_kwh
        self.full = plan.stored_energy_kwh >= battery.stored_max_kwh - self.same_kwh
        self.empty = plan.stored_energy_kwh <= self.lower + self.same_kwh
        self.standing = self._standing()
        self.later = self._later()

    def reasons(self, price: list[float], pull: FloatArray) -> list[SlotReason]:
        found = []
        for slot in range(self.problem.slots):
            change = float(self.change[slot])
            action: Action = (
                "charge" if change > self.same_kwh else "discharge" if change < -self.same_kwh else "rest"
            )
            more, less = self._more(slot, action), self._less(slot, action)
            binding, speaks_of = self._binding(slot, action, more, less, float(pull[slot]))
            found.append(
                SlotReason(
                    slot=slot,
                    action=action,
                    binding=binding,
                    energy_kwh=abs(float(self.plan.battery_kwh[slot])),
                    stored_kwh=float(self.plan.stored_energy_kwh[slot]),
                    net_kwh=float(self.plan.net_kwh[slot]),
                    price_eur_per_kwh=price[slot],
                    pull_eur_per_kwh=float(pull[slot]),
                    later_slot=speaks_of.later_slot if speaks_of else None,
                    more=more,
                    less=less,
                )
            )
        return found

    def _slopes(self) -> _Slopes:
        step = 2 * self.same_kwh
        points = np.stack([self.change - step, self.change, self.change + step], axis=1)
        start, end = self.stages.marginals_eur_per_kwh(points)
        below, above = end[:, 0].copy(), start[:, 1].copy()
        at_peak = self.plan.net_kwh >= self.peak_kwh - self.same_kwh
        reached = self.problem.peak_reached_kw * self.problem.slot_hours
        if at_peak.sum() == 1 and self.peak_kwh > reached + self.same_kwh:  # the only peak: less lowers it
            slot = int(at_peak.argmax())
            per_change = (
                1.0 / self.battery.charge_efficiency
                if self.change[slot] > self.same_kwh
                else self.battery.discharge_efficiency
            )
            below[slot] += per_change * self.problem.peak_charge_eur_per_kw / self.problem.slot_hours
        return _Slopes(below, above)

    def _standing(self) -> _Slopes:
        kinks, slopes = self.stages.standing_marginals()
        stored = self.plan.stored_energy_kwh
        return _Slopes(
            slopes[np.searchsorted(kinks, stored - self.same_kwh)],
            slopes[np.searchsorted(kinks, stored + self.same_kwh)],
        )

    def _later(self) -> _Later:
        """Backward over the plan: what one more or one less kWh at the end of a slot comes to."""
        slots, keep = self.problem.slots, retention(self.battery)
        gain, loss = np.zeros(slots), np.zeros(slots)
        gain_slot, loss_slot = [slots] * slots, [slots] * slots
        for slot in range(slots - 1, -1, -1):
            after = slot + 1
            if after < slots:
                use = -np.inf if self.at_least[after] else keep * self.slopes.below[after]
                hold = -np.inf if self.full[after] else keep * gain[after]
                nearer = use >= hold - PRICE_TOLERANCE_EUR_PER_KWH
                gain[slot] = max(use, hold)
                gain_slot[slot] = after if nearer else gain_slot[after]
                make_up = np.inf if self.at_greatest[after] else keep * self.slopes.above[after]
                without = np.inf if self.empty[after] else keep * loss[after]
                nearer = make_up <= without + PRICE_TOLERANCE_EUR_PER_KWH
                loss[slot] = min(make_up, without)
                loss_slot[slot] = after if nearer else loss_slot[after]
            gain[slot] -= self.standing.above[slot]
            loss[slot] -= self.standing.below[slot]
        return _Later(gain, gain_slot, loss, loss_slot)

    def _more(self, slot: int, action: Action) -> Side:
        limits: list[Limit] = []
        if self.full[slot]:
            limits.append("soc-max")
        if self.at_greatest[slot]:
            limits.append("power-limit")
        scale = self._per_building_kwh(discharging=action == "discharge")
        gain = float(self.later.gain[slot])
        return Side(
            tuple(limits),
            float(self.slopes.above[slot]) * scale,
            gain * scale if np.isfinite(gain) else None,
            self._slot_or_end(self.later.gain_slot[slot]),
            self._kinks(slot, action, upward=True),
        )

    def _less(self, slot: int, action: Action) -> Side:
        limits: list[Limit] = []
        if self.empty[slot]:
            above_min = self.lower[slot] > self.battery.stored_min_kwh + self.same_kwh
            limits.append("end-soc" if above_min else "soc-min")
        if self.at_least[slot]:
            limits.append("power-limit")
        scale = self._per_building_kwh(discharging=action != "charge")
        loss = float(self.later.loss[slot])
        return Side(
            tuple(limits),
            float(self.slopes.below[slot]) * scale,
            loss * scale if np.isfinite(loss) else None,
            self._slot_or_end(self.later.loss_slot[slot]),
            self._kinks(slot, action, upward=False),
        )

    def _per_building_kwh(self, discharging: bool) -> float:
        """Stored kWh that a kWh at the building's side is."""
        if discharging:
            return 1.0 / self.battery.discharge_efficiency
        return self.battery.charge_efficiency

    def _slot_or_end(self, slot: int) -> int | None:
        return slot if slot < self.problem.slots else None

    def _kinks(self, slot: int, action: Action, upward: bool) -> tuple[Kink, ...]:
        """Kinks at the slot's stored change, if the slope jumps there."""
        if abs(self.slopes.above[slot] - self.slopes.below[slot]) <= PRICE_TOLERANCE_EUR_PER_KWH:
            return ()
        problem, net = self.problem, float(self.plan.net_kwh[slot])
        kinks: list[Kink] = []
        if abs(net) <= self.same_kwh:
            kinks.append("zero-net")
        thresholds = [float(hinge.at_kwh[slot]) for hinge in problem.tariff.hinges]
        if any(abs(net - threshold) <= self.same_kwh for threshold in thresholds if threshold != 0):
            kinks.append("block-threshold")
        if upward and net >= self.peak_kwh - self.same_kwh:
            kinks.append("peak")
        if problem.wear is not None and action == "discharge" and not upward:
            hinges = problem.wear.discharge_hinges(self.battery, problem.slot_hours)
            if any(abs(float(self.change[slot]) - at_kwh) <= self.same_kwh for at_kwh, _ in hinges):
                kinks.append("wear")
        if action == "rest":
            kinks.append("rest")
        return tuple(kinks)

    def _binding(
        self, slot: int, action: Action, more: Side, less: Side, pull: float
    ) -> tuple[Binding, Side | None]:
        """What binds the slot, and the side whose later slot that is about."""
        if _forgone(more, upward=True):
            return "forgone", more
        if _forgone(less, upward=False):
            return "forgone", less
        must = {"end-soc", "soc-min"} & set(less.limits)
        later = less.later_eur_per_kwh
        if (
            action == "charge"
            and must
            and (later is None or less.own_eur_per_kwh >= later - PRICE_TOLERANCE_EUR_PER_KWH)
        ):
            return ("end-soc" if "end-soc" in must else "self-discharge"), None
        net = float(self.plan.net_kwh[slot])
        if action == "rest" and abs(net) <= self.same_kwh and not more.limits and not less.limits:
            return "zero-net", None
        # A slot at rest could use its energy where it imports, and store some where it exports.
        upward = action == "charge" or (action == "rest" and net < -self.same_kwh)
        side = more if upward else less
        if side.limits:
            return side.limits[0], None
        own, later = side.own_eur_per_kwh, side.later_eur_per_kwh
        if later is not None and abs(own - later) <= PRICE_TOLERANCE_EUR_PER_KWH:
            if self.problem.weight_eur_per_kwh2[slot] and abs(pull) > PRICE_TOLERANCE_EUR_PER_KWH:
                return "proximal", side
            return "equal-price", side
        for kink in side.kinks:
            if kink != "rest":
                return kink, side
        if not upward and side.later_slot is not None and self.change[side.later_slot] < -self.same_kwh:
            return "reserve", side
        return "price", side


def _forgone(side: Side, upward: bool) -> bool:
    """Whether going further to this side would be possible and gain something."""
    if side.limits or side.later_eur_per_kwh is None:
        return False
    gain = side.later_eur_per_kwh - side.own_eur_per_kwh
    return (gain if upward else -gain) > PRICE_TOLERANCE_EUR_PER_KWH


def _net_prices(problem: PlanningProblem, net_kwh: FloatArray) -> list[float]:
    # At a kink the price of what is consumed or fed in, not of what would come next.
    inward = net_kwh - 1e-9 * np.sign(net_kwh)
    prices: list[float] = problem.tariff.marginal_eur_per_kwh(inward).tolist()
    return prices
