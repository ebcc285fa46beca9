"""The slots of a session as messages: deliveries asked for, taken and corrected, bill lines told.

``operation`` says what a slot comes to; here nothing is decided but when it is settled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from coordinator.asking import Asked
from coordinator.operation import Operation
from coordinator.settlement import CounterpartSlot
from coordinator.two_communities.course import TwoCommunities
from runtime.configuration import Timing
from runtime.errors import ProtocolError
from runtime.horizon import Horizon
from runtime.protocol.bodies import BillLine, DeliveryCorrection, DeliveryRequest, MeteredDelivery
from runtime.protocol.envelope import OPERATION, Envelope, Performative
from runtime.protocol.machine import AwaitSlotEnd, Machine, Progress, StartTimer, StopTimer
from runtime.rundir import check_meters_of

SLOT_TIMER = "slot-end"
"""Name of the timer that runs out when a slot has passed."""

DELIVERY_TIMER = "delivery"
"""Name of the deadline of a slot's deliveries."""


class Slots:
    """The slots of a coordinator's sessions, one session at a time; it speaks through its machine."""

    def __init__(
        self,
        machine: Machine,
        asked: Asked,
        timing: Timing,
        beside: TwoCommunities | None,
        begun: Callable[[int], None],
        over: Callable[[], None],
    ) -> None:
        """Set up for all sessions.

        Args:
            machine: the coordinator's.
            asked: asks members.
            timing: its deadlines.
            beside: what is settled with another community; None where there is one alone.
            begun: told the number of each slot before its deliveries are asked for.
            over: called once all slots of a session are settled.
        """
        self._machine = machine
        self._asked = asked
        self._timing = timing
        self._beside = beside
        self._begun = begun
        self._over = over
        self._session = -1
        self._horizon: Horizon
        self._operation: Operation
        self._members: list[str] = []
        self._delivering: dict[str, Envelope] = {}
        self._delivered_before: dict[str, Envelope] = {}

    def begin(self, session: int, horizon: Horizon, operation: Operation, members: list[str]) -> None:
        """Begin a session; its slots are waited for from ``operate`` on.

        Args:
            session: its number.
            horizon: the slots it plans, of which it operates the first.
            operation: what its slots come to.
            members: who takes part.
        """
        self._session, self._horizon = session, horizon
        self._operation, self._members = operation, members

    def operate(self) -> None:
        """Wait for the end of the running slot."""
        self._machine.do(AwaitSlotEnd(SLOT_TIMER, self._horizon, self._session, self._operation.slot))

    def request(self) -> None:
        """Ask for the deliveries of the slot, which has passed."""
        slot = self._operation.slot
        self._begun(slot)
        self._delivering = {}
        request = DeliveryRequest(
            session=self._session,
            slot=slot,
            slot_start=self._horizon.slot_start(slot),
            slot_end=self._horizon.slot_end(slot),
        )
        bodies = dict.fromkeys(self._members, request)
        self._asked.ask(self._session, Performative.REQUEST, bodies, OPERATION)
        self._machine.do(StartTimer(DELIVERY_TIMER, self._timing.delivery_deadline_s))

    # -- deliveries ------------------------------------------------------------------------------------

    def take(self, member: str, envelope: Envelope, body: MeteredDelivery) -> None:
        """Take a member's delivery of the running slot.

        Raises:
            ProtocolError: another slot is running or none, it is settled, or the member has delivered.
        """
        place = (self._session, self._operation.slot)
        if (body.session, body.slot) < place or self._operation.counted:
            raise ProtocolError(
                f"slot {body.slot} was settled without this delivery: its deadline had passed"
            )
        if (body.session, body.slot) > place or not self._asked.answered_by(member, envelope):
            raise ProtocolError(f"slot {body.slot} of session {body.session} is not asked for")
        if member in self._delivering:
            raise ProtocolError(f"slot {body.slot} is delivered: what is known better by now is a correction")
        check_meters_of(member, body.meters)
        self._delivering[member] = envelope
        self._operation.deliver(member, body)
        if self._operation.complete:
            self.settle()

    def decline(self, member: str) -> None:
        """Wait no longer for a member that does not deliver the running slot."""
        self._operation.decline(member)
        if self._operation.complete:
            self.settle()

    def correct(self, member: str, envelope: Envelope, body: DeliveryCorrection) -> None:
        """Take what a member knows by now of a slot that is settled.

        Raises:
            ProtocolError: the slot is not settled.
        """
        check_meters_of(member, body.meters)
        line = self._operation.correct(member, body)
        detail = {"member": member, "session": body.session, "slot": body.slot}
        self._machine.do(Progress("correction", detail))
        self._machine.reply(envelope, Performative.INFORM, line)

    # -- settlement ------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Settle the slot with the deliveries that are there, and go on."""
        self._machine.do(StopTimer(DELIVERY_TIMER))
        self._asked.withdraw(member for member in self._members if member not in self._delivering)
        if self._beside is None:
            self._settle_with(None)
        else:
            self._beside.exchange(self._operation, self._settle_with, self._put_off, self._settle_put_off)

    def _settle_with(self, counterpart: CounterpartSlot | None) -> None:
        self._tell_lines(self._operation.settle(counterpart), self._delivering)
        self._go_on()

    def _put_off(self) -> None:
        """Go on with the next slot: whether another community trades in this one is known later."""
        self._operation.put_off()
        self._delivered_before = self._delivering
        self._go_on()

    def _settle_put_off(self, slot: int, counterpart: CounterpartSlot | None) -> None:
        self._tell_lines(self._operation.settle_put_off(slot, counterpart), self._delivered_before)

    def _tell_lines(self, lines: Mapping[str, BillLine], delivering: Mapping[str, Envelope]) -> None:
        for member, line in lines.items():
            if member in delivering:
                self._machine.reply(delivering[member], Performative.INFORM, line)

    def _go_on(self) -> None:
        self._asked.waiting = {}
        if not self._operation.passed:
            self.operate()
        elif self._beside is None:
            self._over()
        else:
            self._beside.close(self._over)
