"""When a scenario takes place: sessions one after the other, or a horizon that rolls on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from runtime.conventions import instant, is_ambiguous, local_midnight
from runtime.device_units import ConventionError
from runtime.horizon import MAX_SLOTS, Horizon
from runtime.scenario.series import Section, Zone

NOW = "now"
"""A start at the next slot's."""

FIRST_YEAR, LAST_YEAR = 1970, 2100
"""Between which a horizon starts: instants are seconds since 1970."""

MOST_SESSIONS = 1000
"""All are told in one message, when a member is admitted."""


def _local_times(value: Any) -> Any:  # noqa: ANN401 - whatever the TOML holds
    return [_local_time(item) for item in (value if isinstance(value, list) else [value])]


def _local_time(value: Any) -> datetime:  # noqa: ANN401
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError(f'found {value!r}, expected a date or a local date-time such as "2024-01-16T00:00"')


def _of_a_known_year(value: datetime) -> datetime:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"found {value.isoformat()}, expected a year from {FIRST_YEAR} to {LAST_YEAR}")
    return value


def next_slot_start(now: datetime, zone: ZoneInfo, slot_minutes: int) -> datetime:
    """Start of the next slot, counted from local midnight, as an instant.

    Args:
        now: an instant.
        zone: whose midnight counts.
        slot_minutes: length of a slot [min].
    """
    midnight = local_midnight(now.astimezone(zone).date(), zone)
    slot = timedelta(minutes=slot_minutes)
    return midnight - (midnight - now) // slot * slot


@dataclass(frozen=True)
class SessionSpan:
    """What one session plans and operates.

    Attributes:
        horizon: the slots planned.
        operated_slots: how many of them are operated; None: all.
        continues: whether it goes on from the stored energy that the session before left.
        stretch: number of the stretch of time it is in.
        offset: slots from that stretch's start to its own.
    """

    horizon: Horizon
    operated_slots: int | None
    continues: bool
    stretch: int
    offset: int

    @property
    def operated(self) -> Horizon:
        """The slots operated."""
        return self.horizon.first(self.operated_slots)


