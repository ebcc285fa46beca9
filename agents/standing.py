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
    session = machine._session
    sessions = len(machine._horizons) or None
    if session is None:
        if sessions is None:
            phase = "joining"
        else:
            phase = "done" if len(machine._done) == sessions else "between sessions"
        return {"phase": phase, "sessions": sessions}
    fields: dict[str, Any] = {"session": session.number, "sessions": sessions}
    if session.planning.chosen is not None or session.passed:
        slots = session.operated.slots
        return fields | {"phase": "operating", "slot": min(session.passed, slots - 1), "slots": slots}
    asked = [signal.round for _, signal in machine._asked_for_plan.values()]
    return fields | {"phase": "negotiating", "round": max([*asked, *session.planning.rounds], default=None)}
