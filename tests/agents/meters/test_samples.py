import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.meters import samples as samples_module
from agents.meters.energy import Rules
from agents.meters.samples import DeviceSamples, SampleRefusedError
from agents.meters.windows import SlotWindows

T0 = 1.75e9
REGISTER = Rules("register", metered_gap_s=300.0, bridged_gap_s=900.0)


def device(rules=REGISTER):
    return DeviceSamples(rules, max_ahead_s=60.0, max_age_s=86400.0)


@pytest.mark.parametrize(
    ("value", "unit", "instant", "reason"),
    [
        (math.nan, "kWh", T0, "found nan, expected a finite number"),
        (math.inf, "kWh", T0, "found inf"),
        (-1.0, "kWh", T0, "found a register at -1 kWh, expected 0 or more"),
        (1e13, "kWh", T0, "expected 0 or more"),
        (1.0, "kW", T0, "found 1 kW, a power, expected a register"),
        (1.0, "furlong", T0, "found the unit 'furlong', expected one of W, kW"),
        (1.0, "kWh", T0 + 61, "61 s ahead: the device's clock is fast"),
        (1.0, "kWh", 12.0, "found 1970-01-01T00:00:12.*is the device's clock set"),
        (1.0, "kWh", T0 - 86401, "at most 86400 s before it came"),
        (1.0, "kWh", math.nan, "found the instant nan"),
        (1.0, "kWh", 1e300, "1e\\+300 s since 1970"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_a_reason(value, unit, instant, reason):
    with pytest.raises(SampleRefusedError, match=reason):
        device().take(value, unit, instant, T0)


def test_power_beyond_what_the_device_can_measure_is_refused():
    power = device(Rules("power", 300.0, 900.0, max_power_kw=10.0))
    assert power.take(-9990, "W", T0, T0) == -9.99
    with pytest.raises(SampleRefusedError, match=r"found a power of 10\.01 kW, expected at most 10 kW"):
        power.take(10010, "W", T0, T0)


@pytest.mark.parametrize(
    ("value", "unit", "kwh"),
    [(1500, "Wh", 1.5), (2, "MWh", 2000.0), (7.2e6, "J", 2.0), (7.2e6, "Ws", 2.0), (90000, "Wmin", 1.5)],
)
def test_units_become_kwh(value, unit, kwh):
    assert device().take(value, unit, T0, T0) == pytest.approx(kwh)


@given(
    steps=st.lists(st.tuples(st.integers(1, 250), st.floats(0, 1)), min_size=20, max_size=60),
    slot_s=st.sampled_from([300, 900]),
)
@settings(max_examples=40, deadline=None)
def test_slots_in_a_row_add_up_to_the_register_while_old_samples_are_dropped(steps, slot_s):
    kept = device()
    seconds, kwh, told, next_end = 0, 500.0, [], slot_s
    at_edges = {}
    kept.take(kwh, "kWh", T0, T0)
    first = kwh
    for step_s, step_kwh in steps:
        seconds, kwh = seconds + step_s, kwh + step_kwh
        kept.take(kwh, "kWh", T0 + seconds, T0 + seconds)
        at_edges[seconds] = kwh
        while next_end <= seconds:
            told.append(kept.slot_energy(T0 + next_end - slot_s, T0 + next_end))
            next_end += slot_s
    end = kept.slot_energy(T0 + next_end - slot_s, T0 + seconds) if seconds > next_end - slot_s else None
    parts = [part.energy_kwh for part in (*told, *([end] if end else ()))]
    assert None not in parts
    assert math.fsum(parts) == pytest.approx(kwh - first, abs=1e-6)
    assert len(kept._samples) <= 2 + 900 + 250


def test_a_sample_of_what_is_settled_comes_too_late():
    kept = device()
    for second in range(0, 3601, 60):
        kept.take(second / 1000, "kWh", T0 + second, T0 + second)
    assert kept.slot_energy(T0 + 2700, T0 + 3600).energy_kwh == pytest.approx(0.9)
    with pytest.raises(SampleRefusedError, match="came too late"):
        kept.take(1.0, "kWh", T0 + 1000, T0 + 3600)
    assert kept.slot_energy(T0 + 3300, T0 + 3600).energy_kwh == pytest.approx(0.3)


def test_a_device_nobody_asks_is_not_remembered_for_ever(monkeypatch):
    monkeypatch.setattr(samples_module, "MAX_SAMPLES", 50)
    kept = device()
    for second in range(500):
        kept.take(second, "Wh", T0 + second, T0 + second)
    assert len(kept._samples) <= 50
    assert kept.slot_energy(T0 + 490, T0 + 499).energy_kwh == pytest.approx(0.009)


def test_what_was_found_out_is_told_once():
    kept = device()
    for second, kwh in ((0, 9.0), (60, 8.9), (900, 9.5)):
        kept.take(kwh, "kWh", T0 + second, T0 + second)
    kept.slot_energy(T0, T0 + 900)
    (note,) = kept.new_notes()
    assert "ran backwards" in note
    kept.slot_energy(T0 + 900, T0 + 901)
    assert kept.new_notes() == []


# -- windows


def test_slots_in_a_row_share_their_edges_however_late_they_are_asked_for():
    windows = SlotWindows()
    found = [windows.window(0, slot, 10.0, asked) for slot, asked in ((3, 100.0), (4, 110.3), (5, 147.0))]
    assert found == [(90.0, 100.0), (100.0, 110.0), (110.0, 120.0)]
    assert windows.window(0, 6, 10.0, 147.1) == (120.0, 130.0)
    assert windows.window(0, 4, 10.0, 999.0) == (100.0, 110.0)  # asked again


def test_a_request_earlier_than_expected_corrects_the_slots():
    windows = SlotWindows()
    windows.window(0, 0, 10.0, 12.0)
    assert windows.window(0, 1, 10.0, 20.1) == (12.0, 20.1)
    assert windows.window(0, 2, 10.0, 31.0) == (20.1, pytest.approx(30.1))


def test_skipped_slots_and_other_sessions_never_overlap_what_was_told():
    windows = SlotWindows()
    windows.window(0, 0, 10.0, 10.0)
    assert windows.window(0, 3, 10.0, 40.0) == (30.0, 40.0)
    assert windows.window(1, 0, 10.0, 47.0) == (40.0, 47.0)
    assert windows.window(1, 1, 10.0, 57.5) == (47.0, 57.0)
    assert windows.window(2, 0, 10.0, 100.0) == (90.0, 100.0)