class HorizonSection(Section):
    """When: one market session for each start, or a horizon that rolls on from each.

    Attributes:
        start: local date-times (a date is its midnight); with a UTC offset where the local time is ambiguous.
        zone: IANA zone that local times are read in.
        slot_minutes: length of a slot [min].
        slots: number of slots that a session plans; without it, until the same local time on the next day.
        replan_every_slots: a session operates so many slots; then the next one plans anew from there.
        days: local days from each start on, a session each; with ``replan_every_slots``, operated by sessions
            that follow each other. Without it, one.
        plan_beyond_end: whether sessions near the end plan past it as far as others do.
        carry_over: whether each session begins with what is left in the batteries, not at their start SOC;
            with ``replan_every_slots`` those of one start always do.
    """

    start: Annotated[
        list[Annotated[datetime, AfterValidator(_of_a_known_year)]],
        BeforeValidator(_local_times),
        Field(min_length=1, max_length=366),
    ]
    zone: Zone
    slot_minutes: int = Field(gt=0, le=1440)
    slots: int | None = Field(default=None, gt=0, le=MAX_SLOTS)
    replan_every_slots: int | None = Field(default=None, gt=0, le=MAX_SLOTS)
    days: int | None = Field(default=None, gt=0, le=366)
    plan_beyond_end: bool | None = None
    carry_over: bool = False

    @model_validator(mode="before")
    @classmethod
    def _now(cls, table: Any) -> Any:  # noqa: ANN401 - whatever the TOML holds
        if not isinstance(table, dict) or table.get("start") != NOW:
            return table
        try:
            zone, minutes = ZoneInfo(table["zone"]), int(table["slot_minutes"])
        except (KeyError, TypeError, ValueError, ZoneInfoNotFoundError):
            return {**table, "start": []}  # zone or slot_minutes is found wrong, or missing, by itself
        if minutes <= 0:
            return table
        return {**table, "start": next_slot_start(datetime.now(UTC), zone, minutes)}

    @model_validator(mode="after")
    def _sessions_in_order(self) -> Self:
        rolling = self.replan_every_slots
        if rolling is None and self.plan_beyond_end is not None:
            raise ValueError("plan_beyond_end: found one, expected none without replan_every_slots")
        spans = self.spans()
        if rolling is not None and rolling > spans[0].horizon.slots:
            raise ValueError(
                f"replan_every_slots: found {rolling}, expected at most the {spans[0].horizon.slots} slots "
                "that a session plans"
            )
        if len(spans) > MOST_SESSIONS:
            field, mend = "days", "fewer days"
            if rolling is not None:
                field, mend = "replan_every_slots", "replan less often, or operate fewer days"
            raise ValueError(
                f"{field}: found {len(spans)} sessions, expected at most {MOST_SESSIONS}: {mend}"
            )
        ends = {span.stretch: span for span in spans}
        starts = {span.stretch: span for span in reversed(spans)}
        for number in range(1, len(starts)):
            earlier, later = ends[number - 1].operated, starts[number].horizon
            if later.start < earlier.slot_start(earlier.slots):
                raise ValueError(
                    f"start: session at {later.local(0).isoformat()} begins before the one at "
                    f"{earlier.local(0).isoformat()} ends, expected sessions in order without overlap"
                )
        return self

    def horizons(self) -> list[Horizon]:
        """The slots that each session plans.

        Raises:
            ValueError: as ``spans``.
        """
        return [span.horizon for span in self.spans()]

    def stretches(self) -> list[Horizon]:
        """Time without a break that sessions plan, which series have to cover; may be longer than MAX_SLOTS.

        Raises:
            ValueError: as ``spans``.
        """
        first: dict[int, Horizon] = {}
        slots: dict[int, int] = {}
        for span in self.spans():
            first.setdefault(span.stretch, span.horizon)
            slots[span.stretch] = max(slots.get(span.stretch, 0), span.offset + span.horizon.slots)
        return [each.model_copy(update={"slots": slots[number]}) for number, each in first.items()]

    def spans(self) -> list[SessionSpan]:
        """What each session plans and operates.

        Raises:
            ValueError: a start that does not exist or exists twice, or a day that slots do not divide.
        """
        zone = ZoneInfo(self.zone)
        found: list[SessionSpan] = []
        for number, wall in enumerate(self._begins()):
            start = self._instant(wall, zone)
            planned = self.slots or self._slots_of_days(start, 1, zone)
            first = Horizon(start=start, zone=self.zone, slot_minutes=self.slot_minutes, slots=planned)
            carried = self.carry_over and bool(found)
            if self.replan_every_slots is None:
                found.append(SessionSpan(first, None, carried, number, 0))
                continue
            total = self._slots_of_days(start, self.days or 1, zone)
            for offset in range(0, total, self.replan_every_slots):
                left = total - offset
                slots = min(planned, left) if self.plan_beyond_end is False else planned
                horizon = first.model_copy(update={"start": first.slot_start(offset), "slots": slots})
                operated = min(self.replan_every_slots, left)
                found.append(SessionSpan(horizon, operated, carried or offset > 0, number, offset))
        return found

    def _begins(self) -> list[datetime]:
        """Local begin of each stretch: each start, or each of its days where every day is a session."""
        days = 1 if self.replan_every_slots is not None else self.days or 1
        begins = []
        for wall in self.start:
            local = wall.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None) if wall.tzinfo else wall
            begins += [wall, *(local + timedelta(days=day) for day in range(1, days))]
        return begins

    def _slots_of_days(self, start: datetime, days: int, zone: ZoneInfo) -> int:
        """Slots from an instant until the same local time some days later."""
        local = start.astimezone(zone).replace(tzinfo=None)
        minutes = round((self._instant(local + timedelta(days=days), zone) - start).total_seconds() / 60)
        slots, rest = divmod(minutes, self.slot_minutes)
        if rest:
            raise ValueError(
                f"slot_minutes: found {self.slot_minutes}, which does not divide the {minutes} min of "
                f"{local:%Y-%m-%d}; expected a divisor, or `slots`"
            )
        return slots

    @staticmethod
    def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
        if wall.tzinfo is None and wall.hour == wall.minute == wall.second == 0:
            return local_midnight(wall.date(), zone)
        if is_ambiguous(wall, zone):
            raise ValueError(
                f"start: {wall.isoformat()} happens twice in {zone.key}, expected a UTC offset with it"
            )
        try:
            return instant(wall, zone).astimezone(UTC)
        except ConventionError as error:
            raise ValueError(f"start: {error}") from error
