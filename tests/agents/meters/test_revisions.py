"""What a meter knows later of a slot: told once, in whole steps that add up to what the register counted."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from meter_setup import OWN, PROSUMER, horizon, meter_config, reading_request, to_meter
from telegrams import p1_of

from agents.meters.answers import BODIES
from agents.meters.devices.figures import FigureParameters, figure_of
from agents.meters.energy import Rules
from agents.meters.live import LiveParameters, LiveSource
from agents.meters.machine import LOOK_AGAIN, MeterMachine
from agents.meters.samples import DeviceSamples
from agents.meters.source import ReadingError, open_source, parse_source_url
from runtime.configuration import ClockConfig
from runtime.errors import InputError
from runtime.protocol.bodies import Acknowledged, Reading, ReadingCorrection, Reason, parse_body
from runtime.protocol.envelope import Performative
from runtime.protocol.machine import Compute, Send, StartTimer

DAY = horizon(slots=12)
HOUR_S = 4.0
"""A slot's hour on the wall clock, at a speed of 900; quarters of it are exact in floating point."""
NOON_S = 1_700_000_000.0


class Clock:
    def __init__(self):
        self.now_s = NOON_S

    def __call__(self):
        return self.now_s


class Feed:
    def __init__(self, kind="register"):
        self.kind = kind

    async def run(self, sink):
        raise OSError("never there by itself")


def source_of(clock, kind="register", **parameters):
    told = TwoRegisters if parameters.get("role") == "net" and kind == "register" else LiveParameters
    source = LiveSource("test:", Feed(kind), told(grace=0, **parameters), now_s=clock)
    source._speed = 900.0
    source._have_rules(hours_per_s=900.0 / 3600.0)
    return source


class TwoRegisters(LiveParameters):
    @property
    def tells_both(self):
        return True


class Played:
    """A device told sample by sample, and slots read as they pass."""

    def __init__(self, kind="register", **parameters):
        self.clock = Clock()
        self.source = source_of(self.clock, kind, **parameters)

    def tell(self, hours, value, unit="kWh", received=None, **way):
        self.clock.now_s = NOON_S + HOUR_S * (hours if received is None else received)
        at = datetime.fromtimestamp(NOON_S + HOUR_S * hours, UTC)
        self.source.take(value, unit, at, **way)

    def read(self, slot, role="load"):
        self.clock.now_s = NOON_S + HOUR_S * (slot + 1)
        try:
            energy = self.source.read(0, slot, DAY, role)
        except ReadingError:
            return None
        return energy.energy_kwh, energy.quality


def exact(energies):
    return sum((Decimal(repr(energy)) for energy in energies), Decimal(0))


