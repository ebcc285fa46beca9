"""Live sources with a feed of the test's own: waiting, outages, what comes of them."""

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta

import pytest
from meter_setup import horizon, meter_config, reading_request

from agents.meters import live
from agents.meters.answers import take_reading
from agents.meters.live import FeedError, LiveParameters, LiveSource
from agents.meters.source import BackgroundSource, ReadingError, open_source
from runtime.configuration import ClockConfig
from runtime.errors import InputError
from runtime.protocol.bodies import Reading, Reason

SPEED = 3600.0  # an hour in a second
HOURS = horizon(slots=4)


class Feed:
    """A device that a test plays; it is lost when told so."""

    def __init__(self, kind="register"):
        self.kind = kind
        self.sink = None
        self.runs = 0
        self.lost = asyncio.Event()
        self.error = FeedError("cable cut")

    async def run(self, sink):
        self.runs += 1
        self.sink = sink
        sink.up()
        await self.lost.wait()
        raise self.error


async def started(feed, speed=SPEED, listener=None, now_s=time.time, **parameters):
    source = LiveSource("test:", feed, LiveParameters(**parameters), now_s=now_s)
    source.start(ClockConfig(kind="real-time", speed=speed), listener)
    while feed.sink is None:
        await asyncio.sleep(0.001)
    return source


def ask(source, slot, session=0):
    request = reading_request(session, slot, ["load"], HOURS)
    return asyncio.to_thread(take_reading, source, ["load"], [HOURS, HOURS], request)


def test_a_live_source_is_a_background_source_and_an_immediate_one_is_not():
    assert isinstance(LiveSource("test:", Feed(), LiveParameters()), BackgroundSource)
    assert not isinstance(open_source("simulated:", meter_config()), BackgroundSource)


async def test_a_community_in_simulated_time_cannot_have_a_live_meter():
    source = LiveSource("test:", Feed(), LiveParameters())
    with pytest.raises(ReadingError, match="not listened to yet"):
        source.read(0, 0, HOURS, "load")
    with pytest.raises(InputError, match=r'found .clock. kind = "simulated", expected "real-time"'):
        source.start(ClockConfig())


class Watch:
    """A wall clock that a test sets; knows how often it was looked at."""

    def __init__(self):
        self.seconds = 0.0
        self.looked = 0

    def __call__(self):
        self.looked += 1
        return 1_700_000_000.0 + self.seconds


async def test_readings_of_slots_in_a_row_add_up_to_the_register_over_a_late_sample():
    feed, watch = Feed(), Watch()
    source = await started(feed, now_s=watch, grace=0.4)

    def tell_at(seconds):
        watch.seconds = seconds
        feed.sink.take(100.0 + 1.25 * seconds, "kWh")

    readings = []
    for slot in range(3):
        for tenth in range(2 if slot else 0, 10):
            tell_at(slot + tenth / 10)
        watch.seconds, watch.looked = slot + 1.0, 0
        asked = asyncio.create_task(ask(source, slot))
        async with asyncio.timeout(20):
            while watch.looked < 3:  # when it is asked, until when it waits, how long that is
                await asyncio.sleep(0.01)
        assert not asked.done()
        tell_at(slot + 1.1)  # closes the slot
        readings.append(await asked)
    await source.close()
    assert all(isinstance(reading, Reading) for reading in readings)
    assert [reading.quality for reading in readings] == ["metered"] * 3
    assert [reading.e[0].v for reading in readings] == pytest.approx([1.25] * 3, abs=1e-6)


async def test_the_sample_that_closes_a_slot_is_waited_for_as_long_as_the_grace():
    feed = Feed()
    source = await started(feed, grace=0.3, gap=5)
    feed.sink.take(5.0, "kWh", datetime.now(UTC) - timedelta(seconds=2))
    began = time.monotonic()
    reading = await ask(source, 0)
    assert 0.25 < time.monotonic() - began < 2.0
    assert isinstance(reading, Reading)
    await source.close()


async def test_a_slot_that_a_sample_closes_is_not_waited_for_any_longer():
    feed = Feed()
    source = await started(feed, grace=20.0, gap=5)
    feed.sink.take(5.0, "kWh", datetime.now(UTC) - timedelta(seconds=2))
    began = time.monotonic()
    asked = ask(source, 0)
    asyncio.get_running_loop().call_later(0.05, feed.sink.take, 6.0, "kWh")
    assert isinstance(await asked, Reading)
    assert time.monotonic() - began < 10
    await source.close()


