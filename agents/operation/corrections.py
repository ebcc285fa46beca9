"""What a member delivered of its slots, what it knows of them by now, and which corrections are under way."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from runtime.records import Quality


@dataclass(frozen=True, slots=True)
class Known:
    """A slot's net energy as it is known.

    Attributes:
        net_kwh: import > 0.
        quality: how it was come by.
        meters: accounts of the meters that read it.
    """

    net_kwh: Decimal
    quality: Quality
    meters: tuple[str, ...]


@dataclass(slots=True)
class _Slot:
    known: Known | None = None
    told: Known | None = None
    waiting_for: str | None = None
    settled: bool = False
    over: bool = False


class DeliveredSlots:
    """The slots of one session, from a member's side: one message about a slot is under way at a time."""

    def __init__(self) -> None:
        """Begin with nothing delivered."""
        self._slots: dict[int, _Slot] = {}
        self._asked: dict[str, int] = {}

    def sent(self, slot: int, message_id: str, known: Known) -> None:
        """Note that a slot's energy was told, as a delivery or as a correction."""
        entry = self._slots.setdefault(slot, _Slot())
        entry.known = entry.told = known
        entry.waiting_for = message_id
        self._asked[message_id] = slot

    def settled_without(self, slot: int) -> None:
        """Note that a slot was settled without this member: whatever it comes to know of it is news."""
        self._slots[slot] = _Slot(settled=True)

    def learn(self, slot: int, known: Known) -> None:
        """Note what is known of a slot by now."""
        self._slots.setdefault(slot, _Slot()).known = known

    def answered(self, message_id: str | None, *, refused: bool) -> int | None:
        """Note the answer to what was told; the slot it is about, None if about none.

        A refused delivery was not settled with, and may be corrected; a refused correction is the end of it.
        """
        slot = self._asked.pop(message_id or "", None)
        if slot is None:
            return None
        entry = self._slots[slot]
        entry.waiting_for = None
        if refused:
            entry.over, entry.told = entry.settled, None
        entry.settled = True
        return slot

    def to_correct(self, slot: int) -> Known | None:
        """What is to be told of a slot now; None if there is nothing to be told, or not yet."""
        entry = self._slots.get(slot)
        if entry is None or not entry.settled or entry.waiting_for is not None or entry.over:
            return None
        known = entry.known
        if known is None or not known.meters:  # an estimate is no reason to correct anything
            return None
        return known if known != entry.told else None