def test_a_register_that_is_heard_again_tells_the_whole_gap_and_the_slots_add_up_to_the_last_digit():
    device = Played()
    told = {}
    register = 1000.0
    for quarter in range(4 * 10 + 1):
        hours = quarter / 4
        if quarter and quarter % 4 == 0:
            told[quarter // 4 - 1] = None
        if not 8 < quarter < 27:
            device.tell(hours, round(register, 3))
        if quarter and quarter % 4 == 0:
            told[quarter // 4 - 1] = device.read(quarter // 4 - 1)
        register += 0.137 + 0.011 * (quarter % 7)
    unknown = [slot for slot, energy in told.items() if energy is None]
    assert unknown == [3, 4, 5, 6] or unknown == [2, 3, 4, 5, 6]
    revised = {each.slot: each.energy for each in device.source.revisions()}
    assert set(unknown) <= set(revised)
    assert {energy.quality for energy in revised.values()} == {"estimated"}
    final = {slot: energy[0] for slot, energy in told.items() if energy is not None}
    final |= {slot: energy.energy_kwh for slot, energy in revised.items()}
    first, last = 1000.0, None
    register = 1000.0
    for quarter in range(41):
        last = round(register, 3)
        register += 0.137 + 0.011 * (quarter % 7)
    assert exact(final.values()) == Decimal(repr(last)) - Decimal(repr(first))
    assert device.source.revisions() == []


def test_a_device_that_kept_what_it_measured_corrects_the_slots_for_sure():
    device = Played(kind="power")
    for tenth in range(11):
        device.tell(tenth / 10, 2.0, "kW")
    assert device.read(0) == (pytest.approx(2.0, abs=1e-6), "metered")
    assert device.read(1)[1] == "estimated"
    assert device.read(2) is None
    for tenth in range(11, 41):  # it comes back, and tells what it measured meanwhile
        device.tell(tenth / 10, 5.0, "kW", received=4.0)
    assert device.read(3) == (pytest.approx(5.0), "metered")
    revised = {each.slot: each.energy for each in device.source.revisions()}
    assert revised[1].energy_kwh == pytest.approx(4.85)
    assert revised[2].energy_kwh == pytest.approx(5.0)
    assert {energy.quality for energy in revised.values()} == {"metered"}


def test_a_power_that_nobody_told_stays_unknown():
    device = Played(kind="power")
    device.tell(0.5, 2.0, "kW")
    device.tell(1.0, 2.0, "kW")
    assert device.read(3) is None
    for tenth in range(70, 81):
        device.tell(tenth / 10, 2.0, "kW")
    device.read(7)
    assert [each.slot for each in device.source.revisions()] == []


def test_signed_power_counts_either_way():
    device = Played(kind="power", role="net")
    for tenth in range(11):
        device.tell(tenth / 10, 3.0 if tenth <= 5 else -1.0, "kW")
    energy, quality = device.read(0, "net")
    assert quality == "metered"
    assert energy == pytest.approx(0.5 * 3 + 0.1 * 0.5 * 3 - 0.4 * 1.0 - 0.1 * 0.5 * 1.0, abs=1e-6)


def test_two_registers_make_a_signed_energy_and_one_alone_none():
    device = Played(role="net")
    for tenth in range(11):
        device.tell(tenth / 10, 100 + tenth * 0.05)
    assert device.read(0, "net") is None
    device = Played(role="net")
    for tenth in range(11):
        device.tell(tenth / 10, 100 + tenth * 0.05)
        device.tell(tenth / 10, 200 + tenth * 0.2, reverse=True)
    assert device.read(0, "net") == (pytest.approx(-1.5, abs=1e-6), "metered")


def test_samples_are_kept_as_long_as_a_slot_may_be_revised():
    samples = DeviceSamples(Rules("register", 1.0, 10.0), 60.0, 86400.0)
    for second in range(100):
        samples.take(float(second), "kWh", NOON_S + second, NOON_S + second)
    samples.needed_from_s = NOON_S + 20
    samples.slot_energy(NOON_S + 80, NOON_S + 90)
    assert samples.span_s == (NOON_S + 20, NOON_S + 99)
    samples.needed_from_s = float("inf")
    samples.slot_energy(NOON_S + 90, NOON_S + 99)
    assert samples.span_s[0] > NOON_S + 20


class LateSource:
    """Has nothing of slot 0 until it is asked for what it knows by now."""

    roles = frozenset({"load", "pv"})
    immediate = False

    def __init__(self, revisions=()):
        self._revisions = list(revisions)

    def read(self, session, slot, horizon, role):
        if role == "pv":
            raise ReadingError("no sun meter today")
        return 1.0

    def revisions(self):
        found, self._revisions = self._revisions, []
        return found


def meter_with(source):
    return MeterMachine(OWN, PROSUMER, source, ["load", "pv"], [DAY])


def jobs(effects):
    return [effect for effect in effects if isinstance(effect, Compute)]


def sent(effects):
    return [parse_body(e.envelope.body) for e in effects if isinstance(e, Send)]


def late_meter():
    from agents.meters.energy import SlotEnergy
    from agents.meters.source import Revision

    return meter_with(LateSource([Revision(0, 0, "load", SlotEnergy(2.5, "metered", 0.0))]))


def asked(machine, slot=1):
    request = reading_request(0, slot, ["load", "pv"], DAY)
    return machine.receive(to_meter(request), request)


def test_a_meter_tells_what_it_has_names_what_it_has_not_and_corrects_what_it_knows_by_now():
    machine = late_meter()
    (job,) = jobs(asked(machine))
    effects = machine.computed(job.name, job.work())
    reading, correction = sent(effects)
    assert isinstance(reading, Reading)
    assert reading.energies_kwh == {"load": 1.0}
    assert reading.without == {"pv": "no sun meter today"}
    assert isinstance(correction, ReadingCorrection)
    assert (correction.slot, correction.energies_kwh) == (0, {"load": 2.5})
    assert correction.bt == DAY.slot_start(0).timestamp()
    (told,) = [e.envelope for e in effects if isinstance(e, Send) and "correction" in e.envelope.body]
    done = Acknowledged()
    machine.receive(
        to_meter(done, performative=Performative.CONFIRM, in_reply_to=told.message_id, message_id="18"), done
    )


def test_a_replay_takes_what_the_source_told_from_the_log():
    first = late_meter()
    (job,) = jobs(asked(first))
    kept = BODIES.written(job.work())
    effects = first.computed(job.name, BODIES.read(kept))

    again = meter_with(LateSource())  # started anew, it knows nothing of what it told
    (job,) = jobs(asked(again))
    assert job.kept is BODIES
    assert again.computed(job.name, job.kept.read(kept)) == effects


def test_a_meter_without_a_sure_reading_looks_again_less_and_less_often():
    machine = meter_with(LateSource())

    class Without(LateSource):
        def read(self, session, slot, horizon, role):
            raise ReadingError("cable cut")

    machine = meter_with(Without())
    (job,) = jobs(asked(machine))
    effects = machine.computed(job.name, job.work())
    assert isinstance(sent(effects)[0], Reason)
    waits = []
    for _ in range(9):
        (timer,) = [effect for effect in effects if isinstance(effect, StartTimer)]
        assert timer.name == LOOK_AGAIN
        waits.append(timer.seconds)
        (job,) = jobs(machine.timer(LOOK_AGAIN))
        effects = machine.computed(job.name, job.work())
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_live_source_cannot_be_started_for_simulated_time_and_knows_its_roles():
    source = LiveSource("test:", Feed("power"), LiveParameters(role="battery"))
    assert source.roles == {"battery"}
    with pytest.raises(Exception, match="real-time"):
        source.start(ClockConfig())


def test_one_register_cannot_tell_what_goes_either_way():
    with pytest.raises(InputError, match="role 'net' goes either way, found one register"):
        LiveSource("test:", Feed(), LiveParameters(role="net"))


async def test_p1_telegrams_and_json_tell_either_way(monkeypatch):
    heard = []

    class Sink:
        def take(self, value, unit, instant=None, *, reverse=False):
            heard.append((value, unit, reverse))

        def refuse(self, reason):
            raise AssertionError(reason)

    given = FigureParameters(role="net", path="in", reverse_path="out", unit="kWh")
    figure = figure_of(parse_source_url("http://h?x=1"), given, {}, "")
    figure.tell(Sink(), b'{"in": 5.5, "out": 2.25}')
    assert heard == [(5.5, "kWh", False), (2.25, "kWh", True)]
    source = open_source("p1://127.0.0.1:9?role=net", meter_config())
    decoder = source._feed.decoder()
    telegram = p1_of(12.5, 0.5, "1-0:2.8.1(000003.250*kWh)", "1-0:2.8.2(000000.000*kWh)")
    assert [(each.value, each.reverse) for each in decoder.take(telegram)] == [(13.0, False), (3.25, True)]
    with pytest.raises(InputError, match="of both"):
        open_source("p1://127.0.0.1:9?role=net&direction=import", meter_config())
