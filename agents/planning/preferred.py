"""A person's preference among objectives, as prices that a single plan is made at.

Weights count objectives as shares of their range between the best plan for each of them. The least weighted
sum is the same plan as the least cost with a premium on imported energy, a charge on the peak and a factor on
wear: the weights over the ranges, in euros. The knee is the plan farthest below the plane through the best
plans, which is the least weighted sum with the plane's normal as weights. So a member can hold on to its
preference at any prices, in every round.

Source: I. Das, *On characterizing the "knee" of the Pareto curve based on Normal-Boundary Intersection*,
Structural Optimization 18, 1999; ranges from the payoff table: R. Benayoun et al., Mathematical Programming
1, 1971.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from agents.planning.ageing.cost import wear_eur
from agents.planning.planner import EvolutionaryPlanner, IdlePlanner
from agents.planning.problem import Plan, PlanningProblem, energy_cost_eur, peak_charge_eur
from agents.planning.tariff import FloatArray, Hinge
from runtime.preferences import BatteryAgeing, Objective, Preference

_NEARLY_NOTHING = 1e-3
"""Weight that stands in for a cost that is to count for nothing, as a share of the largest."""


@dataclass(frozen=True)
class Terms:
    """What a preference adds to a member's cost.

    Attributes:
        import_premium_eur_per_kwh: on each kWh imported.
        peak_charge_eur_per_kw: on the greatest import power of a slot.
        wear_factor: what wear counts, as a multiple of its euros.
    """

    import_premium_eur_per_kwh: float = 0.0
    peak_charge_eur_per_kw: float = 0.0
    wear_factor: float = 1.0


def objectives_of(preference: Preference, ages: bool) -> tuple[Objective, ...]:
    """What a preference trades off: cost, and what it weighs; at the knee all that the member has.

    Args:
        preference: the preference.
        ages: whether the member counts wear.
    """
    if preference.knee:
        return ("cost", "import", "peak", "wear") if ages else ("cost", "import", "peak")
    order: tuple[Objective, ...] = ("cost", "import", "peak", "wear")
    return tuple(name for name in order if name == "cost" or preference.weights.get(name, 0.0) > 0)


def terms_of(
    problem: PlanningProblem, preference: Preference, ageing: BatteryAgeing | None, seed: int
) -> Terms:
    """The prices that a preference comes to for a member.

    Args:
        problem: the member's problem at the grid's tariffs.
        preference: what the person wants.
        ageing: what cycles cost; None where wear does not count.
        seed: seed of the random numbers of planning.
    """
    if problem.battery is None and not problem.vehicles and not problem.appliances:
        return Terms()
    objectives = objectives_of(preference, ageing is not None)
    plans = [_best_plan(problem, objective, seed) for objective in objectives]
    payoff = np.array([[_value(plan, problem, each, ageing) for each in objectives] for plan in plans])
    least, ranges = payoff.min(axis=0), np.ptp(payoff, axis=0)
    if preference.knee:
        weights = plane_normal((payoff - least) / np.where(ranges > 0, ranges, 1.0))
    else:
        weights = np.array([preference.weights.get(name, 0.0) for name in objectives])
    weights[0] = max(weights[0], _NEARLY_NOTHING * weights.max())
    in_euros = np.divide(weights, ranges, out=np.zeros_like(weights), where=ranges > 1e-9)
    if in_euros[0] == 0:  # nothing to be saved: what the others weigh against is a share of the cost itself
        in_euros[0] = weights[0] / max(abs(least[0]), 1e-9)
    price = dict(zip(objectives, (in_euros / in_euros[0]).tolist(), strict=True))
    return Terms(price.get("import", 0.0), price.get("peak", 0.0), price.get("wear", 1.0))


def with_terms(problem: PlanningProblem, terms: Terms) -> PlanningProblem:
    """The problem with a preference's prices in it; wear is its planner's."""
    if not (terms.import_premium_eur_per_kwh or terms.peak_charge_eur_per_kw):
        return problem
    nothing = np.zeros(problem.slots)
    premium = Hinge(nothing, nothing + terms.import_premium_eur_per_kwh, nothing)
    return replace(
        problem,
        hinges=(*problem.hinges, premium),
        peak_charge_eur_per_kw=problem.peak_charge_eur_per_kw + terms.peak_charge_eur_per_kw,
    )


def aged(ageing: BatteryAgeing, terms: Terms) -> BatteryAgeing:
    """What cycles count by a preference."""
    price = ageing.replacement_eur_per_kwh * terms.wear_factor
    return ageing.model_copy(update={"replacement_eur_per_kwh": price})


def plane_normal(corners: FloatArray) -> FloatArray:
    """Normal of the plane through the best plans in normalised objectives.

    Args:
        corners: one row a plan, shape (M, M).

    Returns:
        Shape (M,), positive; all the same where the corners do not span a plane (one plan is best twice).
    """
    normal: FloatArray = np.linalg.pinv(corners) @ np.ones(len(corners))
    return np.ones(len(corners)) if np.any(normal <= 0) else normal


def _best_plan(problem: PlanningProblem, objective: Objective, seed: int) -> Plan:
    """The plan that is best in one objective, at the least cost that goes with it."""
    prices = np.concatenate([problem.import_price_eur_per_kwh, problem.export_price_eur_per_kwh])
    steep = 100.0 * max(float(np.abs(prices).max()), 1e-3)
    match objective:
        case "import":
            problem = with_terms(problem, Terms(import_premium_eur_per_kwh=steep))
        case "peak":
            hours = problem.slots * problem.slot_hours
            problem = with_terms(problem, Terms(peak_charge_eur_per_kw=steep * hours))
        case "wear":
            return IdlePlanner().plan(problem)
    return EvolutionaryPlanner(seed).plan(problem)


def _value(plan: Plan, problem: PlanningProblem, objective: Objective, ageing: BatteryAgeing | None) -> float:
    imported = np.maximum(plan.net_kwh, 0.0)
    match objective:
        case "cost":
            energy_eur = energy_cost_eur(plan.net_kwh, problem).sum()
            return float(energy_eur + peak_charge_eur(plan.net_kwh, problem))
        case "import":
            return float(imported.sum())
        case "peak":
            return float(imported.max()) / problem.slot_hours
        case "wear":
            if ageing is None or problem.battery is None:
                return 0.0
            return float(wear_eur(plan.stored_energy_kwh[:, None], ageing, problem.battery)[0])
