import importlib.metadata
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meter_setup import ARRAY, meter_config

from agents.building import series_of
from agents.meters.source import (
    ReadingError,
    open_source,
    parse_source_url,
    roles_to_measure,
)
from runtime.errors import InputError


def readings(source, meter, order=None):
    wanted = [
        (session, slot, role)
        for session, config in enumerate(meter.sessions)
        for slot in range(config.horizon.slots)
        for role in meter.roles
    ]
    if order is not None:
        random.Random(order).shuffle(wanted)
    return {
        (session, slot, role): source.read(session, slot, meter.sessions[session].horizon, role)
        for session, slot, role in wanted
    }


def test_without_noise_the_series_itself_is_played():
    meter = meter_config()
    played = readings(open_source("simulated:", meter), meter)
    for session, config in enumerate(meter.sessions):
        load_kwh, pv_kwh = series_of(config, ARRAY)
        for slot in range(4):
            assert played[session, slot, "load"] == load_kwh[slot]
            assert played[session, slot, "pv"] == pv_kwh[slot]
    assert played[0, 3, "load"] != played[1, 3, "load"]
    assert played[0, 3, "pv"] > 0


@given(
    noise=st.floats(0, 10),
    seed=st.integers(0, 2**53),
    scale=st.floats(0, 1000),
    load_kwh=st.lists(st.floats(0, 1000), min_size=1, max_size=8),
    order=st.integers(),
)
@settings(max_examples=60, deadline=None)
def test_noise_is_the_same_in_any_order_and_after_a_restart_and_never_negative(
    noise, seed, scale, load_kwh, order
):
    meter = meter_config(load_kwh=load_kwh)
    url = f"simulated:?noise={noise}&seed={seed}&scale={scale}"
    first = readings(open_source(url, meter), meter)
    again = readings(open_source(url, meter), meter, order)
    assert first == again
    assert all(math.isfinite(value) and value >= 0 for value in first.values())


def test_noise_has_the_standard_deviation_asked_for_and_differs_by_slot_session_role_and_seed():
    meter = meter_config(load_kwh=[1.0] * 500, pv=None, noise=0.05, seed=3)
    source = open_source("simulated:", meter)
    first = [source.read(0, slot, meter.sessions[0].horizon, "load") for slot in range(500)]
    mean = sum(first) / 500
    deviation = math.sqrt(sum((value - mean) ** 2 for value in first) / 499)
    assert abs(mean - 1) < 4 * 0.05 / math.sqrt(500)
    assert abs(deviation - 0.05) < 0.05 * 0.15
    assert len(set(first)) == 500
    second = [source.read(1, slot, meter.sessions[1].horizon, "load") / 11.0 for slot in range(500)]
    other = open_source("simulated:?seed=4", meter)
    third = [other.read(0, slot, meter.sessions[0].horizon, "load") for slot in range(500)]
    assert first != pytest.approx(second, abs=1e-6)
    assert first != pytest.approx(third, abs=1e-6)


def test_parameters_override_the_meters_own_noise_and_scale_the_series():
    meter = meter_config(noise=0.5, seed=1)
    source = open_source("simulated:?noise=0&scale=1.5", meter)
    assert source.read(0, 1, meter.sessions[0].horizon, "load") == 3.0


def test_slots_that_the_scenario_does_not_have_have_no_reading():
    meter = meter_config()
    source = open_source("simulated:", meter)
    for session, slot in ((2, 0), (0, 4)):
        with pytest.raises(ReadingError, match=f"no slot {slot} of session {session}"):
            source.read(session, slot, meter.sessions[0].horizon, "load")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "expected a URL"),
        ("load.csv", "expected a URL"),
        ("modbus:1", "found the kind .modbus., expected one of csv:, http:"),
        ("simulated:load", "found 'load' after 'simulated:'"),
        ("simulated:?noise=loud", "noise: .*found 'loud'"),
        ("simulated:?noise=-1", "noise: .*found '-1'"),
        ("simulated:?noise=nan", "noise: .*found 'nan'"),
        ("simulated:?volume=2", "volume: found a parameter .*it has: noise, seed, scale"),
        ("simulated:?noise=1&noise=2", "found 'noise' twice"),
        ("simulated:?noise", "expected name=value"),
    ],
)
def test_bad_sources_are_named_with_what_was_expected(url, message):
    with pytest.raises(InputError, match=message):
        open_source(url, meter_config())


