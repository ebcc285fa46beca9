"""The coordinator of the other community: what is said to it, and what is waited for. No market in here.

Two coordinators of a ``hybrid`` market speak at three points of a session, always in step:

1. *Statements* in the negotiation: each tells its aggregate, and goes on once it has the other's of the same
   step.
2. *A slot's exchange*: the second proposes what its community metered; the first, who leads, accepts with its
   own; the second confirms. The second settles on the acceptance, the first on the confirmation.
3. *The close*: which slots were settled so.

Who does not hear the other in time settles its community alone for the rest of the session, says so, and
takes nothing of it any more: what was told too late is refused. An exchange counts in a slot only if both
have both sides' figures, so a slot is settled by both with the exchange or by both without it. The
confirmation is waited for longer than the acceptance may take, and all that the second says later confirms
too; only if the two are cut off from each other just then, and for all of that time, can the first miss that
the second has settled. Then the books differ, and joining them fails (``coordinator.books``): it is never
passed over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from runtime.communities import CommunityPart
from runtime.configuration import CoordinatorConfig
from runtime.errors import ProtocolError
from runtime.protocol.bodies import Acknowledged, AnyBody, Reason
from runtime.protocol.community_bodies import (
    CommunityStatement,
    ExchangeClosed,
    ExchangeEnded,
    MeteredExchange,
    RelayedTrades,
)
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.machine import Machine, Progress, StartTimer, StopTimer, Withdraw

TIMER = "counterpart"
"""Name of the deadline for what the other coordinator is to say."""

PROTOCOL = "communities"

ALONE_STEP, TRADES_STEP, OPT_OUT_STEP = 0, 1, 2
"""Steps of the negotiation: after the plans alone, after bargaining, after each look at who opts out."""

_PROPOSAL_SHARE, _CONFIRMATION_SHARE = 2.0, 20.0
"""Deadlines of a slot's exchange, as multiples of that for a member's delivery, which the other may be
waiting for itself. The confirmation is worth a long wait: only it tells the first what the second did."""


class Counterpart:
    """The other community's coordinator, as a part of a coordinator's machine.

    Attributes:
        part: the other community.
        leads: whether this side accepts, and the other proposes.
        lost: whether this community is settled alone for the rest of the session.
        exchanged_slots: slots of the session that were settled with the other community.
    """

    def __init__(self, machine: Machine, config: CoordinatorConfig, own: CommunityPart) -> None:
        """Set up for the community ``own`` of ``config``, for which ``machine`` speaks."""
        self.part = next(part for part in config.communities if part.name != own.name)
        self.leads = own == config.communities[0]
        self.lost = False
        self.exchanged_slots: list[int] = []
        self._machine = machine
        self._timing = config.timing
        self.jid = f"{self.part.coordinator}@{machine.jid.split('@', 1)[1]}"
        self._slots_of = [session.horizon.slots for session in config.sessions]
        self._session, self._slot = -1, -1
        self._ended: set[int] = set()
        self._statements: dict[tuple[int, int], CommunityStatement] = {}
        self._relayed: defaultdict[int, dict[str, RelayedTrades]] = defaultdict(dict)
        self._closed: dict[int, ExchangeClosed] = {}
        self._proposals: dict[tuple[int, int], tuple[Envelope, MeteredExchange]] = {}
        self._sent: set[str] = set()
        self._asked: str | None = None
        self._own: MeteredExchange | None = None
        self._accepted: MeteredExchange | None = None
        self._step: int | None = None
        self._then: Callable[[], None] | None = None

    # -- what this side says ---------------------------------------------------------------------------

    def begin(self, session: int) -> None:
        """Begin a session; who was lost in the last one is spoken to again."""
        self._session, self._slot = session, -1
        self.lost = session in self._ended
        self.exchanged_slots = []
        self._own = self._asked = self._step = self._then = None
        for known in (self._statements, self._proposals):
            for key in [key for key in known if key[0] < session]:
                del known[key]

    def tell(
        self,
        statement: CommunityStatement,
        relayed: Sequence[RelayedTrades],
        wait_s: float,
        then: Callable[[CommunityStatement | None], None],
    ) -> None:
        """Say where this community stands; ``then`` is told what the other says, None if it is lost.

        Args:
            statement: of this community.
            relayed: what its members reported across, with the step after bargaining.
            wait_s: how long the other may take [s].
            then: called once, at once where the other has been faster.
        """
        if self.lost:
            then(None)
            return
        key = (statement.session, statement.step)
        self._step = statement.step
        self._wait(wait_s, lambda: then(None if self.lost else self._statements[key]))
        bodies: list[AnyBody] = [*relayed, statement]
        for body in bodies:
            self._say(Performative.INFORM, body)
        self._go_on()

    def relayed(self, session: int) -> list[RelayedTrades]:
        """What the other community's members reported across."""
        return list(self._relayed[session].values())

    def exchange(self, own: MeteredExchange, then: Callable[[MeteredExchange | None], None]) -> None:
        """Bring a slot's metering together; ``then`` is told the other's, None where this side is alone."""
        if self.lost:
            then(None)
            return
        self._own, self._slot = own, own.slot
        wait_s = _PROPOSAL_SHARE * self._timing.delivery_deadline_s
        if self.leads:
            self._wait(wait_s, lambda: then(self._settled(None if self.lost else self._proposed())))
            self._accept()
        else:
            self._wait(wait_s, lambda: then(self._settled(self._accepted)))
            self._accepted = None
            self._asked = self._say(Performative.PROPOSE, own)

    def close(self, then: Callable[[], None]) -> None:
        """Say that all slots are settled, and wait until the other says so too."""
        if self.lost:
            then()
            return
        self._step = None
        closed = ExchangeClosed(session=self._session, slots=self.exchanged_slots)
        self._wait(_PROPOSAL_SHARE * self._timing.round_deadline_s, then)
        self._say(Performative.INFORM, closed)
        self._go_on()

    # -- what the other says ---------------------------------------------------------------------------

    def hear(self, envelope: Envelope, body: AnyBody) -> None:
        """Take what the other coordinator says.

        Raises:
            ProtocolError: it may not say this, or not any more.
        """
        match body:
            case CommunityStatement():
                self._check(body.session, body)
                self._statements[body.session, body.step] = body
            case RelayedTrades():
                self._check(body.session, body)
                self._relayed[body.session][body.member] = body
            case ExchangeClosed():
                self._check(body.session, body)
                self._closed[body.session] = body
                self._confirm_if(body.session == self._session and self._slot in body.slots)
            case MeteredExchange():
                self._check(body.session, body)
                self._metered(envelope, body)
                return
            case ExchangeEnded():
                self._machine.reply(envelope, Performative.CONFIRM, Acknowledged())
                self._ended.add(body.session)
                if body.session == self._session:
                    self._confirm_if(body.slot > self._slot)
                    self._lose(body.reason, tell=False)
                return
            case Acknowledged():
                self._sent.discard(envelope.in_reply_to or "")
                self._confirm_if(envelope.in_reply_to == self._asked)
                self._go_on()
                return
            case Reason():
                self._machine.do(Progress("complaint", {"from": envelope.sender, "reason": body.reason}))
                if envelope.in_reply_to in self._sent:
                    self._lose(body.reason, tell=False)
                return
            case _:
                raise ProtocolError(f"another coordinator may not send {body.type}")
        self._machine.reply(envelope, Performative.CONFIRM, Acknowledged())
        self._go_on()

    def deadline(self) -> None:
        """Go on without what did not come."""
        if self._then is not None:
            self._lose("was not heard in time", tell=True)

    def _check(
        self, session: int, body: CommunityStatement | RelayedTrades | ExchangeClosed | MeteredExchange
    ) -> None:
        if session < self._session or session in self._ended or (session == self._session and self.lost):
            raise ProtocolError(f"session {session} goes on, or is over, without the other community")
        if session >= len(self._slots_of):
            raise ProtocolError(f"session {session} is none of {len(self._slots_of)}")
        names: set[str] = set()
        if isinstance(body, CommunityStatement):
            names = {*body.members, *body.withdrawn}
            lengths = [len(body.demand_kwh)]
            if body.step == TRADES_STEP:
                lengths.append(len(body.price_eur_per_kwh))
            for length in lengths:
                if length != self._slots_of[session]:
                    raise ProtocolError(f"a series has {length} slots, expected {self._slots_of[session]}")
        elif isinstance(body, RelayedTrades):
            names = {body.member}
        for stranger in sorted(names - {*self.part.members}):
            raise ProtocolError(f"{stranger!r} is no member of {self.part.name}")

    def _metered(self, envelope: Envelope, body: MeteredExchange) -> None:
        if self.leads:
            if envelope.performative is not Performative.PROPOSE:
                raise ProtocolError(f"this side accepts, the other may not {envelope.performative}")
            if body.session == self._session and body.slot in self.exchanged_slots:
                raise ProtocolError(f"slot {body.slot} is settled")
            self._proposals[body.session, body.slot] = (envelope, body)
            self._confirm_if((body.session, body.slot) > (self._session, self._slot))
            self._accept()
            return
        waited_for = self._then is not None and envelope.in_reply_to == self._asked
        if not waited_for or (body.session, body.slot) != (self._session, self._slot):
            raise ProtocolError(f"slot {body.slot} of session {body.session} is not proposed")
        self._accepted = body
        self._machine.reply(envelope, Performative.CONFIRM, Acknowledged())
        self._go_on(confirmed=True)

    def _confirm_if(self, settled: bool) -> None:
        """Take what the other says as confirmation where it can only have settled the slot accepted."""
        if settled and self.leads and self._asked is not None:
            self._go_on(confirmed=True)

    # -- waiting ---------------------------------------------------------------------------------------

    def _accept(self) -> None:
        proposed = self._proposals.get((self._session, self._slot))
        if self._own is None or self._then is None or self._asked is not None or proposed is None:
            return
        self._machine.do(StartTimer(TIMER, _CONFIRMATION_SHARE * self._timing.delivery_deadline_s))
        self._asked = self._machine.reply(
            proposed[0], Performative.ACCEPT_PROPOSAL, self._own, expects_reply=True
        )
        self._sent.add(self._asked)

    def _proposed(self) -> MeteredExchange:
        return self._proposals[self._session, self._slot][1]

    def _settled(self, other: MeteredExchange | None) -> MeteredExchange | None:
        if self.lost or other is None:
            return None
        self.exchanged_slots.append(self._slot)
        return other

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._then = then
        self._machine.do(StartTimer(TIMER, seconds))

    def _go_on(self, *, confirmed: bool = False) -> None:
        """Go on once what is waited for is there."""
        then = self._then
        if then is None or not (self.lost or confirmed or self._is_there()):
            return
        self._sent.discard(self._asked or "")
        self._then = self._own = self._step = self._asked = None
        self._machine.do(StopTimer(TIMER))
        then()

    def _is_there(self) -> bool:
        if self._own is not None:
            return False  # a slot's exchange: accepted and confirmed one by one
        if self._step is None:
            # Both have heard that both have: who leaves after this owes the other nothing.
            return self._session in self._closed and not self._sent
        said = self._statements.get((self._session, self._step))
        if said is None:
            return False
        return self._step != TRADES_STEP or {*said.members} <= self._relayed[self._session].keys()

    def _lose(self, reason: str, *, tell: bool) -> None:
        """Go on alone for the rest of the session."""
        if self.lost:
            return
        self.lost = True
        for identifier in sorted(self._sent):
            self._machine.do(Withdraw(identifier))
        self._sent.clear()
        detail = {"session": self._session, "community": self.part.name, "reason": reason}
        self._machine.do(Progress("community-lost", detail))
        if tell:
            slot = max(self._slot, 0)
            self._say(Performative.CANCEL, ExchangeEnded(session=self._session, slot=slot, reason=reason))
        self._go_on()

    def _say(self, performative: Performative, body: AnyBody) -> str:
        identifier = self._machine.send(
            self.jid,
            performative,
            body,
            protocol=PROTOCOL,
            conversation=f"session-{self._session}",
            expects_reply=True,
        )
        self._sent.add(identifier)
        return identifier
