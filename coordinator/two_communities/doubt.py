"""Whether the other coordinator has settled a slot with this one: what is not known, and what tells it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runtime.protocol.bodies import Acknowledged, AnyBody, Reason
from runtime.protocol.community_bodies import (
    CommunityStatement,
    ExchangeClosed,
    ExchangeEnded,
    MeteredExchange,
    RelayedTrades,
)
from runtime.protocol.envelope import Envelope, Performative


@dataclass(frozen=True, slots=True)
class Doubt:
    """A slot that this side accepted, and does not know whether the other has settled it so.

    Attributes:
        session: its session.
        slot: the slot.
        acceptance: id of the acceptance, which is repeated.
        proposal: what the other metered.
        later: told the proposal if it was settled with it, else None.
    """

    session: int
    slot: int
    acceptance: str
    proposal: MeteredExchange
    later: Callable[[MeteredExchange | None], None]

    def told(self, envelope: Envelope, body: AnyBody) -> bool | None:
        """Whether the other has settled the slot with this side, as it says so; None if it does not."""
        return told_traded(self.session, self.slot, self.acceptance, envelope, body)


def told_traded(session: int, slot: int, acceptance: str, envelope: Envelope, body: AnyBody) -> bool | None:
    """Whether the second coordinator has settled a slot with the first; None if a message does not say.

    Args:
        session: the slot's session.
        slot: a slot that the first accepted.
        acceptance: id of that acceptance.
        envelope: a message of the second that is in order; whether it comes in time does not matter.
        body: its body.
    """
    match body:
        case Acknowledged() | Reason() if envelope.in_reply_to == acceptance:
            return isinstance(body, Acknowledged)
        case MeteredExchange() if body.session == session and body.slot > slot:
            # Who proposes the next slot has settled this one together.
            return True if envelope.performative is Performative.PROPOSE else None
        case ExchangeEnded() if body.session == session:
            return body.slot > slot
        case ExchangeClosed() if body.session == session:
            return slot in body.slots
    return None


class OpenEnds:
    """Sessions of which the first coordinator may not know yet how the second has settled their slots.

    The second may leave only once the first is known to know.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self._settled: dict[int, list[int]] = {}
        self._told: dict[str, int] = {}

    @property
    def settled(self) -> dict[int, list[int]]:
        """Slots settled together, by session, where the first may not know of all of them."""
        return {**self._settled}

    def proposed(self, session: int, settled: list[int]) -> None:
        """Note that a slot of a session was proposed; ``settled`` grows as slots are settled together."""
        self._settled[session] = settled

    def tell(self, message_id: str, session: int) -> None:
        """Note a message that tells how a session ended."""
        self._told[message_id] = session

    def acknowledged(self, message_id: str) -> None:
        """The first has taken a message."""
        self._settled.pop(self._told.pop(message_id, -1), None)

    def shown_known(self, body: AnyBody) -> int:
        """The last session of which the first shows by what it says that it knows; -1 if it shows nothing."""
        match body:
            case ExchangeClosed() | ExchangeEnded():
                known = body.session
            case CommunityStatement() | RelayedTrades() | MeteredExchange():
                known = body.session - 1
            case _:
                known = -1
        for session in [each for each in self._settled if each <= known]:
            del self._settled[session]
        return known

    def needless(self, known: int) -> list[str]:
        """Take out messages that told of sessions up to ``known``: they need not be repeated any more."""
        found = [message_id for message_id, session in self._told.items() if session <= known]
        for message_id in found:
            del self._told[message_id]
        return found
