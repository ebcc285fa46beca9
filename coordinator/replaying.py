"""The market as it was at one message: ``python -m coordinator replay``."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from coordinator.mechanisms import Signal
from coordinator.session import MarketMachine, Phase
from coordinator.settlement import owed_eur
from coordinator.verification.retraced import market_machine
from runtime.configuration import CoordinatorConfig
from runtime.errors import InputError
from runtime.messaging.moment import moment_of
from runtime.rundir import RunDirectory


def market_state(machine: MarketMachine) -> dict[str, Any]:
    """What the coordinator knows and waits for; JSON-ready, energies import > 0 [kWh].

    Args:
        machine: the market's machine; it is not changed.
    """
    config, members = machine.config, machine.members
    state: dict[str, Any] = {
        "phase": str(machine.phase),
        "session": machine.session,
        "sessions": len(config.sessions),
        "community": config.community,
        "mechanism": config.mechanism,
        "members": members or sorted(machine.joined),
        "absent": [name for name in machine.expected if name not in machine.joined],
        "waiting_for": waited_for(machine),
        "closed_sessions": [
            {
                "session": closed.session,
                "rounds": len(closed.rounds),
                "agreed_round": closed.agreed_round,
                "bills_eur": {bill.member: format(bill.amount_eur, "f") for bill in closed.bills},
            }
            for closed in machine.closed
        ],
    }
    if machine.phase not in (Phase.JOINING, Phase.DONE):
        state["negotiation"] = _negotiation(machine)
        if machine.negotiation.agreed is not None:
            state["operation"] = _operation(machine)
    return state


def waited_for(machine: MarketMachine) -> list[str]:
    """Members whose answer is needed before anything else happens, deadlines aside."""
    match machine.phase:
        case Phase.JOINING:
            return [name for name in machine.expected if name not in machine.joined]
        case Phase.NEGOTIATING:
            return machine.negotiation.outstanding
        case Phase.OPERATING:
            waited_for = {*machine.operation.outstanding}
            return [name for name in machine.asked.waiting if name in waited_for]
        case Phase.DONE:
            return []
        case _:
            return list(machine.asked.waiting)


def _negotiation(machine: MarketMachine) -> dict[str, Any]:
    negotiation = machine.negotiation
    call = negotiation.call
    positions = zip(machine.members, negotiation.position_kwh.tolist(), strict=True)
    told = None
    if isinstance(call, Signal):
        told = {
            "import_price_eur_per_kwh": call.import_price_eur_per_kwh.tolist(),
            "export_price_eur_per_kwh": call.export_price_eur_per_kwh.tolist(),
        }
    agreed = negotiation.agreed
    return {
        "round": negotiation.number,
        "asks_for": type(call).__name__,
        "prices": told,
        "positions_kwh": dict(positions),
        "position_round": dict(zip(machine.members, negotiation.position_round, strict=True)),
        "rounds_costs_eur": [each.community_cost_eur for each in negotiation.rounds],
        "agreed_round": None if agreed is None else agreed.round,
        "opted_out": negotiation.opted_out,
    }


def _operation(machine: MarketMachine) -> dict[str, Any]:
    operation = machine.operation
    owed = owed_eur(operation.ledger)
    return {
        "slot": operation.slot,
        "slots": machine.config.sessions[machine.session].operated.slots,
        "agreed_kwh": dict(zip(machine.members, machine.negotiation.agreed_kwh.tolist(), strict=True)),
        "local_price_eur_per_kwh": [
            None if price is None else float(price) for price in operation.local_price_eur_per_kwh
        ],
        "delivered_in_slot": sorted(operation.delivered),
        "deliveries": len(operation.deliveries),
        "ledger_entries": len(operation.ledger),
        "delivered_kwh": {
            name: format(sum(each.net_kwh for each in operation.deliveries if each.member == name), "f")
            for name in machine.members
        },
        "owed_eur": {name: format(owed.get(name, 0), "f") for name in machine.members},
    }


def print_state(run: Path, account: str, until: str | None, record: int | None) -> None:
    """Print the coordinator's state at a message or record of its log, as JSON.

    Raises:
        InputError: no such log, configuration, message or record.
        LogError: the log's chain is broken.
    """
    directory = RunDirectory(run)
    log = directory.log(account)
    if not log.is_file():
        raise InputError(f"{log}: missing; the coordinator's state is rebuilt from it")
    config = CoordinatorConfig.load(directory.coordinator_config)
    moment = moment_of(log, partial(market_machine, config), until, record)
    print(json.dumps({**moment.as_json(), "state": market_state(moment.machine)}))
