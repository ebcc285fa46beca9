"""A day of logs as a large community would leave them: the real writer, messages of the real lengths.

Each slot of the day a member is asked for its delivery, asks its two meters, delivers, and gets its bill
line; before, positions are negotiated in rounds. What is said is made up: the logs can be listed, searched
and checked for changes and losses, while prices and bills in them do not follow from anything.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from runtime.messagelog.writer import MessageLog
from runtime.protocol.envelope import Envelope, Performative
from runtime.rundir import COORDINATOR, attached_meter_account, meter_account

DOMAIN = "bench.localhost"
RARE_TEXT = "the fuse of the second circuit has blown"
"""Said once, near the end."""


@dataclass(frozen=True)
class WrittenDay:
    """What was written.

    Attributes:
        messages: number of messages, each in two logs.
        records: number of records of messages.
        bytes: length of all logs.
        logs: number of logs.
        writing_s: time spent in the writer.
    """

    messages: int
    records: int
    bytes: int
    logs: int
    writing_s: float

    @property
    def writing_us(self) -> float:
        """Time to write a record [µs]."""
        return 1e6 * self.writing_s / self.records


class _Day:
    def __init__(self, logs_dir: Path, members: int, slots: int, stack: ExitStack) -> None:
        self.members = [f"house-{number:03d}" for number in range(members)]
        self.slots = slots
        self.records = 0
        self.writing_s = 0.0
        self._rng = random.Random(members * slots)
        self._ids: dict[str, int] = {}
        self._logs = {
            agent: stack.enter_context(MessageLog.open(logs_dir / f"{agent}.jsonl", agent))
            for name in self.members
            for agent in (name, meter_account(name), attached_meter_account(name))
        }
        self._logs[COORDINATOR] = stack.enter_context(
            MessageLog.open(logs_dir / f"{COORDINATOR}.jsonl", COORDINATOR)
        )

    def say(
        self,
        sender: str,
        recipient: str,
        performative: Performative,
        body: str,
        *,
        protocol: str = "operation",
        answers: Envelope | None = None,
        expects_reply: bool = False,
    ) -> Envelope:
        number = self._ids[sender] = self._ids.get(sender, 0) + 1
        envelope = Envelope(
            sender=f"{sender}@{DOMAIN}",
            recipient=f"{recipient}@{DOMAIN}",
            performative=performative,
            protocol=protocol,
            conversation="session-0",
            message_id=str(number),
            body=body,
            in_reply_to=None if answers is None else answers.message_id,
            expects_reply=expects_reply,
        )
        begun = time.perf_counter()
        self._logs[sender].append_out(envelope)
        self._logs[recipient].append_in(envelope)
        self.writing_s += time.perf_counter() - begun
        self.records += 2
        return envelope

    def negotiate(self, rounds: int) -> None:
        for number in range(rounds):
            prices = (
                f'"import_price_eur_per_kwh":{self._series()},"export_price_eur_per_kwh":{self._series()}'
            )
            signal = f'{{"type":"price-signal","session":0,"round":{number},{prices}}}'
            for member in self.members:
                asked = self.say(
                    COORDINATOR, member, Performative.CFP, signal, protocol="market", expects_reply=True
                )
                pair = f'"grid_import_kwh":{self._series()},"grid_export_kwh":{self._series()}'
                position = f'{{"type":"position","session":0,"round":{number},{pair}}}'
                self.say(
                    member, COORDINATOR, Performative.PROPOSE, position, protocol="market", answers=asked
                )

    def operate(self) -> None:
        for slot in range(self.slots):
            for member in self.members:
                self._slot(member, slot)
            if slot == self.slots - 2:
                reason = f'{{"type":"reason","reason":"{RARE_TEXT}"}}'
                self.say(self.members[-1], COORDINATOR, Performative.REFUSE, reason)

    def _slot(self, member: str, slot: int) -> None:
        at = f'"session":0,"slot":{slot}'
        asked = self.say(
            COORDINATOR,
            member,
            Performative.REQUEST,
            f'{{"type":"delivery-request",{at}}}',
            expects_reply=True,
        )
        for meter, role in ((meter_account(member), "load"), (attached_meter_account(member), "pv")):
            request = f'{{"type":"reading-request",{at},"roles":["{role}"]}}'
            reading = (
                f'{{"type":"reading",{at},"bt":{1.7e9 + 60 * slot},"quality":"metered",'
                f'"e":[{{"n":"{role}","u":"kWh","v":{self._energy()}}}]}}'
            )
            wanted = self.say(
                member, meter, Performative.REQUEST, request, protocol="metering", expects_reply=True
            )
            self.say(meter, member, Performative.INFORM, reading, protocol="metering", answers=wanted)
        delivery = (
            f'{{"type":"delivery",{at},"grid_import_kwh":"{self._energy()}","grid_export_kwh":"0",'
            '"quality":"metered"}'
        )
        delivered = self.say(
            member, COORDINATOR, Performative.INFORM, delivery, answers=asked, expects_reply=True
        )
        line = (
            f'{{"type":"bill-line",{at},"local_purchase_kwh":"{self._energy()}","local_sale_kwh":"0",'
            f'"grid_import_kwh":"{self._energy()}","grid_export_kwh":"0",'
            '"local_price_eur_per_kwh":"0.143200000","import_price_eur_per_kwh":"0.210000000",'
            '"export_price_eur_per_kwh":"0.080000000","contract_purchase_kwh":"0",'
            '"contract_sale_kwh":"0","contract_eur":"0","local_fee_eur":"0","excess_kwh":"0",'
            f'"excess_charge_eur":"0","amount_eur":"{self._energy()}000000000","quality":"metered"}}'
        )
        self.say(COORDINATOR, member, Performative.INFORM, line, answers=delivered)

    def _energy(self) -> float:
        return round(self._rng.uniform(0.001, 0.05), 9)

    def _series(self) -> Sequence[float]:
        return [round(self._rng.uniform(0, 0.3), 6) for _ in range(self.slots)]


def write_day(logs_dir: Path, members: int, slots: int, rounds: int) -> WrittenDay:
    """Write the logs of a day.

    Args:
        logs_dir: an empty folder.
        members: prosumers, each with two meters.
        slots: of the day.
        rounds: of the negotiation.
    """
    logs_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        day = _Day(logs_dir, members, slots, stack)
        day.negotiate(rounds)
        day.operate()
    logs = list(logs_dir.glob("*.jsonl"))
    return WrittenDay(
        messages=day.records // 2,
        records=day.records,
        bytes=sum(path.stat().st_size for path in logs),
        logs=len(logs),
        writing_s=day.writing_s,
    )
