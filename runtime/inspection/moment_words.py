"""An agent's state at one message, in words and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from runtime.messagelog.summaries import plainly
from runtime.wording import counted

State = dict[str, Any]

_MOST_NAMES = 12
_HOURS_A_LINE = 8


def moment_lines(told: State) -> Iterator[str]:
    """Say what ``python -m coordinator replay`` or ``python -m agents replay`` told."""
    message = told["message"]
    if message is None:
        what = f"event {told['event']}"
    else:
        what = f"{message['performative']} {message['type'] or ''} {message['id']!r}".replace("  ", " ")
        what += f" from {_local(message['from'])} to {_local(message['to'])}"
    yield f"{told['agent']} after record {told['record']} of its log, {told['at']}: {what}"
    state = told["state"]
    yield from _market(state) if "phase" in state else _member(state)
    yield f"  deadlines running: {_timers(told['timers'])}"
    if told["unanswered"]:
        asked = [f"{each['type']} {each['id']} to {_local(each['to'])}" for each in told["unanswered"]]
        yield f"  unanswered: {_names(asked)}"
    if told["computing"]:
        yield f"  at work on: {_names(told['computing'])}"


def _market(state: State) -> Iterator[str]:
    over = state["session"] == state["sessions"]  # no session runs any more
    sessions = counted(state["sessions"], "session")
    where = sessions if over else f"session {state['session'] + 1} of {state['sessions']}"
    yield f"  {state['phase']}: {where} of {state['community']}, mechanism {state['mechanism']}"
    yield f"  members: {_names(state['members'])}" + (
        f"; not here: {_names(state['absent'])}" if state["absent"] else ""
    )
    yield f"  waited for: {_names(state['waiting_for'])}"
    for closed in state["closed_sessions"]:
        bills = [f"{name} {amount}" for name, amount in closed["bills_eur"].items()]
        yield (
            f"  session {closed['session'] + 1} closed: {counted(closed['rounds'], 'round')}, agreed in "
            f"round {closed['agreed_round']}; bills [EUR]: {_names(bills)}"
        )
    negotiation = state.get("negotiation")
    if negotiation is not None:
        yield from _negotiation(negotiation)
    operation = state.get("operation")
    if operation is not None:
        yield from _operation(operation)


def _negotiation(negotiation: State) -> Iterator[str]:
    costs = ", ".join(f"{cost:.4f}" for cost in negotiation["rounds_costs_eur"])
    yield (
        f"  round {negotiation['round']} ({negotiation['asks_for']}); cost of each round so far [EUR]: "
        f"{costs or 'none'}"
    )
    if negotiation["agreed_round"] is not None:
        back = negotiation["opted_out"]
        yield f"  agreed: round {negotiation['agreed_round']}" + (
            f"; back to their plan alone: {_names(back)}" if back else ""
        )
    if negotiation["prices"] is not None:
        yield "  prices of the round [EUR/kWh], by slot:"
        for name, side in (("import", "import_price_eur_per_kwh"), ("export", "export_price_eur_per_kwh")):
            yield from _series(name, negotiation["prices"][side], 4)
    yield f"  {'position of':<16}{'round':>6}{'import':>12}{'export':>12} [kWh]"
    for member, series in negotiation["positions_kwh"].items():
        taken, given = _pair(series)
        yield f"  {member:<16}{negotiation['position_round'][member]:>6}{taken:>12.3f}{given:>12.3f}"


def _operation(operation: State) -> Iterator[str]:
    yield (
        f"  slot {operation['slot']} of {operation['slots']}: "
        f"{counted(operation['deliveries'], 'delivery')} settled, "
        f"{counted(operation['ledger_entries'], 'entry')} in the ledger"
    )
    yield f"  delivered in this slot: {_names(operation['delivered_in_slot'])}"
    yield "  price among neighbours [EUR/kWh], by slot:"
    yield from _series("local", operation["local_price_eur_per_kwh"], 4)
    yield f"  {'so far':<16}{'agreed [kWh]':>14}{'delivered [kWh]':>17}{'owes [EUR]':>14}"
    for member, series in operation["agreed_kwh"].items():
        agreed = sum(series[: operation["slot"]])
        yield (
            f"  {member:<16}{agreed:>14.3f}{float(operation['delivered_kwh'][member]):>17.3f}"
            f"{float(operation['owed_eur'][member]):>14.4f}"
        )


def _member(state: State) -> Iterator[str]:
    if not state["admitted"]:
        yield f"  {state['member']} is not admitted yet"
    elif state["session"] is None:
        closed = f"{state['closed_sessions']} of {state['sessions']}"
        yield f"  {state['member']} is between sessions: {closed} closed"
    else:
        yield (
            f"  {state['member']} in session {state['session'] + 1} of {state['sessions']}: "
            f"{state['passed_slots']} of {state['slots']} slots passed"
        )
    if state["planning_at_rounds"]:
        yield f"  plans for round {_names([str(number) for number in state['planning_at_rounds']])}"
    for plan in state.get("plans", ()):
        ran = "  <- the plan that runs" if plan["round"] == state["agreed_round"] else ""
        yield (
            f"  plan of round {plan['round']}: import {plan['import_kwh']:.3f}, export "
            f"{plan['export_kwh']:.3f} kWh, cost {plan['cost_eur']:.4f} EUR{ran}"
        )
    if state.get("planned_net_kwh"):
        yield "  planned net energy, import > 0 [kWh], by slot:"
        yield from _series("plan", state["planned_net_kwh"], 3)
    if state.get("net_kwh"):
        yield "  net energy as metered [kWh], by slot:"
        yield from _series("metered", state["net_kwh"], 3)
    if state.get("stored_kwh"):
        capacity = state["battery_capacity_kwh"]
        now = state["stored_kwh"][-1]
        share = f" ({100 * now / capacity:.0f} %)" if capacity else ""
        yield f"  battery: {now:.3f} of {capacity:g} kWh{share}"
    told = counted(state["bill_lines"], "bill line")
    yield f"  told so far: {told}, {plainly(state['bill_lines_eur'])} EUR"
    for session, amount in state["bills_eur"].items():
        yield f"  bill of session {int(session) + 1}: {amount} EUR"


def _series(name: str, values: Sequence[float | None], digits: int) -> Iterator[str]:
    for start in range(0, len(values), _HOURS_A_LINE):
        shown = values[start : start + _HOURS_A_LINE]
        cells = "".join(f"{'–' if each is None else format(each, f'.{digits}f'):>10}" for each in shown)
        yield f"    {name if start == 0 else '':<8}{start:>4}{cells}"


def _pair(series: Sequence[float]) -> tuple[float, float]:
    return sum(each for each in series if each > 0), -sum(each for each in series if each < 0)


def _timers(timers: dict[str, float | None]) -> str:
    shown = [name if seconds is None else f"{name} ({seconds:g} s)" for name, seconds in timers.items()]
    return _names(shown)


def _names(names: Sequence[str]) -> str:
    if len(names) > _MOST_NAMES:
        return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"
    return ", ".join(names) or "none"


def _local(jid: str) -> str:
    return jid.partition("@")[0]
