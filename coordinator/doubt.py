"""What the other coordinator says, judged: is it well formed, has it traded in a slot. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runtime.communities import CommunityPart
from runtime.errors import ProtocolError
from runtime.protocol.bodies import Acknowledged, AnyBody, Reason
from runtime.protocol.community_bodies import (
    CommunityStatement,
    ExchangeClosed,
    ExchangeEnded,
    MeteredExchange,
    RelayedTrades,
)
from runtime.protocol.envelope import Envelope


def check_body(
    session: int,
    body: CommunityStatement | RelayedTrades | MeteredExchange | ExchangeClosed,
    part: CommunityPart,
    slots_of: Sequence[int],
    trades_step: int,
) -> None:
    """Check what the other coordinator says against the terms.

    Args:
        session: number of the market session.
        body: of its message.
        part: the other community.
        slots_of: number of slots of each session.
        trades_step: the step of the negotiation at which prices are told.

    Raises:
        ProtocolError: a session, a member or a series of slots that there is not.
    """
    if session >= len(slots_of):
        raise ProtocolError(f"session {session} is none of {len(slots_of)}")
    names: set[str] = set()
    if isinstance(body, CommunityStatement):
        names = {*body.members, *body.withdrawn}
        lengths = [len(body.demand_kwh)]
        if body.step == trades_step:
            lengths.append(len(body.price_eur_per_kwh))
        for length in lengths:
            if length != slots_of[session]:
                raise ProtocolError(f"a series has {length} slots, expected {slots_of[session]}")
    elif isinstance(body, RelayedTrades):
        names = {body.member}
    for stranger in sorted(names - {*part.members}):
        raise ProtocolError(f"{stranger!r} is no member of {part.name}")


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
        envelope: a message of the second.
        body: its body.
    """
    match body:
        case Acknowledged() | Reason() if envelope.in_reply_to == acceptance:
            return isinstance(body, Acknowledged)
        case MeteredExchange() if body.session == session and body.slot > slot:
            return True  # who proposes the next slot has settled this one together
        case ExchangeEnded() if body.session == session:
            return body.slot > slot
        case ExchangeClosed() if body.session == session:
            return slot in body.slots
    return None
