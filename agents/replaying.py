"""A member's agent as it was at one message: ``python -m agents replay``."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from agents.prosumer import ProsumerMachine
from runtime.configuration import MemberConfig
from runtime.errors import InputError, ProtocolError
from runtime.messagelog.reader import read_log
from runtime.messagelog.record import RecordKind
from runtime.messaging.moment import moment_of
from runtime.protocol.bodies import BillLine, SessionClosed, parse_body
from runtime.rundir import RunDirectory


def member_state(machine: ProsumerMachine) -> dict[str, Any]:
    """What a member's agent knows and waits for; JSON-ready, energies import > 0 [kWh].

    Args:
        machine: the member's machine; it is not changed.
    """
    session = machine.session
    state: dict[str, Any] = {
        "member": machine.config.name,
        "admitted": bool(machine.horizons),
        "sessions": len(machine.horizons),
        "closed_sessions": len(machine.closed),
        "session": None if session is None else session.number,
        "planning_at_rounds": machine.planning_rounds,
    }
    if session is None:
        return state
    plan = session.planning.chosen
    battery = machine.config.battery
    stored = [outcome.stored_kwh for outcome in session.outcomes]
    state |= {
        "slots": session.operated.slots,
        "passed_slots": session.passed,
        "plans": [
            {
                "round": number,
                "cost_eur": made.plan.cost_eur,
                "import_kwh": float(made.net_kwh.clip(min=0).sum()),
                "export_kwh": float(abs(made.net_kwh.clip(max=0).sum())),
            }
            for number, made in sorted(session.planning.rounds.items())
        ],
        "agreed_round": session.planning.chosen_round,
        "planned_net_kwh": None if plan is None else plan.net_kwh.tolist(),
        "planned_stored_kwh": None if plan is None or battery is None else plan.stored_energy_kwh.tolist(),
        "net_kwh": [outcome.net_kwh for outcome in session.outcomes],
        "stored_kwh": stored if battery is not None else [],
        "battery_capacity_kwh": None if battery is None else battery.capacity_kwh,
    }
    return state


def print_state(run: Path, member: str, until: str | None, record: int | None) -> None:
    """Print a member's state at a message or record of its log, as JSON.

    Raises:
        InputError: no such log, configuration, message or record.
        LogError: the log's chain is broken.
    """
    directory = RunDirectory(run)
    log = directory.log(member)
    if not log.is_file():
        raise InputError(f"{log}: missing; the member's state is rebuilt from it")
    config = MemberConfig.load(directory.member_config(member))

    def machine(jid: str) -> ProsumerMachine:
        return ProsumerMachine(config, jid, Path("member.json"))

    moment = moment_of(log, machine, until, record)
    told = _told(log, moment.record.seq)
    print(json.dumps({**moment.as_json(), "state": {**member_state(moment.machine), **told}}))


def _told(log: Path, until_seq: int) -> dict[str, Any]:
    """What the coordinator has told the member that it owes, up to a record."""
    lines, amount = 0, Decimal(0)
    bills: dict[int, str] = {}
    for record in read_log(log, check_hashes=False):
        if record.seq > until_seq:
            break
        if record.envelope is None or record.kind is not RecordKind.IN or record.note is not None:
            continue
        try:
            body = parse_body(record.envelope.body)
        except ProtocolError:
            continue
        if isinstance(body, BillLine):
            lines, amount = lines + 1, amount + body.amount_eur
        elif isinstance(body, SessionClosed):
            bills[body.session] = format(body.amount_eur, "f")
    return {"bill_lines": lines, "bill_lines_eur": format(amount, "f"), "bills_eur": bills}
