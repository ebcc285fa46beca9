"""What the other community's coordinator has said: checked against the terms, kept until it is used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from runtime.communities import CommunityPart
from runtime.errors import ProtocolError
from runtime.protocol.bodies import AnyBody
from runtime.protocol.community_bodies import (
    CommunityStatement,
    ExchangeClosed,
    ExchangeEnded,
    MeteredExchange,
    RelayedTrades,
)
from runtime.protocol.envelope import Envelope, Performative

ALONE_STEP, TRADES_STEP, OPT_OUT_STEP = 0, 1, 2
"""Steps of the negotiation: after the plans alone, after bargaining, after each look at who opts out."""


class Heard:
    """What the other coordinator has said, by session.

    Attributes:
        statements: where the other community stands, by session and step.
        relayed: what its members reported across, by session and member.
        proposals: what it metered, by session and slot, with the message that is to be answered.
        closed: sessions all of whose slots it has settled.
        ended: sessions that it has gone on in alone.
    """

    def __init__(self, part: CommunityPart, slots_of: Sequence[int]) -> None:
        """Begin with nothing heard.

        Args:
            part: the other community.
            slots_of: number of slots of each session.
        """
        self.statements: dict[tuple[int, int], CommunityStatement] = {}
        self.relayed: defaultdict[int, dict[str, RelayedTrades]] = defaultdict(dict)
        self.proposals: dict[tuple[int, int], tuple[Envelope, MeteredExchange]] = {}
        self.closed: set[int] = set()
        self.ended: set[int] = set()
        self._part = part
        self._slots_of = slots_of

    def forget_before(self, session: int) -> None:
        """Forget what is not needed any more once a session begins."""
        self.statements = {key: said for key, said in self.statements.items() if key[0] >= session}
        self.proposals = {key: said for key, said in self.proposals.items() if key[0] >= session}

    def has_trades_of(self, statement: CommunityStatement) -> bool:
        """Whether all members that a statement names have had their trades across relayed."""
        return {*statement.members} <= self.relayed[statement.session].keys()

    def check(self, envelope: Envelope, body: AnyBody, *, proposes: bool) -> None:
        """Check a message against the terms, whenever it comes. What is refused here shows nothing.

        Args:
            envelope: a message of the other coordinator.
            body: its body.
            proposes: whether it is the other that proposes a slot's exchange, and this side that accepts.

        Raises:
            ProtocolError: a session, slot, member or series that there is not; or the other's part is
                mistaken.
        """
        match body:
            case CommunityStatement():
                slots = self._slots(body.session)
                lengths = [len(body.demand_kwh)]
                if body.step == TRADES_STEP:
                    lengths.append(len(body.price_eur_per_kwh))
                for length in lengths:
                    if length != slots:
                        raise ProtocolError(f"a series has {length} slots, expected {slots}")
                self._check_members({*body.members, *body.withdrawn})
            case RelayedTrades():
                self._slots(body.session)
                self._check_members({body.member})
            case MeteredExchange():
                self._check_slots(body.session, [body.slot])
                if proposes and envelope.performative is not Performative.PROPOSE:
                    raise ProtocolError(f"this side accepts, the other may not {envelope.performative}")
            case ExchangeClosed():
                self._check_slots(body.session, body.slots)
            case ExchangeEnded():
                # It names the first slot that is settled alone; after the last one there is none.
                self._check_slots(body.session, [max(body.slot - 1, 0)])

    def _slots(self, session: int) -> int:
        if session >= len(self._slots_of):
            raise ProtocolError(f"session {session} is none of {len(self._slots_of)}")
        return self._slots_of[session]

    def _check_slots(self, session: int, named: Sequence[int]) -> None:
        slots = self._slots(session)
        for slot in named:
            if slot >= slots:
                raise ProtocolError(f"slot {slot} is none of {slots}")

    def _check_members(self, names: set[str]) -> None:
        for stranger in sorted(names - {*self._part.members}):
            raise ProtocolError(f"{stranger!r} is no member of {self._part.name}")
