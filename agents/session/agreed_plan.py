"""The plan that a session ran, as it is kept."""

from __future__ import annotations

from agents.planning.problem import Plan, PlanningProblem
from runtime.records import AgreedPlan, PriceChange


def agreed_plan(
    number: int, problem: PlanningProblem, plan: Plan, stored_kwh: list[float] | None
) -> AgreedPlan:
    """A plan and what it was made for, as the member keeps them.

    Args:
        number: the round that it was made for.
        problem: what was to be planned in it.
        plan: the plan.
        stored_kwh: its stored energies, shape (slots,) [kWh]; None without a battery.
    """
    weight = float(problem.weight_eur_per_kwh2.max())
    return AgreedPlan(
        round=number,
        residual_load_kwh=problem.residual_load_kwh.tolist(),
        stored_kwh=stored_kwh,
        import_price_eur_per_kwh=problem.import_price_eur_per_kwh.tolist(),
        export_price_eur_per_kwh=problem.export_price_eur_per_kwh.tolist(),
        proximal_weight_eur_per_kwh2=weight,
        reference_net_kwh=problem.reference_kwh.tolist() if weight > 0 else None,
        steps=[
            PriceChange(
                threshold_kwh=hinge.at_kwh.tolist(),
                above_eur_per_kwh=hinge.above_eur_per_kwh.tolist(),
                below_eur_per_kwh=hinge.below_eur_per_kwh.tolist(),
            )
            for hinge in problem.hinges
        ],
        demand_charge_eur_per_kw=problem.peak_charge_eur_per_kw,
        cost_eur=plan.cost_eur,
        objective_eur=plan.objective_eur,
        lower_bound_eur=plan.lower_bound_eur,
        certified_loss=plan.certified_loss,
        certificate=plan.certificate,
    )
