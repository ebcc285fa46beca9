"""Why a member's agreed plan of a finished run is as it is: ``python -m agents explain``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from agents.planning.explain.load_reasons import load_reasons
from agents.planning.explain.reasons import reasons
from agents.planning.problem import Plan, PlanningProblem, plan_of
from agents.planning.tariff import FloatArray, Hinge
from agents.session.carry_over import with_stored
from agents.session.flexible_state import ending_within
from runtime.configuration import MemberConfig
from runtime.devices import Battery
from runtime.errors import InputError
from runtime.records import AgreedPlan, MemberRecord
from runtime.rundir import RunDirectory


def print_reasons(run: Path, member: str, session: int) -> None:
    """Print the reasons of each slot of a member's agreed plan.

    Args:
        run: directory of a finished run.
        member: the member.
        session: the session, from 0 on.

    Raises:
        InputError: no such member or session, a record that is missing or damaged, or no agreed plan.
    """
    directory = RunDirectory(run)
    config = MemberConfig.load(directory.member_config(member))
    path = directory.member_record(member)
    try:
        record = MemberRecord.load(path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}; a member writes it at the end"
        ) from error
    except ValidationError as error:
        raise InputError(f"{path}: not a member's record: {error.errors()[0]['msg']}") from error
    own = next((done for done in record.sessions if done.session == session), None)
    if own is None:
        raise InputError(
            f"{path}: found {len(record.sessions)} sessions, expected session {session + 1} among them"
        )
    if own.plan is None:
        raise InputError(
            f"{path}, session {session + 1}: found no plan of {member}'s own: the coordinator planned for "
            "it, or it answered no price signal in time"
        )
    inputs = config.sessions[session]
    operated, planned = inputs.operated, inputs.horizon
    flexible = np.zeros(planned.slots)
    flexible[: operated.slots] = (
        np.array([*own.flexible_kwh.values()]).reshape(-1, operated.slots).sum(axis=0)
    )
    battery = config.battery
    if battery is not None and own.stored_start_kwh is not None:
        battery = with_stored(battery, own.stored_start_kwh)
    problem, plan = restored(own.plan, battery, planned.slot_hours, flexible)
    beyond = [0.0] * (planned.slots - operated.slots)
    drawn_kwh = {name: [*drawn, *beyond] for name, drawn in own.flexible_kwh.items()}
    # a stay or run that the next session goes on with is for that one to explain
    vehicles, appliances = ending_within(own.vehicles, own.appliances, operated.slots)
    loads = load_reasons(problem, plan.net_kwh, drawn_kwh, vehicles, appliances)
    answer = {
        "member": member,
        "strategy": config.strategy,
        "session": session,
        "round": own.plan.round,
        "horizon": operated.model_dump(mode="json"),
        "battery": battery.model_dump(mode="json") if battery else None,
        "slots": [asdict(reason) for reason in reasons(problem, plan)[: operated.slots]],
        "flexible_loads": [asdict(reason) for reason in loads],
    }
    print(json.dumps(answer, allow_nan=False))


def restored(
    agreed: AgreedPlan, battery: Battery | None, slot_hours: float, flexible_kwh: FloatArray | float = 0.0
) -> tuple[PlanningProblem, Plan]:
    """The problem and the plan that a record keeps, for the battery beside vehicles and appliances.

    Args:
        agreed: what was kept.
        battery: the member's.
        slot_hours: length of a slot [h].
        flexible_kwh: what vehicles and appliances drew as planned [kWh per slot], shape (T,).

    Raises:
        InputError: the record does not fit the battery, or its arrays each other.
    """
    if (battery is None) != (agreed.stored_kwh is None):
        raise InputError("record: found a plan that does not fit the member's battery")
    reference = agreed.reference_net_kwh
    problem = PlanningProblem(
        residual_load_kwh=np.array(agreed.residual_load_kwh) + flexible_kwh,
        battery=battery,
        slot_hours=slot_hours,
        import_price_eur_per_kwh=np.array(agreed.import_price_eur_per_kwh),
        export_price_eur_per_kwh=np.array(agreed.export_price_eur_per_kwh),
        proximal_weight_eur_per_kwh2=agreed.proximal_weight_eur_per_kwh2,
        reference_net_kwh=None if reference is None else np.array(reference),
        hinges=tuple(
            Hinge(
                np.array(step.threshold_kwh),
                np.array(step.above_eur_per_kwh),
                np.array(step.below_eur_per_kwh),
            )
            for step in agreed.steps
        ),
        peak_charge_eur_per_kw=agreed.demand_charge_eur_per_kw,
    )
    return problem, plan_of(problem, None if agreed.stored_kwh is None else np.array(agreed.stored_kwh))
