"""What the other community's coordinator says: checked against the terms, kept until it is used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.communities import CommunityPart
from runtime.configuration import CoordinatorConfig
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


@dataclass(frozen=True, slots=True)
class OtherTerms:
    """What the other coordinator can speak of.

    Attributes:
        part: the other community.
        slots_of: number of slots of each session.
        proposes: whether it is the other that proposes a slot's exchange, and this side that accepts.
    """

    part: CommunityPart
    slots_of: tuple[int, ...]
    proposes: bool

    @classmethod
    def of(cls, config: CoordinatorConfig, own: CommunityPart) -> OtherTerms:
        """The terms for who coordinates the community ``own`` of ``config``."""
        return cls(
            part=next(part for part in config.communities if part.name != own.name),
            slots_of=tuple(session.horizon.slots for session in config.sessions),
            proposes=own == config.communities[0],
        )

    def check(self, envelope: Envelope, body: AnyBody) -> None:
        """Check a message against the terms, whenever it comes. What is refused here shows nothing.

        Args:
            envelope: a message of the other coordinator.
            body: its body.

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
                told = Performative.PROPOSE if self.proposes else Performative.ACCEPT_PROPOSAL
                if envelope.performative is not told:
                    raise ProtocolError(
                        f"the other is to {told} an exchange, and may not {envelope.performative}"
                    )
            case ExchangeClosed():
                self._check_slots(body.session, body.slots)
            case ExchangeEnded():
                # It names the first slot that is settled alone; after the last one there is none.
                self._check_slots(body.session, [max(body.slot - 1, 0)])

    def _slots(self, session: int) -> int:
        if session >= len(self.slots_of):
            raise ProtocolError(f"session {session} is none of {len(self.slots_of)}")
        return self.slots_of[session]

    def _check_slots(self, session: int, named: Sequence[int]) -> None:
        slots = self._slots(session)
        for slot in named:
            if slot >= slots:
                raise ProtocolError(f"slot {slot} is none of {slots}")

    def _check_members(self, names: set[str]) -> None:
        for stranger in sorted(names - {*self.part.members}):
            raise ProtocolError(f"{stranger!r} is no member of {self.part.name}")


class Heard:
    """What the other coordinator has said, by session.

    Attributes:
        statements: where the other community stands, by session and step.
        relayed: what its members reported across, by session and member.
        proposals: what it metered, by session and slot, with the message that is to be answered.
        closed: sessions all of whose slots it has settled.
        ended: sessions that it has gone on in alone.
    """

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.statements: dict[tuple[int, int], CommunityStatement] = {}
        self.relayed: defaultdict[int, dict[str, RelayedTrades]] = defaultdict(dict)
        self.proposals: dict[tuple[int, int], tuple[Envelope, MeteredExchange]] = {}
        self.closed: set[int] = set()
        self.ended: set[int] = set()

    def forget_before(self, session: int) -> None:
        """Forget what is not needed any more once a session begins."""
        self.statements = {key: said for key, said in self.statements.items() if key[0] >= session}
        self.proposals = {key: said for key, said in self.proposals.items() if key[0] >= session}

    def take_statement(self, body: CommunityStatement) -> None:
        """Keep a statement; of several of a step the first counts.

        Raises:
            ProtocolError: it is not the first.
        """
        key = (body.session, body.step)
        if key in self.statements:
            raise ProtocolError(f"step {body.step} of session {body.session} is told: the first one counts")
        self.statements[key] = body

    def take_relayed(self, body: RelayedTrades) -> None:
        """Keep what a member reported; of several the first counts.

        Raises:
            ProtocolError: it is not the first.
        """
        if body.member in self.relayed[body.session]:
            raise ProtocolError(f"{body.member}'s trades are relayed: the first ones count")
        self.relayed[body.session][body.member] = body

    def take_proposal(self, envelope: Envelope, body: MeteredExchange) -> None:
        """Keep what the other metered in a slot; of several proposals the first counts.

        Raises:
            ProtocolError: it is not the first.
        """
        key = (body.session, body.slot)
        if key in self.proposals:
            raise ProtocolError(f"slot {body.slot} is proposed: the first proposal counts")
        self.proposals[key] = (envelope, body)

    def has_trades_of(self, statement: CommunityStatement) -> bool:
        """Whether all members that a statement names have had their trades across relayed."""
        return {*statement.members} <= self.relayed[statement.session].keys()
