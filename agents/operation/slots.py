"""A member's slots as they pass: meters are asked, the slot is delivered, and corrected where more is known.

What is known of a slot may change after it was delivered: a meter that had no reading, or only an estimated
one, tells the real one later; a reading comes after its deadline; a slot was settled while the member was
away. Then the coordinator is told, once it has settled the slot, and one message about a slot at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal

from agents.operation.corrections import DeliveredSlots, Known
from agents.operation.own_meters import OwnMeters, SlotReadings
from agents.session.balance import Balance
from agents.session.measured import Measured
from agents.session.own_session import OwnSession
from runtime.configuration import MemberConfig
from runtime.errors import ProtocolError
from runtime.protocol.bodies import (
    Acknowledged,
    AdjustmentLine,
    AnyBody,
    BillLine,
    DeliveryCorrection,
    DeliveryRequest,
    MeterAttach,
    MeterAttached,
    MeterDetach,
    MeteredDelivery,
    MeteringEnded,
    Reading,
    ReadingCorrection,
    ReadingRequest,
    Reason,
    Role,
)
from runtime.protocol.envelope import METERING, OPERATION, Envelope, Performative
from runtime.protocol.machine import Machine, Progress, StartTimer, StopTimer, Withdraw
from runtime.protocol.pairs import exact_pair_of_net
from runtime.records import Quality

READING_SHARE_OF_DEADLINE = 0.5
"""Share of the delivery deadline that meters get; the rest is the delivery's own way."""

LATE_REQUESTS = 8
"""So many requests that were not answered in time are still repeated: their answers correct the slot."""

TIMER = "reading"


