"""How a member's agent stands, as the inspector is told it; no energy, price or device is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.prosumer import ProsumerMachine


def standing_of(machine: ProsumerMachine) -> dict[str, Any]:
    """Fields of ``runtime.protocol.inspection.Status``.

    Args:
        machine: the member's machine; it is not changed.
    """
    session = machine.session
    sessions = len(machine.horizons) or None
    if session is None:
        if sessions is None:
            phase = "joining"
        else:
            phase = "done" if len(machine.closed) == sessions else "between sessions"
        return {"phase": phase, "sessions": sessions}
    fields: dict[str, Any] = {"session": session.number, "sessions": sessions}
    if session.planning.chosen is not None or session.passed:
        slots = session.operated.slots
        return fields | {"phase": "operating", "slot": min(session.passed, slots - 1), "slots": slots}
    rounds = [*machine.planning_rounds, *session.planning.rounds]
    return fields | {"phase": "negotiating", "round": max(rounds, default=None)}