async def test_a_slot_asked_for_again_is_told_the_same_though_more_is_known_by_then():
    feed = Feed()
    source = await started(feed, grace=0.0, gap=5)
    feed.sink.take(5.0, "kWh", datetime.now(UTC) - timedelta(seconds=2))
    first = await ask(source, 0)
    feed.sink.take(9.0, "kWh")
    assert await ask(source, 0) == first
    await source.close()


async def test_an_outage_is_slots_without_a_value_with_the_reason_and_the_device_is_looked_for_again(
    monkeypatch, caplog
):
    monkeypatch.setattr(live, "FIRST_RETRY_S", 0.05)
    events = []
    feed = Feed()
    with caplog.at_level(logging.WARNING):
        source = await started(feed, speed=36000, grace=0.0, listener=lambda name, _: events.append(name))
        feed.sink.take(5.0, "kWh")
        feed.error = RuntimeError("no such thing")
        feed.lost.set()
        await asyncio.sleep(0.3)
        async with asyncio.timeout(5):
            while feed.runs < 2:
                await asyncio.sleep(0.01)
        answer = await ask(source, 0)
        assert isinstance(answer, Reason)
        assert answer.reason == "load: no sample of it (RuntimeError: no such thing)"
        runs = feed.runs
        assert 2 <= runs <= 5  # after 0.05, 0.1, 0.2 s, more or less
        feed.lost.clear()
        async with asyncio.timeout(5):
            while feed.runs == runs:
                await asyncio.sleep(0.01)
        for kwh in (7.0, 7.5, 8.0, 8.5):
            feed.sink.take(kwh, "kWh")
            await asyncio.sleep(0.05)
        feed.sink.take(9.0, "kWh")
        window = source._windows
        window.window(1, 0, 0.1, time.time() - 0.05)
        reading = await ask(source, 1, session=1)
    await source.close()
    assert isinstance(reading, Reading)
    assert 0 < reading.e[0].v < 2.5
    assert events.count("down") == runs
    assert sum("lost" in record.message for record in caplog.records) == 1  # the same reason is said once


async def test_what_is_refused_is_told_and_logged_now_and_then(caplog):
    events = []
    feed = Feed()
    with caplog.at_level(logging.WARNING):
        source = await started(feed, listener=lambda *event: events.append(event), grace=0.0)
        for _ in range(50):
            feed.sink.take(float("nan"), "kWh")
        feed.sink.take(1.0, "kWh", datetime(1970, 1, 1, tzinfo=UTC))
        feed.sink.take(1.0, "W")
        answer = await ask(source, 0)
    await source.close()
    refused = [detail["reason"] for name, detail in events if name == "refused"]
    assert len(refused) == 52
    assert "1970-01-01" in refused[50]
    assert "a power, expected a register" in refused[51]
    assert sum("refused: found nan" in record.message for record in caplog.records) == 1
    assert answer.reason == f"load: no sample of it (refused: {refused[51]})"


async def test_power_is_energy_of_the_communitys_hours():
    feed = Feed("power")
    source = await started(feed, grace=0.0, bridge=10, gap=10)
    now = datetime.now(UTC)
    for tenth in range(16):
        feed.sink.take(1500.0, "W", now - timedelta(seconds=1.5) + timedelta(seconds=tenth / 10))
    reading = await ask(source, 0)
    await source.close()
    assert reading.e[0].v == pytest.approx(1.5, abs=1e-6)


async def test_a_replaced_meter_is_noted_once_and_the_slot_estimated(caplog):
    feed = Feed()
    with caplog.at_level(logging.WARNING):
        source = await started(feed, grace=0.0, gap=10, bridge=10, max_kw=1)
        now = datetime.now(UTC)
        for second, kwh in ((-2.0, 500.0), (-0.6, 500.2), (-0.3, 0.0), (0.0, 0.1)):
            feed.sink.take(kwh, "kWh", now + timedelta(seconds=second))
        reading = await ask(source, 0)
    await source.close()
    assert reading.quality == "estimated"
    assert 0.1 <= reading.e[0].v < 0.3
    assert sum("replaced" in record.message for record in caplog.records) == 1
