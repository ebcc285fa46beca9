"""How the market stands, as the inspector is told it; no energy or price is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.protocol.inspection import MemberStanding

if TYPE_CHECKING:
    from coordinator.session import MarketMachine


def standing_of(machine: MarketMachine) -> dict[str, Any]:
    """Fields of ``runtime.protocol.inspection.Status``.

    Args:
        machine: the market's machine; it is not changed.
    """
    sessions = machine.config.sessions
    fields: dict[str, Any] = {
        "phase": str(machine.phase),
        "session": machine.session,
        "sessions": len(sessions),
        "members": [MemberStanding(name=name, joined=name in machine.joined) for name in machine.expected],
    }
    match machine.phase:
        case "joining":  # who has not joined was not asked to
            absent = [name for name in machine.expected if name not in machine.joined]
            fields |= {"session": None, "waits_for": absent}
        case "done":
            fields["session"] = None
        case "negotiating" | "agreeing":
            fields["round"] = machine.negotiation.number
        case _:
            operated = sessions[machine.session].operated
            fields |= {"slot": min(machine.operation.slot, operated.slots - 1), "slots": operated.slots}
    return fields
