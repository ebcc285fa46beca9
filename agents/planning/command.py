"""``python -m agents plan``: a member's plan at the grid's tariffs, or the front of its plans, as JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from agents.forecast.member import Foreseen, foresee
from agents.planning.ageing.cost import wear_eur
from agents.planning.ageing.planner import AgeingPlanner
from agents.planning.flexible.devices import beside_loads, loads_kwh
from agents.planning.planner import IdlePlanner, planner_for
from agents.planning.problem import Plan, PlanningProblem
from runtime.errors import InputError
from runtime.planned import PlanAnswer, PlannedDay, PlanRequest
from runtime.preferences import Objective, Preference

KNEE = Preference(knee=True)


def print_plan(request_path: Path) -> None:
    """Plan what is asked and print the answer.

    Args:
        request_path: a ``PlanRequest``.

    Raises:
        InputError: no such session, or a front asked of a member that does not optimise.
    """
    print(answer(PlanRequest.load(request_path)).model_dump_json())


def answer(request: PlanRequest) -> PlanAnswer:
    """Plan what is asked.

    Wear, and a front, are planned for the battery alone, beside vehicles and appliances as they cost least.

    One objective alone is met at the least cost that goes with it. Cost and wear, both money, are met as
    their sum unless a preference weighs them.

    Args:
        request: what is asked.

    Returns:
        The plan or plans.

    Raises:
        InputError: no such session, or a front asked of a member that does not optimise.
    """
    member = request.member
    if request.session >= len(member.sessions):
        raise InputError(
            f"session: found {request.session + 1}, expected 1 to {len(member.sessions)} for {member.name}"
        )
    foreseen = foresee(member, request.session)
    problem = PlanningProblem(
        residual_load_kwh=foreseen.residual_load_kwh,
        battery=member.battery,
        slot_hours=member.sessions[request.session].horizon.slot_hours,
        import_price_eur_per_kwh=np.array(request.import_price_eur_per_kwh),
        export_price_eur_per_kwh=np.array(request.export_price_eur_per_kwh),
        vehicles=tuple(member.sessions[request.session].vehicles),
        appliances=tuple(member.sessions[request.session].appliances),
    )
    wishes = request.front or request.preference is not None or request.objectives != ["cost"]
    if wishes and member.strategy != "optimised":
        raise InputError(
            f"{member.name}: found strategy {member.strategy!r}, expected 'optimised' where objectives, a "
            "preference or a front are asked for"
        )
    if not request.front and request.preference is None and request.objectives == ["cost"]:
        plan = planner_for(member.strategy, member.seed).plan(problem)
        return _answer(request, foreseen, problem, [plan], None, member.strategy, plan.certified_loss)
    loads = (
        planner_for(member.strategy, member.seed).plan(problem)
        if (problem.vehicles or problem.appliances)
        else None
    )
    beside = problem if loads is None else beside_loads(problem, loads)
    if not request.front and request.preference is None and set(request.objectives) == {"cost", "wear"}:
        plans = [AgeingPlanner(request.ageing, member.seed).plan(beside)]
        chosen, method = None, "least cost and wear together"
    else:
        plans, chosen, method = _front(request, beside)
    if loads is not None:
        plans = [
            replace(
                plan,
                vehicle_kwh=loads.vehicle_kwh,
                appliance_start_slot=loads.appliance_start_slot,
                flexible_kwh=loads.flexible_kwh,
            )
            for plan in plans
        ]
    return _answer(request, foreseen, problem, plans, chosen, method)


def _front(request: PlanRequest, problem: PlanningProblem) -> tuple[list[Plan], int | None, str]:
    """Plans of the front, or the one chosen from it; which is chosen; and how they were found."""
    from agents.planning.tradeoffs.choice import choose
    from agents.planning.tradeoffs.front import plan_front

    objectives, preference = tuple(request.objectives), request.preference
    if len(objectives) == 1:
        if request.front:
            raise InputError(f"objectives: found {objectives[0]} alone, expected two or more for a front")
        alone = objectives[0]
        other: Objective = "import" if alone == "cost" else "cost"
        objectives, preference = (alone, other), preference or Preference(weights={alone: 1.0})
    front = plan_front(problem, objectives, request.ageing, request.member.seed)
    if request.front:
        chosen = choose(front, preference) if preference else None
        plans = [front.plan(index) for index in range(len(front.values))]
        return plans, chosen, "front"
    return [front.plan(choose(front, preference or KNEE))], None, "chosen from a front"


def _answer(
    request: PlanRequest,
    foreseen: Foreseen,
    problem: PlanningProblem,
    plans: list[Plan],
    chosen: int | None,
    method: str,
    certified_loss: float | None = None,
) -> PlanAnswer:
    member = request.member
    return PlanAnswer(
        member=member.name,
        session=request.session,
        horizon=member.sessions[request.session].horizon,
        objectives=request.objectives,
        method=method,
        battery_capacity_kwh=member.battery.capacity_kwh if member.battery else None,
        load_kwh=foreseen.load_kwh.tolist(),
        pv_kwh=foreseen.pv_kwh.tolist(),
        import_price_eur_per_kwh=request.import_price_eur_per_kwh,
        export_price_eur_per_kwh=request.export_price_eur_per_kwh,
        idle=_day(IdlePlanner().plan(problem), problem, request),
        plans=[_day(plan, problem, request) for plan in plans],
        chosen=chosen,
        certified_loss=certified_loss,
    )


def _day(plan: Plan, problem: PlanningProblem, request: PlanRequest) -> PlannedDay:
    battery = problem.battery
    imported = np.maximum(plan.net_kwh, 0.0)
    worn = wear_eur(plan.stored_energy_kwh[:, None], request.ageing, battery)[0] if battery else 0.0
    return PlannedDay(
        cost_eur=plan.cost_eur,
        grid_import_kwh=float(imported.sum()),
        peak_import_kw=float(imported.max()) / problem.slot_hours,
        wear_eur=float(worn),
        net_kwh=plan.net_kwh.tolist(),
        battery_kwh=plan.battery_kwh.tolist(),
        stored_energy_kwh=plan.stored_energy_kwh.tolist(),
        flexible_kwh={
            name: drawn.tolist()
            for name, drawn in loads_kwh(problem.vehicles, problem.appliances, plan).items()
        },
    )
