"""The time a market session covers: equal slots, each named by its start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from runtime.errors import ProtocolError

MAX_SLOTS = 1000
"""More would not fit into one message; a month of quarter-hours does."""


class Horizon(BaseModel):
    """Slots of equal length from an instant on.

    Attributes:
        start: start of slot 0 (kept in UTC, so that a clock change neither adds nor loses a slot).
        zone: IANA name of the zone that people read times in.
        slot_minutes: length of a slot [min].
        slots: number of slots.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: AwareDatetime
    zone: str
    slot_minutes: int = Field(gt=0, le=1440)
    slots: int = Field(gt=0, le=MAX_SLOTS)

    @property
    def slot_hours(self) -> float:
        """Length of a slot [h]."""
        return self.slot_minutes / 60.0

    def slot_start(self, slot: int) -> datetime:
        """UTC instant at which ``slot`` starts; ``slot == slots`` gives the end of the horizon."""
        return self.start.astimezone(UTC) + timedelta(minutes=self.slot_minutes * slot)

    def slot_end(self, slot: int) -> datetime:
        """UTC instant at which ``slot`` ends."""
        return self.slot_start(slot + 1)

    def check_slot(self, slot: int, start: datetime, end: datetime) -> None:
        """Check the instants that somebody tells of a slot.

        Raises:
            ProtocolError: they are not the slot's.
        """
        expected = self.slot_start(slot), self.slot_end(slot)
        if (start, end) != expected:
            found, wanted = (" to ".join(map(datetime.isoformat, pair)) for pair in ((start, end), expected))
            raise ProtocolError(f"slot {slot}: found {found}, expected {wanted}")

    def slot_starts(self) -> list[datetime]:
        """UTC instants at which the slots start, shape (slots,)."""
        return [self.slot_start(slot) for slot in range(self.slots)]

    def first(self, slots: int | None) -> Horizon:
        """Its first slots, as a horizon; all of them without a number."""
        return self if slots is None else self.model_copy(update={"slots": slots})

    def local(self, slot: int) -> datetime:
        """Start of ``slot`` in the horizon's own zone, for people."""
        return self.slot_start(slot).astimezone(ZoneInfo(self.zone))