class SlotOperation:
    """What a prosumer does about slots; it speaks through the prosumer's machine."""

    def __init__(self, machine: Machine, config: MemberConfig, coordinator: str) -> None:
        """Set up for the member of ``config``; ``coordinator`` is the JID of whom it delivers to."""
        self._machine = machine
        self._config = config
        self._coordinator = coordinator
        self.meters = OwnMeters(config, machine.jid.split("@", 1)[1])
        self._reading: SlotReadings | None = None
        self._delivered = DeliveredSlots()
        self._late: deque[str] = deque()
        self._unanswered: set[str] = set()

    @property
    def all_answered(self) -> bool:
        """Whether everything told of slots was answered, in sessions that are closed too."""
        return not self._unanswered

    @property
    def gathering(self) -> bool:
        """Whether a slot that has passed is being read, and so not delivered yet."""
        return self._reading is not None

    # -- the coordinator -------------------------------------------------------------------------------

    def gather(self, envelope: Envelope, body: DeliveryRequest, session: OwnSession) -> None:
        """Ask the meters for a slot.

        Raises:
            ProtocolError: it is not one to come, or not the one of these instants.
        """
        if not session.passed <= body.slot < session.operated.slots:
            raise ProtocolError(f"slot {body.slot} is not one to come ({session.passed} are passed)")
        session.horizon.check_slot(body.slot, body.slot_start, body.slot_end)
        asked = self.meters.asked
        for missed in session.miss_slots(until=body.slot, asked=asked):
            self._delivered.settled_without(missed)
            self._late += self._ask(session, missed, asked, envelope.conversation).values()
        slot = self._reading = SlotReadings(body.slot, envelope, Measured(dict(asked)))
        seconds = self._config.timing.delivery_deadline_s * READING_SHARE_OF_DEADLINE
        slot.asked = self._ask(session, body.slot, asked, envelope.conversation, seconds)
        if slot.asked:
            self._machine.do(StartTimer(TIMER, seconds))
        else:
            self._deliver(slot, session)

    def _ask(
        self,
        session: OwnSession,
        slot: int,
        asked: Mapping[Role, str],
        conversation: str,
        seconds: float | None = None,
    ) -> dict[str, str]:
        """Ask meters for a slot; by meter, the id of the request."""
        roles: dict[str, list[Role]] = {}
        for role, meter in asked.items():
            roles.setdefault(meter, []).append(role)
        return {
            meter: self._machine.send(
                meter,
                Performative.REQUEST,
                ReadingRequest(
                    session=session.number,
                    slot=slot,
                    slot_start=session.horizon.slot_start(slot),
                    slot_end=session.horizon.slot_end(slot),
                    roles=own,
                ),
                protocol=METERING,
                conversation=conversation,
                expects_reply=True,
                reply_within_s=seconds,
            )
            for meter, own in roles.items()
        }

    def deadline(self, session: OwnSession | None) -> None:
        """Go on without the readings that did not come; they may still correct the slot."""
        slot = self._reading
        if slot is None or session is None:
            return
        self._late += [request for meter, request in slot.asked.items() if meter not in slot.answered]
        while len(self._late) > LATE_REQUESTS:
            self._machine.do(Withdraw(self._late.popleft()))
        for meter in self.meters.missed(slot):
            self._machine.do(Progress("meter-lost", {"meter": meter}))
        self._deliver(slot, session)

    def _deliver(self, slot: SlotReadings, session: OwnSession) -> None:
        self._reading = None
        measured = slot.measured
        quality: Quality = measured.quality
        known = _known(session.pass_slot(measured, quality), measured)
        imports, exports = _pair(known)
        delivery = MeteredDelivery(
            session=session.number,
            slot=slot.slot,
            grid_import_kwh=imports,
            grid_export_kwh=exports,
            quality=quality,
            meters=known.meters,
        )
        message_id = self._machine.reply(slot.request, Performative.INFORM, delivery, expects_reply=True)
        self._delivered.sent(slot.slot, message_id, known)
        self._unanswered.add(message_id)

    def settled(
        self, envelope: Envelope, body: BillLine | AdjustmentLine, session: OwnSession | None
    ) -> None:
        """Take note that a delivery was settled with, or a correction taken."""
        self._unanswered.discard(envelope.in_reply_to or "")
        slot = self._delivered.answered(envelope.in_reply_to, refused=False)
        if slot is not None and session is not None and session.number == body.session:
            self._correct(slot, session)

    def refused(self, envelope: Envelope, session: OwnSession | None) -> None:
        """Take note of a refusal: what a slot was settled without may be told as its correction."""
        self._unanswered.discard(envelope.in_reply_to or "")
        slot = self._delivered.answered(envelope.in_reply_to, refused=True)
        if slot is not None and session is not None:
            self._correct(slot, session)

    def _correct(self, slot: int, session: OwnSession) -> None:
        known = self._delivered.to_correct(slot)
        if known is None:
            return
        imports, exports = _pair(known)
        message_id = self._machine.send(
            self._coordinator,
            Performative.INFORM,
            DeliveryCorrection(
                session=session.number,
                slot=slot,
                grid_import_kwh=imports,
                grid_export_kwh=exports,
                quality=known.quality,
                meters=known.meters,
            ),
            protocol=OPERATION,
            conversation=f"session-{session.number}",
            expects_reply=True,
        )
        self._delivered.sent(slot, message_id, known)
        self._unanswered.add(message_id)

    def end_session(self) -> None:
        """Forget the session's slots: nothing of them can be corrected any more."""
        for request in [*self._late, *(self._reading.asked.values() if self._reading else ())]:
            self._machine.do(Withdraw(request))
        self._reading, self._delivered, self._late = None, DeliveredSlots(), deque()

    def end_metering(self) -> None:
        """Tell all meters that no more readings are needed."""
        for meter in self.meters.all:
            self._machine.send(
                meter, Performative.INFORM, MeteringEnded(), protocol=METERING, conversation=METERING
            )

    # -- meters ----------------------------------------------------------------------------------------

    def hear(self, envelope: Envelope, body: AnyBody, session: OwnSession | None, sessions_done: int) -> None:
        """Take a message of one of the member's meters.

        Raises:
            ProtocolError: it may not say this, or not now.
        """
        match body:
            case Reading() | ReadingCorrection():
                self._read(envelope, body, session)
            case MeterAttach():
                self._attach(envelope, body, session, sessions_done)
            case MeterDetach():
                self.meters.detach(envelope.sender)
                self._machine.do(Progress("meter-detached", {"meter": envelope.sender}))
                self._machine.reply(envelope, Performative.CONFIRM, Acknowledged())
            case Reason():
                complaint = {"from": envelope.sender, "reason": body.reason}
                self._machine.do(Progress("complaint", complaint))
                self._answered(envelope, session)
            case _:
                raise ProtocolError(f"a meter may not send {body.type}")

    def _read(
        self, envelope: Envelope, body: Reading | ReadingCorrection, session: OwnSession | None
    ) -> None:
        slot = self._reading
        if session is None or body.session != session.number:
            raise ProtocolError(f"slot {body.slot} of session {body.session} is not being read")
        self._check_start(body, session)
        if slot is not None and body.slot == slot.slot:
            slot.measured.take(envelope.sender, body)
        elif body.slot < session.passed:
            session.measured(body.slot).take(envelope.sender, body)
            self._delivered.learn(body.slot, _known(session.revise(body.slot), session.measured(body.slot)))
            self._correct(body.slot, session)
        else:
            raise ProtocolError(f"slot {body.slot} of session {body.session} is not being read")
        if isinstance(body, ReadingCorrection):
            self._machine.reply(envelope, Performative.CONFIRM, Acknowledged())
        else:
            self._answered(envelope, session)

    @staticmethod
    def _check_start(body: Reading | ReadingCorrection, session: OwnSession) -> None:
        if body.slot < session.operated.slots:
            expected_s = session.horizon.slot_start(body.slot).timestamp()
            if body.bt != expected_s:
                raise ProtocolError(f"bt: found {body.bt:.15g}, expected {expected_s:.15g}, the slot's start")

    def _answered(self, envelope: Envelope, session: OwnSession | None) -> None:
        """Wait no longer for a meter that answered with a reading, or that it has none: it is there."""
        slot = self._reading
        if slot is None or session is None or slot.asked.get(envelope.sender) != envelope.in_reply_to:
            return
        slot.answered.add(envelope.sender)
        self.meters.heard(envelope.sender)
        if slot.settled:
            self._machine.do(StopTimer(TIMER))
            self._deliver(slot, session)

    def _attach(
        self, envelope: Envelope, body: MeterAttach, session: OwnSession | None, sessions_done: int
    ) -> None:
        self.meters.attach(envelope.sender, body.roles)
        passed = session.passed + (self._reading is not None) if session else 0
        number = session.number if session else sessions_done
        self._machine.do(Progress("meter-attached", {"meter": envelope.sender, "source": body.source}))
        self._machine.reply(envelope, Performative.AGREE, MeterAttached(session=number, slot=passed))


def _known(balance: Balance, measured: Measured) -> Known:
    imports, exports = exact_pair_of_net(balance.net_kwh)
    return Known(imports - exports, measured.quality, tuple(measured.meters))


def _pair(known: Known) -> tuple[Decimal, Decimal]:
    zero = known.net_kwh * 0
    return max(known.net_kwh, zero), max(-known.net_kwh, zero)
