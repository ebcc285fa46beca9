"""The coordinator of the other community: what is said to it, and what is waited for. No market in here.

Two coordinators of a ``hybrid`` market speak at three points of a session, always in step:

1. *Statements* in the negotiation: each tells its aggregate, and goes on once it has the other's of the same
   step.
2. *A slot's exchange*: the second proposes what its community metered; the first, who leads, accepts with its
   own; the second confirms. The second settles on the acceptance, the first on the confirmation.
3. *The close*: which slots were settled so.

Who does not hear the other in time settles its community alone for the rest of the session, says so, and
takes nothing of it any more: what was told too late is refused. An exchange counts in a slot only if both
have both sides' figures, so a slot is settled by both with the exchange or by both without it.

Whether the second has settled a slot is for the second alone to say. If the first is not told in time, it
does not guess: it puts that slot off, goes on with the next ones alone, and repeats its acceptance. Taken or
refused, the answer settles the slot; so does all that the second says later and only says after one or the
other. Before a session closes the first waits for that answer, and before it leaves the second waits until
the first has heard how its slots were settled: a connection that comes back before the close leaves the same
books on both sides. One that does not within ``_CLOSE_SHARE`` deadlines leaves what no protocol can rule out:
the first settles the slot as not traded and names it (``unconfirmed_slots``); joining the books settles it so
on both sides (``books``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from coordinator.two_communities.doubt import Doubt, OpenEnds
from coordinator.two_communities.heard import TRADES_STEP, Heard, OtherTerms
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
from runtime.protocol.envelope import COMMUNITIES, Envelope, Performative
from runtime.protocol.machine import Machine, Progress, StartTimer, StopTimer, Withdraw

TIMER = "counterpart"
"""Name of the deadline for what the other coordinator is to say."""

_PROPOSAL_SHARE, _CONFIRMATION_SHARE = 2.0, 20.0
"""Deadlines of a slot's exchange, as multiples of that for a member's delivery, which the other may be
waiting for itself. The confirmation is worth a long wait: without it the session goes on alone."""

_CLOSE_SHARE = 20.0
"""Deadline for word of a slot that only one side knows to be settled, as a multiple of that of a round."""


class Counterpart:
    """The other community's coordinator, as a part of a coordinator's machine.

    Attributes:
        part: the other community.
        leads: whether this side accepts, and the other proposes.
        lost: whether this community is settled alone for the rest of the session.
        exchanged_slots: slots of the session that were settled with the other community.
        unconfirmed_slots: slots settled as not traded for want of word whether the other has traded in them.
    """

    def __init__(self, machine: Machine, config: CoordinatorConfig, own: CommunityPart) -> None:
        """Set up for the community ``own`` of ``config``, for which ``machine`` speaks."""
        self._terms = OtherTerms.of(config, own)
        self.part, self.leads = self._terms.part, self._terms.proposes
        self.lost = False
        self.exchanged_slots: list[int] = []
        self.unconfirmed_slots: list[int] = []
        self._machine = machine
        self._timing = config.timing
        self.jid = f"{self.part.coordinator}@{machine.jid.split('@', 1)[1]}"
        self._last_session = len(config.sessions) - 1
        self._session, self._slot = -1, -1
        self._heard = Heard()
        self._sent: set[str] = set()
        self._asked: str | None = None
        self._own: MeteredExchange | None = None
        self._accepted: MeteredExchange | None = None
        self._step: int | None = None
        self._then: Callable[[], None] | None = None
        self._unless_confirmed: tuple[Callable[[], None], Callable[[MeteredExchange | None], None]]
        self._closing = False
        self._doubt: Doubt | None = None
        self._doubted = False
        self._open_ends = OpenEnds()

    # -- what this side says ---------------------------------------------------------------------------

    def begin(self, session: int) -> None:
        """Begin a session; who was lost in the last one is spoken to again."""
        self._session, self._slot = session, -1
        self.lost = session in self._heard.ended
        self.exchanged_slots, self.unconfirmed_slots = [], []
        self._closing = self._doubted = False
        self._own = self._asked = self._step = self._then = None
        self._heard.forget_before(session)

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
        self._wait(wait_s, lambda: then(None if self.lost else self._heard.statements[key]))
        bodies: list[AnyBody] = [*relayed, statement]
        for body in bodies:
            self._say(Performative.INFORM, body)
        self._go_on()

    def relayed(self, session: int) -> list[RelayedTrades]:
        """What the other community's members reported across."""
        return list(self._heard.relayed[session].values())

    def exchange(
        self,
        own: MeteredExchange,
        then: Callable[[MeteredExchange | None], None],
        put_off: Callable[[], None],
        later: Callable[[MeteredExchange | None], None],
    ) -> None:
        """Bring a slot's metering together.

        Args:
            own: what this community metered.
            then: told the other's, None where this side is alone; unless the slot is put off.
            put_off: called instead where only the other knows by now whether the slot is traded in.
            later: told then, before the session closes: as ``then``.
        """
        if self.lost:
            then(None)
            return
        self._own, self._slot = own, own.slot
        self._unless_confirmed = (put_off, later)
        wait_s = _PROPOSAL_SHARE * self._timing.delivery_deadline_s
        if self.leads:
            self._wait(wait_s, lambda: then(self._settled(None if self.lost else self._proposed())))
            self._accept()
        else:
            self._wait(wait_s, lambda: then(self._settled(self._accepted)))
            self._accepted = None
            self._open_ends.proposed(self._session, self.exchanged_slots)
            self._asked = self._say(Performative.PROPOSE, own)

    def close(self, then: Callable[[], None]) -> None:
        """Say that all slots are settled, and wait until both know which of them with the other."""
        is_last = self._session == self._last_session  # else this side stays, and can be asked
        unheard = self._open_ends.settled if is_last else {}
        if self.lost and not self._doubted and not unheard:
            then()
            return
        self._step, self._closing = None, True
        wait_s = _PROPOSAL_SHARE * self._timing.round_deadline_s
        if self._doubt is not None or unheard:
            wait_s = _CLOSE_SHARE * self._timing.round_deadline_s
        if unheard:  # for as long as the first may be in doubt
            wait_s += _CONFIRMATION_SHARE * self._timing.delivery_deadline_s
        self._wait(wait_s, then)
        if self._doubt is None and (self._doubted or not self.lost):
            unheard[self._session] = self.exchanged_slots
        for session, slots in sorted(unheard.items()):
            self._say(Performative.INFORM, ExchangeClosed(session=session, slots=slots))
        self._go_on()

    # -- what the other says ---------------------------------------------------------------------------

    def hear(self, envelope: Envelope, body: AnyBody) -> None:
        """Take what the other coordinator says.

        Raises:
            ProtocolError: it may not say this, or not any more.
        """
        self._terms.check(envelope, body)
        # What comes too late to be taken still shows what the other has settled, and what it knows.
        self._clear_doubt(envelope, body)
        self._note_heard(body)
        match body:
            case CommunityStatement():
                self._check_goes_on(body.session)
                self._heard.take_statement(body)
            case RelayedTrades():
                self._check_goes_on(body.session)
                self._heard.take_relayed(body)
            case ExchangeClosed():
                # Also once lost: the other waits until it is heard.
                self._heard.closed.add(body.session)
                if body.session == self._session and self.leads and self._asked is not None:
                    self._confirm_if(self._slot in body.slots)
                    if self._asked is not None:
                        self._lose(f"has settled slot {self._slot} alone", tell=False)
            case MeteredExchange():
                self._check_goes_on(body.session)
                self._metered(envelope, body)
                return
            case ExchangeEnded():
                self._machine.reply(envelope, Performative.CONFIRM, Acknowledged())
                self._heard.ended.add(body.session)
                if body.session == self._session:
                    self._confirm_if(body.slot > self._slot)
                    self._lose(body.reason, tell=False)
                return
            case Acknowledged():
                self._sent.discard(envelope.in_reply_to or "")
                self._open_ends.acknowledged(envelope.in_reply_to or "")
                self._confirm_if(envelope.in_reply_to == self._asked)
                self._go_on()
                return
            case Reason():
                self._machine.do(Progress("complaint", {"from": envelope.sender, "reason": body.reason}))
                if envelope.in_reply_to in self._sent:
                    self._sent.discard(envelope.in_reply_to)
                    self._lose(body.reason, tell=False)
                    self._go_on()
                return
            case _:
                raise ProtocolError(f"another coordinator may not send {body.type}")
        self._machine.reply(envelope, Performative.CONFIRM, Acknowledged())
        self._go_on()

    def deadline(self) -> None:
        """Go on without what did not come."""
        if self._then is None:
            return
        if self._closing:
            self._close_without()
        elif self.leads and self._own is not None and self._asked is not None:
            self._put_off(self._asked)
        else:
            self._lose("was not heard in time", tell=True)

    def _put_off(self, acceptance: str) -> None:
        """Go on without knowing whether the other has settled the slot that was accepted."""
        put_off, later = self._unless_confirmed
        self._doubted = True
        self._doubt = Doubt(self._session, self._slot, acceptance, self._proposed(), later)
        self._sent.discard(acceptance)  # it is repeated until it is answered
        reason = f"did not say whether it has traded in slot {self._slot}, which is settled once it does"
        self._then = self._own = self._asked = None
        self._lose(reason, tell=False)
        put_off()

    def _clear_doubt(self, envelope: Envelope, body: AnyBody) -> None:
        """Settle the slot that was put off, if this says whether the other has settled it with this side."""
        doubt = self._doubt
        if doubt is None:
            return
        traded = doubt.told(envelope, body)
        if traded is None:
            return
        self._settle_doubt(doubt, traded=traded)
        if self._closing and self._then is not None:
            self.close(self._then)  # the other may wait for word that it was heard

    def _note_heard(self, body: AnyBody) -> None:
        """Forget sessions of which the first is in no doubt, as what it says shows."""
        known = self._open_ends.shown_known(body)
        if self.lost and not self.leads:
            for message_id in self._open_ends.needless(known):
                self._sent.discard(message_id)
                self._machine.do(Withdraw(message_id))

    def _settle_doubt(self, doubt: Doubt, *, traded: bool) -> None:
        self._doubt = None
        self._machine.do(Withdraw(doubt.acceptance))
        if traded:
            self.exchanged_slots.append(doubt.slot)
        doubt.later(doubt.proposal if traded else None)

    def _close_without(self) -> None:
        """Close though the other said nothing: a slot in doubt is settled as not traded."""
        doubt = self._doubt
        self._withdraw_all()
        self._lose("was not heard before the close", tell=False)
        if doubt is not None:
            self.unconfirmed_slots.append(doubt.slot)
            detail = {"session": doubt.session, "slot": doubt.slot, "community": self.part.name}
            self._machine.do(Progress("exchange-unconfirmed", detail))
            self._settle_doubt(doubt, traded=False)
        self._go_on()

    def _check_goes_on(self, session: int) -> None:
        is_over = session < self._session or (session == self._session and self.lost)
        if is_over or session in self._heard.ended:
            raise ProtocolError(f"session {session} goes on, or is over, without the other community")

    def _metered(self, envelope: Envelope, body: MeteredExchange) -> None:
        if self.leads:
            if body.session == self._session and body.slot in self.exchanged_slots:
                raise ProtocolError(f"slot {body.slot} is settled")
            self._heard.take_proposal(envelope, body)
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
        proposed = self._heard.proposals.get((self._session, self._slot))
        if self._own is None or self._then is None or self._asked is not None or proposed is None:
            return
        self._machine.do(StartTimer(TIMER, _CONFIRMATION_SHARE * self._timing.delivery_deadline_s))
        self._asked = self._machine.reply(
            proposed[0], Performative.ACCEPT_PROPOSAL, self._own, expects_reply=True
        )
        self._sent.add(self._asked)

    def _proposed(self) -> MeteredExchange:
        return self._heard.proposals[self._session, self._slot][1]

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
        gone_on = not self._closing and (self.lost or confirmed)
        if then is None or not (gone_on or self._is_there()):
            return
        self._sent.discard(self._asked or "")
        self._then = self._own = self._step = self._asked = None
        self._closing = False
        self._machine.do(StopTimer(TIMER))
        then()

    def _is_there(self) -> bool:
        if self._own is not None:
            return False  # a slot's exchange: accepted and confirmed one by one
        if self._closing and self.lost:
            return self._doubt is None and not self._sent
        if self._step is None:
            # Both have heard that both have: who leaves after this owes the other nothing.
            return self._session in self._heard.closed and not self._sent
        said = self._heard.statements.get((self._session, self._step))
        if said is None:
            return False
        return self._step != TRADES_STEP or self._heard.has_trades_of(said)

    def _lose(self, reason: str, *, tell: bool) -> None:
        """Go on alone for the rest of the session."""
        if self.lost:
            return
        self.lost = True
        self._withdraw_all()
        detail = {"session": self._session, "community": self.part.name, "reason": reason}
        self._machine.do(Progress("community-lost", detail))
        if tell:
            slot = max(self._slot, 0) + (self._slot in self.exchanged_slots)
            ended = ExchangeEnded(session=self._session, slot=slot, reason=reason)
            self._sent.discard(self._say(Performative.CANCEL, ended))
        self._go_on()

    def _withdraw_all(self) -> None:
        for identifier in sorted(self._sent):
            self._machine.do(Withdraw(identifier))
        self._sent.clear()

    def _say(self, performative: Performative, body: AnyBody) -> str:
        identifier = self._machine.send(
            self.jid,
            performative,
            body,
            protocol=COMMUNITIES,
            conversation=f"session-{self._session}",
            expects_reply=True,
        )
        self._sent.add(identifier)
        if isinstance(body, ExchangeClosed | ExchangeEnded):
            self._open_ends.tell(identifier, body.session)
        return identifier
