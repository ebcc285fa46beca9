"""The rounds of a session as messages: who is asked, which answers are taken, what follows from them.

``negotiation`` says what a round asks and comes to; here nothing is decided but when it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from coordinator.asking import Asked
from coordinator.calls import answer_of, call_bodies
from coordinator.mechanisms import Agreed, Answers, Bargain, Call, Declare
from coordinator.negotiation import Negotiation
from coordinator.two_communities.course import TwoCommunities
from runtime.configuration import Timing
from runtime.errors import ProtocolError
from runtime.protocol.bargain_bodies import BargainReport
from runtime.protocol.bodies import DeviceDeclaration, Position
from runtime.protocol.envelope import MARKET, Envelope, Performative
from runtime.protocol.machine import Compute, Machine, Progress, StartTimer, StopTimer

TIMER = "round"
"""Name of a round's deadline."""

_AFTER_FIRST_REPORT = 3
"""Once a first member has reported what it agreed on, the others have so many round deadlines more: those
that lost a partner on the way needed them."""


class Rounds:
    """The rounds of a coordinator's sessions, one session at a time; it speaks through its machine."""

    def __init__(
        self,
        machine: Machine,
        asked: Asked,
        timing: Timing,
        beside: TwoCommunities | None,
        begun: Callable[[int], None],
        agreed: Callable[[], None],
    ) -> None:
        """Set up for all sessions.

        Args:
            machine: the coordinator's.
            asked: asks members.
            timing: its deadlines.
            beside: what is settled with another community; None where there is one alone.
            begun: told the number of each round once its members are asked.
            agreed: called once a session's negotiation has ended.
        """
        self._machine = machine
        self._asked = asked
        self._timing = timing
        self._beside = beside
        self._begun = begun
        self._agreed = agreed
        self._session = -1
        self._negotiation: Negotiation
        self._members: list[str] = []
        self._reported = False

    def begin(self, session: int, negotiation: Negotiation, members: list[str]) -> None:
        """Begin a session with its first round.

        Args:
            session: its number.
            negotiation: of the session.
            members: who takes part.
        """
        self._session, self._negotiation, self._members = session, negotiation, members
        self._reported = False
        self._ask()

    def _ask(self) -> None:
        """Ask those whose answers the running round needs now."""
        negotiation = self._negotiation
        everybody = self._members if self._beside is None else self._beside.everybody
        bodies = call_bodies(negotiation, self._session, self._members, everybody)
        deadline_s = self._deadline_s()
        self._asked.ask(self._session, Performative.CFP, bodies, MARKET, deadline_s)
        self._machine.do(StartTimer(TIMER, deadline_s))
        self._begun(negotiation.number)  # last: members first, then who watches

    def _deadline_s(self) -> float:
        """How long the running round may take: members that bargain hold rounds of their own in it."""
        call = self._negotiation.call
        rounds = call.max_rounds + 1 if isinstance(call, Bargain) else 1
        return rounds * self._timing.round_deadline_s

    # -- answers ---------------------------------------------------------------------------------------

    def take(
        self, member: str, envelope: Envelope, body: Position | DeviceDeclaration | BargainReport
    ) -> None:
        """Take a member's answer to the running round: its first one counts.

        Raises:
            ProtocolError: the round is not open, or the member was asked something else or has answered.
        """
        negotiation = self._negotiation
        if (body.session, body.round) != (self._session, negotiation.number) or not negotiation.asking:
            # Of a round that closed without it the member was named late.
            raise ProtocolError(f"round {body.round} of session {body.session} is not open")
        call = negotiation.asking.get(member)
        asked = (isinstance(call, Declare), isinstance(call, Bargain))
        if call is None or asked != (isinstance(body, DeviceDeclaration), isinstance(body, BargainReport)):
            raise ProtocolError(f"{member} was not asked for a {body.type} in round {body.round}")
        if not self._asked.answered_by(member, envelope):
            raise ProtocolError(
                f"this {body.type} answers nothing that {member} was asked in round {body.round}"
            )
        if not negotiation.waits_for(member):
            raise ProtocolError(f"{member} has answered round {body.round}: its first answer counts")
        negotiation.answer(member, answer_of(body, negotiation.mechanism.tariff.slot_hours))
        if negotiation.complete:
            self.end()
        elif isinstance(body, BargainReport) and not self._reported:
            self._reported = True
            self._machine.do(StartTimer(TIMER, _AFTER_FIRST_REPORT * self._timing.round_deadline_s))

    def decline(self, member: str) -> None:
        """Wait no longer for a member that does not answer what it was asked."""
        self._negotiation.decline(member)
        if self._negotiation.complete:
            self.end()

    # -- what follows ----------------------------------------------------------------------------------

    def end(self) -> None:
        """Go on to the next member in turn, else to what the mechanism makes of the round."""
        self._machine.do(StopTimer(TIMER))
        negotiation = self._negotiation
        self._asked.withdraw(negotiation.outstanding)
        if negotiation.next_turn():
            self._ask()
            return
        answers = negotiation.end_round()
        for note in negotiation.disregarded:
            self._machine.do(Progress("disregarded", {"what": note}))
        if self._beside is None:
            self._respond(answers)
        else:
            self._beside.round_ended(answers, self._deadline_s(), self._respond)

    def _respond(self, answers: Answers) -> None:
        negotiation = self._negotiation
        respond = partial(negotiation.mechanism.respond, answers)
        if negotiation.mechanism.computes_long:
            self._machine.do(Compute(f"respond-{self._session}-{negotiation.number}", respond))
        else:
            self.follow(respond())

    def follow(self, response: Call | Agreed) -> None:
        """Go on with what the mechanism made of the round: the next one, or the end."""
        self._negotiation.follow(response)
        if self._negotiation.agreed is None:
            self._ask()
        elif self._beside is None:
            self._agreed()
        else:
            self._beside.conclude(self._agreed)