def test_paths_and_values_of_a_url_may_hold_any_character():
    url = parse_source_url("CSV:/data/my%3Ffile%25.csv?load=P%2B%20total&separator=%09")
    assert (url.scheme, url.path) == ("csv", "/data/my?file%.csv")
    assert url.parameters == {"load": "P+ total", "separator": "\t"}


def test_roles_are_those_of_member_and_source_unless_some_are_asked_for():
    meter = meter_config()
    source = open_source("simulated:", meter)
    assert roles_to_measure(source, "simulated:", meter) == ["load", "pv"]
    assert roles_to_measure(source, "simulated:", meter, ["pv"]) == ["pv"]
    house = meter_config(roles=["load"])
    assert roles_to_measure(source, "simulated:", house) == ["load"]
    with pytest.raises(InputError, match="role 'pv': school has load"):
        roles_to_measure(source, "simulated:", house, ["pv"])
    only_load = open_source("simulated:", house)
    with pytest.raises(InputError, match="role 'pv': source 'simulated:' measures load"):
        roles_to_measure(only_load, "simulated:", meter, ["pv"])
    with pytest.raises(InputError, match="but school has pv and net to be metered"):
        roles_to_measure(only_load, "simulated:", meter_config(roles=["pv"]))


def test_an_installed_package_can_add_a_source(tmp_path, monkeypatch):
    (tmp_path / "counting_meter.py").write_text(
        "class Source:\n"
        "    roles, immediate = frozenset({'load'}), False\n"
        "    def read(self, session, slot, horizon, role):\n"
        "        return 7.0\n"
        "def open_it(url, meter):\n"
        "    assert (url.path, meter.member) == ('device-3', 'school')\n"
        "    return Source()\n"
    )
    info = tmp_path / "counting_meter-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counting-meter\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[peerwatt.meter_sources]\ncounting = counting_meter:open_it\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    source = open_source("counting:device-3", meter_config())
    assert source.read(0, 0, None, "load") == 7.0
    with pytest.raises(InputError, match="expected one of counting:, csv:, http:"):
        open_source("other:", meter_config())


def test_drift_grows_with_the_days_and_is_in_every_reading():
    meter = meter_config(pv=None, roles=["load"])
    drifting = readings(open_source("simulated:?drift=0.24", meter), meter)
    exact = readings(open_source("simulated:", meter), meter)
    for (session, slot, role), energy_kwh in drifting.items():
        hours = 24 * session + slot
        assert energy_kwh == pytest.approx(exact[session, slot, role] * (1 + 0.01 * hours))


def missing(source, meter):
    gone = set()
    for session, config in enumerate(meter.sessions):
        for slot in range(config.horizon.slots):
            try:
                source.read(session, slot, config.horizon, "load")
            except ReadingError as error:
                gone.add((session, slot, str(error)))
    return gone


def test_gaps_are_as_frequent_as_asked_for_and_the_same_after_a_restart():
    meter = meter_config(load_kwh=[1.0] * 400, pv=None, roles=["load"], sessions=1)
    gaps = missing(open_source("simulated:?gap=0.2&seed=5", meter), meter)
    assert 50 < len(gaps) < 110
    assert gaps == missing(open_source("simulated:?gap=0.2&seed=5", meter), meter)
    assert gaps != missing(open_source("simulated:?gap=0.2&seed=6", meter), meter)
    assert missing(open_source("simulated:?gap=1", meter), meter) == {
        (0, slot, f"simulated gap in slot {slot} of session 0") for slot in range(400)
    }


@pytest.mark.parametrize(
    ("outage", "slots"),
    [("01:00-03:00", {1, 2}), ("01:30-02:00", {1}), ("23:00-00:30", {0, 23}), ("02:59-03:00", {2})],
)
def test_an_outage_takes_every_slot_it_touches_every_day(outage, slots):
    meter = meter_config(load_kwh=[1.0] * 24, pv=None, roles=["load"])
    gone = missing(open_source(f"simulated:?outage={outage}", meter), meter)
    assert {(session, slot) for session, slot, _ in gone} == {(day, slot) for day in (0, 1) for slot in slots}
    assert all(f"simulated outage {outage}" in reason for _, _, reason in gone)


@pytest.mark.parametrize("parameter", ["outage=1:00-2:00", "outage=25:00-26:00", "gap=1.5", "drift=2"])
def test_faults_that_cannot_be_simulated_are_refused(parameter):
    with pytest.raises(InputError, match=parameter.partition("=")[0]):
        open_source(f"simulated:?{parameter}", meter_config())
