"""``python -m agents replicate``: how batteries are run in the paper's case, by rule, optimisation or GA."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from agents.bench.paper import PublishedInputs, paper_plan
from agents.devices.battery import idle_trajectory
from agents.planning.planner import planner_for
from agents.planning.problem import PlanningProblem, objectives_eur
from runtime.replication.request import BuildingDay, StorageAnswer, StorageRequest, StoredDay


def print_storage(request_path: Path) -> None:
    """Work out what is asked and print the answer; the number of each generation goes to standard error.

    Args:
        request_path: a ``StorageRequest``.

    Raises:
        InputError: no such request, or one that does not fit together.
    """
    request = StorageRequest.load(request_path)
    print(StorageAnswer(days=[stored_day(day, request) for day in request.days]).model_dump_json())


def stored_day(day: BuildingDay, request: StorageRequest) -> StoredDay:
    """Run one battery.

    Args:
        day: the building's problem.
        request: the method and its size.

    Returns:
        The stored energy, and what it costs.

    Raises:
        InputError: series of different lengths.
    """
    problem = PlanningProblem(
        residual_load_kwh=np.array(day.load_kwh) - np.array(day.pv_kwh),
        battery=day.battery,
        slot_hours=day.slot_hours,
        import_price_eur_per_kwh=np.array(day.import_price_eur_per_kwh),
        export_price_eur_per_kwh=np.array(day.export_price_eur_per_kwh),
    )
    idle = idle_trajectory(day.battery, problem.slots, problem.slot_hours)
    idle_eur = float(objectives_eur(idle[:, None], problem)[0])
    if request.method == "genetic":
        found = paper_plan(
            problem,
            generations=request.generations,
            published=PublishedInputs(np.array(day.load_kwh), np.array(day.pv_kwh)),
            say=lambda generation: print(generation, file=sys.stderr, flush=True),
        )
        return StoredDay(
            name=day.name,
            stored_energy_kwh=found.stored_energy_kwh.tolist(),
            objective_eur=found.objective_eur,
            idle_objective_eur=idle_eur,
            feasible=found.feasible,
            worst_balance_kwh=found.worst_balance_kwh,
            seconds=found.seconds,
        )
    began_s = time.process_time()
    plan = planner_for(request.method, day.seed).plan(problem)
    return StoredDay(
        name=day.name,
        stored_energy_kwh=plan.stored_energy_kwh.tolist(),
        objective_eur=plan.objective_eur,
        idle_objective_eur=idle_eur,
        seconds=time.process_time() - began_s,
    )
