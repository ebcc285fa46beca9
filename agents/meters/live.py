"""Sources that go on by themselves: a background task gathers a device's samples, a slot is read from them.

A *feed* talks to one kind of device and hands what it hears to a *sink*; it ends with an error when it has
lost the device, and is run again after a while. So a module for a device is a feed and its parameters; what
energy a slot has, outages, odd samples and their reasons are the same for all.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from pydantic import Field

from agents.meters.energy import Integration, Kind, Rules, SlotEnergy
from agents.meters.samples import DeviceSamples, SampleRefusedError
from agents.meters.source import Parameters, ReadingError
from agents.meters.windows import SlotWindows
from runtime.configuration import ClockConfig, MeterRole
from runtime.errors import InputError, PeerwattError
from runtime.horizon import Horizon

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0
"""How long after an outage a device is looked for again: twice as long each time, ± a quarter."""

GRACE_S = 12.0
"""How long a slot's last sample is waited for, or the slot's length if that is less."""

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

    def take(self, value: float, unit: str, instant: datetime | None = None) -> None:
        """A value and its unit, and when it was so; None: just now."""

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
        role: what the device measures.
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
        self._samples = DeviceSamples(rules, given.ahead, given.age)
        self._windows = SlotWindows()
        self._told: dict[tuple[int, int], SlotEnergy] = {}
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
        if clock.kind != "real-time":
            raise InputError(
                f'source {self._name!r}: found [clock] kind = "{clock.kind}", expected "real-time": '
                "a device's energy takes its time"
            )
        self._speed, self._listener = clock.speed, listener
        self._samples.rules = replace(self._samples.rules, hours_per_s=clock.speed / 3600.0)
        self._task = asyncio.get_running_loop().create_task(self._listen())

    async def close(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def span_s(self) -> tuple[float, float] | None:
        """Instants of the first and the last sample that is kept [s since 1970, UTC]; None without any."""
        return self._samples.span_s

    # -- reading ---------------------------------------------------------------------------------------

    def read(self, session: int, slot: int, horizon: Horizon, role: MeterRole) -> SlotEnergy:
        """Energy of a slot; see ``MeterSource.read``. Waits a little for the sample that closes the slot."""
        if self._speed is None:
            raise ReadingError("the device is not listened to yet")
        asked_s = self._now_s()
        length_s = horizon.slot_minutes * 60.0 / self._speed
        with self._news:
            start_s, end_s = self._windows.window(session, slot, length_s, asked_s)
            told = self._told.get((session, slot))
        energy = told or self._read_window(start_s, end_s, length_s)
        if energy.energy_kwh is None:
            why = self._trouble or self._refusal
            raise ReadingError(f"{energy.reason} ({why})" if why else energy.reason)
        self._told[session, slot] = energy
        while len(self._told) > 1000:
            del self._told[min(self._told)]
        return energy

    def _read_window(self, start_s: float, end_s: float, length_s: float) -> SlotEnergy:
        given = self._given
        grace_s = min(GRACE_S, length_s) if given.grace is None else given.grace
        until_s = max(self._now_s(), end_s) + grace_s
        with self._news:
            while not self._samples.reaches(end_s) and (left_s := until_s - self._now_s()) > 0:
                self._news.wait(left_s)
            return self.energy_between(start_s, end_s, length_s)

    def energy_between(self, start_s: float, end_s: float, slot_s: float) -> SlotEnergy:
        """Energy between two instants [s since 1970, UTC] as it is now; gaps as for slots of ``slot_s``."""
        given = self._given
        with self._news:
            self._samples.rules = replace(
                self._samples.rules,
                metered_gap_s=given.gap or slot_s / 3.0,
                bridged_gap_s=max(given.gap or 0.0, given.bridge or slot_s),
            )
            energy = self._samples.slot_energy(start_s, end_s)
            notes = self._samples.new_notes()
        for note in notes:
            _logger.warning("%s: %s", self._name, note)
            self._tell("note", {"note": note})
        return energy

    # -- listening: a feed's sink ------------------------------------------------------------------------

    def up(self) -> None:
        """See ``Sink``."""
        if self._trouble:
            self._trouble = ""
            self._tell("up", {})

    def take(self, value: float, unit: str, instant: datetime | None = None) -> None:
        """See ``Sink``; what cannot be is refused with a reason."""
        now_s = self._now_s()
        instant_s = now_s if instant is None else instant.timestamp()
        try:
            with self._news:
                converted = self._samples.take(value, unit, instant_s, now_s)
                self._news.notify_all()
        except SampleRefusedError as error:
            self.refuse(str(error))
            return
        self._heard += 1
        self._refusal = ""
        at = datetime.fromtimestamp(instant_s, UTC).isoformat(timespec="milliseconds")
        quantity = "power_kw" if self._samples.rules.kind == "power" else "register_kwh"
        self._tell("sample", {"raw": value, "unit": unit, "instant": at, quantity: converted})

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
