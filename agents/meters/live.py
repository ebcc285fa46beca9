"""Sources that go on by themselves: a background task gathers a device's samples, a slot is read from them.

A *feed* talks to one kind of device and hands what it hears to a *sink*; it ends with an error when it has
lost the device, and is run again after a while. So a module for a device is a feed and its parameters; what
energy a slot has, outages, odd samples and their reasons are the same for all.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from pydantic import Field

from agents.meters.energy import POWER_BELOW_ZERO, Integration, Kind, Rules, SlotEnergy
from agents.meters.samples import DeviceSamples, SampleRefusedError
from agents.meters.source import SIGNED_ROLES, Parameters, ReadingError, Revision
from agents.meters.windows import SlotWindows
from runtime.configuration import ClockConfig, MeterRole
from runtime.errors import InputError, PeerwattError
from runtime.horizon import Horizon

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0
"""How long after an outage a device is looked for again: twice as long each time, ± a quarter."""

GRACE_S = 12.0
"""How long a slot's last sample is waited for, or the slot's length if that is less."""

REMEMBERED_SLOTS = 1000
"""Of so many slots it is remembered what was told, for requests that come again and for corrections."""

OPEN_SLOTS, OPEN_ESTIMATED_SLOTS = 200, 4
"""After so many more slots a slot without energy, or with an estimated one, is not revised any more."""

COMPLAINTS_EVERY_S = 10.0
"""At most this often a line about refused samples is logged."""

_logger = logging.getLogger("peerwatt.meters")

Event = Literal["sample", "refused", "up", "down", "note"]
Listener = Callable[[Event, dict[str, Any]], None]


class FeedError(PeerwattError):
    """A device cannot be reached, or does not speak as expected; it is tried again."""


class Sink(Protocol):
    """Whom a feed tells what it hears."""

    def up(self) -> None:
        """The device is there."""

    def take(
        self, value: float, unit: str, instant: datetime | None = None, *, reverse: bool = False
    ) -> None:
        """A value and its unit, and when it was so; None: just now; ``reverse``: a register the other way."""

    def refuse(self, reason: str) -> None:
        """Something came that is no value."""


class Feed(Protocol):
    """One kind of device.

    Attributes:
        kind: what it tells.
    """

    @property
    def kind(self) -> Kind:
        """What it tells."""

    async def run(self, sink: Sink) -> None:
        """Connect and tell ``sink`` what comes, until the device is lost.

        Raises:
            FeedError, OSError: why it was lost; any other error is taken likewise.
        """


class LiveParameters(Parameters):
    """Parameters that all live sources have.

    Attributes:
        role: what the device measures; ``net`` takes import > 0, ``battery`` discharge > 0.
        gap: samples at most so far apart tell what was between them [s]; a third of a slot if not given.
        bridge: up to this distance it is estimated [s]; a slot if not given.
        grace: how long a slot's last sample is waited for [s]; must be less than half the delivery deadline.
        integrate: how a power becomes energy; the source's own way if not given.
        width: where the register starts at 0 again [kWh].
        max_kw: what the device can measure at most [kW].
        ahead: how much later than it came a sample may say it was taken [s].
        age: how much earlier [s].
    """

    role: MeterRole = "load"
    gap: float | None = Field(default=None, gt=0)
    bridge: float | None = Field(default=None, gt=0)
    grace: float | None = Field(default=None, ge=0, le=600)
    integrate: Integration | None = None
    width: float | None = Field(default=None, gt=0)
    max_kw: float = Field(default=1000.0, gt=0, le=1e6)
    ahead: float = Field(default=60.0, ge=0)
    age: float = Field(default=86400.0, gt=0)

    @property
    def tells_both(self) -> bool:
        """Whether energy either way is told apart, as by two registers."""
        return False


@dataclass(slots=True)
class _Slot:
    """A slot that was read: its window on the wall clock [s since 1970, UTC], and what was told of it."""

    start_s: float
    end_s: float
    energy: SlotEnergy
    over: bool = False

    @property
    def open(self) -> bool:
        """Whether more may become known of it."""
        return not self.over and (self.energy.energy_kwh is None or self.energy.quality == "estimated")


def both_ways(parts: Sequence[SlotEnergy]) -> SlotEnergy:
    """Energy of a slot, of two directions the first less the second."""
    first, *other = parts
    if not other:
        return first
    if first.energy_kwh is None or other[0].energy_kwh is None:
        unknown = first if first.energy_kwh is None else other[0]
        return SlotEnergy(None, "estimated", 0.0, unknown.reason)
    estimated = "estimated" in (first.quality, other[0].quality)
    return SlotEnergy(
        round(first.energy_kwh - other[0].energy_kwh, 9),
        "estimated" if estimated else "metered",
        first.end_kwh,
        first.reason or other[0].reason,
    )


class LiveSource:
    """Readings of a device that is listened to all the time.

    ``start`` begins to listen; ``read`` may be called from another thread than the event loop's.
    """

    immediate = False

    def __init__(
        self,
        name: str,
        feed: Feed,
        given: LiveParameters,
        *,
        integration: Integration = "trapezoid",
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """Set up to read ``feed``.

        Args:
            name: the source's URL, for people.
            feed: the device.
            given: the source's parameters.
            integration: of a power, where the parameters do not say it.
            now_s: the wall clock [s since 1970, UTC].
        """
        self.roles: frozenset[MeterRole] = frozenset({given.role})
        self._name = name
        self._feed = feed
        self._given = given
        self._now_s = now_s
        self._speed: float | None = None
        rules = Rules(
            feed.kind,
            metered_gap_s=given.gap or 0.0,
            bridged_gap_s=given.bridge or 0.0,
            max_power_kw=given.max_kw,
            register_width_kwh=given.width,
            integration=given.integrate or integration,
        )
        directions = 2 if given.role in SIGNED_ROLES else 1
        if directions == 2 and feed.kind == "register" and not given.tells_both:
            raise InputError(
                f"source {name!r}: role {given.role!r} goes either way, found one register; expected "
                "a power, or the register of the other way too (reverse_path)"
            )
        self._samples = [DeviceSamples(rules, given.ahead, given.age) for _ in range(directions)]
        self._windows = SlotWindows()
        self._live = False
        self._slots: dict[tuple[int, int], _Slot] = {}
        self._news = threading.Condition(threading.RLock())
        self._listener: Listener | None = None
        self._task: asyncio.Task[None] | None = None
        self._trouble = "not there yet"
        self._refusal = ""
        self._heard = 0
        self._complained_s = -COMPLAINTS_EVERY_S
        self._complaints = 0

    def start(self, clock: ClockConfig, listener: Listener | None = None) -> None:
        """Begin to listen; call it with the event loop running.

        Raises:
            InputError: the community's time is not real.
        """
        if clock.simulated:
            raise InputError(
                f'source {self._name!r}: found [clock] kind = "{clock.kind}", expected "real-time" or '
                '"live": a device\'s energy takes its time'
            )
        self._speed, self._listener = clock.speed, listener
        self._live = clock.kind == "live"
        self._have_rules(hours_per_s=clock.speed / 3600.0)
        self._task = asyncio.get_running_loop().create_task(self._listen())

    async def close(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def span_s(self) -> tuple[float, float] | None:
        """Instants of the first and the last sample that is kept [s since 1970, UTC]; None without any."""
        spans = [samples.span_s for samples in self._samples]
        known = [span for span in spans if span is not None]
        if len(known) < len(spans):
            return None
        return max(first for first, _ in known), min(last for _, last in known)

    # -- reading ---------------------------------------------------------------------------------------

    def read(self, session: int, slot: int, horizon: Horizon, role: MeterRole) -> SlotEnergy:
        """Energy of a slot; see ``MeterSource.read``. Waits a little for the sample that closes the slot."""
        if self._speed is None:
            raise ReadingError("the device is not listened to yet")
        asked_s = self._now_s()
        length_s = horizon.slot_minutes * 60.0 / self._speed
        with self._news:
            if self._live:  # slots are when their horizon says
                start_s, end_s = horizon.slot_start(slot).timestamp(), horizon.slot_end(slot).timestamp()
            else:
                start_s, end_s = self._windows.window(session, slot, length_s, asked_s)
            known = self._slots.get((session, slot))
        if known is not None and known.energy.energy_kwh is not None:
            return known.energy
        energy = self._read_window(start_s, end_s, length_s)
        with self._news:
            self._slots[session, slot] = _Slot(start_s, end_s, energy)
            while len(self._slots) > REMEMBERED_SLOTS:
                del self._slots[min(self._slots)]
            self._keep_what_may_be_revised()
        if energy.energy_kwh is None:
            why = self._trouble or self._refusal
            raise ReadingError(f"{energy.reason} ({why})" if why else energy.reason)
        return energy

    def _read_window(self, start_s: float, end_s: float, length_s: float) -> SlotEnergy:
        given = self._given
        grace_s = min(GRACE_S, length_s) if given.grace is None else given.grace
        until_s = max(self._now_s(), end_s) + grace_s
        with self._news:
            while not self._reaches(end_s) and (left_s := until_s - self._now_s()) > 0:
                self._news.wait(left_s)
            return self.energy_between(start_s, end_s, length_s)

    def _reaches(self, instant_s: float) -> bool:
        return all(samples.reaches(instant_s) for samples in self._samples)

    def energy_between(self, start_s: float, end_s: float, slot_s: float) -> SlotEnergy:
        """Energy between two instants [s since 1970, UTC] as it is now; gaps as for slots of ``slot_s``."""
        given = self._given
        with self._news:
            self._have_rules(
                metered_gap_s=given.gap or slot_s / 3.0,
                bridged_gap_s=max(given.gap or 0.0, given.bridge or slot_s),
            )
            energy = both_ways([samples.slot_energy(start_s, end_s) for samples in self._samples])
            notes = [note for samples in self._samples for note in samples.new_notes()]
        for note in dict.fromkeys(notes):
            if note == POWER_BELOW_ZERO and len(self._samples) == 2:
                continue
            _logger.warning("%s: %s", self._name, note)
            self._tell("note", {"note": note})
        return energy

    def _have_rules(self, **changes: float) -> None:
        for samples in self._samples:
            samples.rules = replace(samples.rules, **changes)  # type: ignore[arg-type]

    # -- revising --------------------------------------------------------------------------------------

    def revisions(self) -> list[Revision]:
        """What is known by now of slots that had no energy when they were read, or only an estimated one.

        Each change is told once.
        """
        found: dict[tuple[int, int], SlotEnergy] = {}
        with self._news:
            for key, slot in sorted(self._slots.items()):
                if slot.open:
                    self._revise(key, slot, found)
            self._keep_what_may_be_revised()
        return [
            Revision(session, slot, self._given.role, energy) for (session, slot), energy in found.items()
        ]

    def _revise(self, key: tuple[int, int], slot: _Slot, found: dict[tuple[int, int], SlotEnergy]) -> None:
        told = slot.energy.energy_kwh is not None
        parts = [samples.revised(slot.start_s, slot.end_s, told=told) for samples in self._samples]
        energy = both_ways(parts)
        if energy.energy_kwh is None:
            return
        following = next((each for each in self._slots.items() if each[1].start_s == slot.end_s), None)
        moved_kwh = 0.0
        for sign, samples, part in zip((1.0, -1.0), self._samples, parts, strict=False):
            moved_kwh += sign * samples.settle_edges(slot.start_s, slot.end_s, part)
        if energy.energy_kwh != slot.energy.energy_kwh or energy.quality != slot.energy.quality:
            found[key] = energy
        slot.energy, slot.over = energy, True
        if following is None or not moved_kwh or following[1].energy.energy_kwh is None:
            return
        next_key, next_slot = following
        assert next_slot.energy.energy_kwh is not None, "as was just seen"
        next_kwh = round(next_slot.energy.energy_kwh + moved_kwh, 9)
        next_slot.energy = found[next_key] = replace(next_slot.energy, energy_kwh=next_kwh)

    def _keep_what_may_be_revised(self) -> None:
        for age, (_, slot) in enumerate(sorted(self._slots.items(), reverse=True)):
            slot.over |= age > (OPEN_SLOTS if slot.energy.energy_kwh is None else OPEN_ESTIMATED_SLOTS)
        open_since_s = min((slot.start_s for slot in self._slots.values() if slot.open), default=math.inf)
        for samples in self._samples:
            samples.needed_from_s = open_since_s

    # -- listening: a feed's sink ------------------------------------------------------------------------

    def up(self) -> None:
        """See ``Sink``."""
        if self._trouble:
            self._trouble = ""
            self._tell("up", {})

    def take(
        self, value: float, unit: str, instant: datetime | None = None, *, reverse: bool = False
    ) -> None:
        """See ``Sink``; what cannot be is refused with a reason."""
        now_s = self._now_s()
        instant_s = now_s if instant is None else instant.timestamp()
        try:
            with self._news:
                signed_power = len(self._samples) == 2 and not self._given.tells_both
                converted = self._samples[reverse].take(value, unit, instant_s, now_s)
                if signed_power:
                    self._samples[not reverse].take(-value, unit, instant_s, now_s)
                self._news.notify_all()
        except SampleRefusedError as error:
            self.refuse(str(error))
            return
        self._heard += 1
        self._refusal = ""
        at = datetime.fromtimestamp(instant_s, UTC).isoformat(timespec="milliseconds")
        quantity = "power_kw" if self._samples[0].rules.kind == "power" else "register_kwh"
        way = {"reverse": True} if reverse else {}
        self._tell("sample", {"raw": value, "unit": unit, "instant": at, quantity: converted, **way})

    def refuse(self, reason: str) -> None:
        """See ``Sink``."""
        self._tell("refused", {"reason": reason})
        self._complaints += 1
        now_s = time.monotonic()
        if now_s - self._complained_s >= COMPLAINTS_EVERY_S:
            self._complained_s = now_s
            more = f" ({self._complaints} since the last such line)" if self._complaints > 1 else ""
            _logger.warning("%s: refused: %s%s", self._name, reason, more)
            self._complaints = 0
        self._refusal = f"refused: {reason}"

    async def _listen(self) -> None:
        retry_s, said = FIRST_RETRY_S, ""
        while True:
            heard = self._heard
            try:
                await self._feed.run(self)
                reason = "the device ended it"
            except Exception as error:  # a feed is anybody's code, and its failure an outage
                known = isinstance(error, PeerwattError)
                reason = str(error) if known else f"{type(error).__name__}: {error}"
            if reason != said or self._heard > heard:
                said = reason
                _logger.warning("%s: lost: %s", self._name, reason)
            self._trouble = reason
            self._tell("down", {"reason": reason})
            if self._heard > heard:
                retry_s = FIRST_RETRY_S
            await asyncio.sleep(retry_s * random.uniform(0.75, 1.25))
            retry_s = min(2.0 * retry_s, LAST_RETRY_S)

    def _tell(self, event: Event, detail: dict[str, Any]) -> None:
        if self._listener is not None:
            self._listener(event, detail)
