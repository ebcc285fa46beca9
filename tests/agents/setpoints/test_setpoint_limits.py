"""What is written to a battery keeps its limits and its ramp, whatever is wanted; registers likewise."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.meters.devices.sunspec import SunSpecError
from agents.setpoints.devices.storage_model import revert_s, setting_of
from agents.setpoints.limits import next_step_kw, within_limits_kw
from runtime.devices import Battery
from runtime.setpoints import SetpointTable

POWERS = st.floats(-1e6, 1e6)
LIMITS = st.floats(0, 1e6)


@given(POWERS, LIMITS, LIMITS)
def test_a_power_is_kept_within_the_limits_and_else_as_it_is(power_kw, max_charge_kw, max_discharge_kw):
    written_kw = within_limits_kw(power_kw, max_charge_kw, max_discharge_kw)
    assert -max_charge_kw <= written_kw <= max_discharge_kw
    if -max_charge_kw <= power_kw <= max_discharge_kw:
        assert written_kw == power_kw
    else:
        assert written_kw in (-max_charge_kw, max_discharge_kw)
    assert written_kw * power_kw >= 0  # never the other way


@given(POWERS, POWERS, st.floats(1e-3, 1e3))
def test_a_ramp_goes_towards_its_aim_by_no_more_than_a_step(last_kw, aim_kw, step_kw):
    next_kw = next_step_kw(last_kw, aim_kw, step_kw)
    assert abs(next_kw - last_kw) <= step_kw * (1 + 1e-9) + 1e-9
    assert min(last_kw, aim_kw) <= next_kw <= max(last_kw, aim_kw)
    assert next_kw == aim_kw or abs(aim_kw - next_kw) < abs(aim_kw - last_kw)
    assert next_step_kw(last_kw, aim_kw, None) == aim_kw


def registers(max_w=5000, max_sf=0, rate_sf=-2, **changes):
    """Model 124 of a device, from its id on."""
    words = [124, 24, max_w, 10, 10, 0, 0xFFFF, 0xFFFF, 5000, *[0xFFFF] * 3]
    words += [10000, 10000, 0, 0, 0xFFFF, 0, *(max_sf & 0xFFFF, 0, 0, 0, 0xFFFE, 0, 0, rate_sf & 0xFFFF)]
    for offset, word in changes.items():
        words[int(offset.removeprefix("at_"))] = word & 0xFFFF
    return words


def signed(word):
    return struct.unpack(">h", struct.pack(">H", word))[0]


@given(st.floats(-20, 20), st.integers(1, 60000), st.integers(-2, 1), st.integers(-2, 0))
def test_registers_come_to_the_power_wanted_and_never_to_more(power_kw, max_w, max_sf, rate_sf):
    setting = setting_of(registers(max_w, max_sf, rate_sf), power_kw)
    max_kw = max_w * 10.0**max_sf / 1000
    step_kw = max_kw * 10.0**rate_sf / 100
    assert signed(setting.in_w_rte) == -signed(setting.out_w_rte)
    told_kw = signed(setting.out_w_rte) * step_kw
    assert setting.power_kw == pytest.approx(told_kw, abs=1e-9)
    assert abs(setting.power_kw) <= min(abs(power_kw), max_kw) * (1 + 1e-9)
    assert abs(setting.power_kw) >= min(abs(power_kw), max_kw) - step_kw * (1 + 1e-6)
    assert setting.power_kw * power_kw >= 0


def test_charging_is_a_discharge_limit_below_zero():
    setting = setting_of(registers(), -2.5)
    assert (signed(setting.in_w_rte), signed(setting.out_w_rte)) == (5000, -5000)
    setting = setting_of(registers(), 1.0)
    assert (signed(setting.in_w_rte), signed(setting.out_w_rte)) == (-2000, 2000)
    setting = setting_of(registers(), 0.0)
    assert (setting.in_w_rte, setting.out_w_rte, setting.power_kw) == (0, 0, 0.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (registers(at_0=103), "found model 103, expected 124"),
        (registers(at_2=0xFFFF), "does not implement WChaMax"),
        (registers(at_12=0x8000), "does not implement OutWRte"),
        (registers(at_13=0x8000), "does not implement InWRte"),
        (registers(at_5=0xFFFF), "does not implement StorCtl_Mod"),
        (registers(max_w=0), "WChaMax: found 0"),
        (registers(rate_sf=-0x8000), "InOutWRte_SF: found -32768"),
        (registers(rate_sf=-4), "rates do not fit"),
        ([124, 24], "found model 124"),
    ],
)
def test_a_device_that_cannot_be_told_a_power_is_refused(words, message):
    with pytest.raises(SunSpecError, match=message):
        setting_of(words, 4.0)


def test_the_revert_timer_fits_its_register_and_is_left_where_there_is_none():
    assert revert_s(registers(), 900.2) == 901
    assert revert_s(registers(), 0.0) == 1
    assert revert_s(registers(), 1e6) == 0xFFFE
    assert revert_s(registers(at_15=0xFFFF), 900) is None


def test_the_lesser_limit_of_table_and_battery_counts_and_one_there_must_be():
    battery = Battery(capacity_kwh=10, charge_limit_kw=3)
    table = SetpointTable(target="mqtt://h/t", max_charge_kw=5, max_discharge_kw=2)
    within = table.within(battery)
    assert (within.max_charge_kw, within.max_discharge_kw) == (3, 2)
    with pytest.raises(ValueError, match=r"setpoint\.max_discharge_kw: found none"):
        SetpointTable(target="mqtt://h/t").within(battery)
