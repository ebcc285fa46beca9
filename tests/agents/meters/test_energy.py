import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.meters.energy import BACKWARDS, REPLACED, ROLLED_OVER, Rules, Sample, count, slot_energy

REGISTER = Rules("register", metered_gap_s=300.0, bridged_gap_s=900.0)
POWER = Rules("power", metered_gap_s=300.0, bridged_gap_s=900.0)
T0 = 1.75e9


def samples(*pairs):
    return [Sample(T0 + seconds, value) for seconds, value in pairs]


def energy(pairs, rules, start=0.0, end=900.0, **options):
    return slot_energy(count(samples(*pairs), rules), T0 + start, T0 + end, **options)


def told(found):
    return None if found.energy_kwh is None else round(found.energy_kwh, 9), found.quality


def with_rules(base, **changes):
    return Rules(**{**{name: getattr(base, name) for name in base.__slots__}, **changes})


# -- registers


def test_a_slots_energy_is_the_difference_of_the_register():
    assert told(energy([(0, 10.0), (450, 10.1), (900, 10.7)], REGISTER)) == (0.7, "metered")


def test_the_register_is_interpolated_at_the_slots_edges():
    found = energy([(-100, 10.0), (100, 10.2), (800, 11.0), (1000, 11.4)], REGISTER)
    assert told(found) == (pytest.approx(1.1), "metered")  # 10.1 to 11.2


def test_a_long_gap_within_the_slot_leaves_a_register_exact_but_not_one_across_its_edge():
    assert told(energy([(0, 10.0), (900, 12.0)], REGISTER)) == (2.0, "metered")
    across = energy([(-10, 10.0), (390, 10.4), (1290, 11.3)], REGISTER)
    assert told(across) == (pytest.approx(0.9), "estimated")
    assert across.reason == "a gap 900 s long"
    beyond = energy([(-10, 10.0), (389, 10.4), (1290, 11.3)], REGISTER)
    assert told(beyond) == (None, "estimated")
    assert "901 s long, bridged are 900 s" in beyond.reason


def test_a_register_that_stood_still_is_exact_however_long_the_gap():
    found = energy([(-5000, 10.0), (5000, 10.0)], REGISTER)
    assert told(found) == (0.0, "metered")


def test_without_samples_or_long_after_the_last_there_is_no_value():
    for pairs in ([], [(-2000, 1.0)], [(900, 1.0)], [(-900, 1.0), (-1, 1.5)]):
        assert energy(pairs, REGISTER).energy_kwh is None
    assert energy([(-900, 1.0), (0, 1.5)], REGISTER).energy_kwh == 0.0


def test_what_a_register_told_late_is_in_the_next_slot_and_in_all_just_once():
    early = [(0, 10.0), (300, 10.3), (600, 10.6)]
    first = energy(early, REGISTER)
    assert told(first) == (pytest.approx(0.6), "metered")
    both = [*early, (1100, 11.1), (1800, 11.8)]
    second = energy(both, REGISTER, 900, 1800, start_kwh=first.end_kwh)
    assert first.energy_kwh + second.energy_kwh == pytest.approx(1.8)


def test_a_slot_told_too_much_is_made_up_for_without_a_negative_energy():
    rules = with_rules(POWER, integration="hold", metered_gap_s=900.0)
    before = [(0, 4.0), (300, 4.0)]
    first = energy(before, rules)
    assert told(first) == (1.0, "metered")  # goes on at 4 kW
    after = [*before, (301, 0.0), (1800, 0.0), (2700, 4.0)]
    loose = with_rules(rules, bridged_gap_s=2000.0)
    second = energy(after, loose, 900, 1800, start_kwh=first.end_kwh)
    assert second.energy_kwh == 0.0
    third = energy([*after, (3600, 4.0)], loose, 1800, 3600, start_kwh=second.end_kwh)
    assert third.energy_kwh == pytest.approx(301 / 3600 * 4 + 1.0 - 1.0)


def test_a_register_rolls_over_at_its_width():
    rules = with_rules(REGISTER, register_width_kwh=100000.0)
    pairs = [(0, 99999.8), (450, 0.1), (900, 0.4)]
    assert told(energy(pairs, rules)) == (pytest.approx(0.6), "metered")
    (note,) = count(samples(*pairs), rules).notes
    assert ROLLED_OVER in note


def test_a_drop_that_is_no_roll_over_is_a_replacement_and_said_so():
    pairs = [(0, 5000.0), (400, 5000.4), (500, 2.0), (900, 2.5)]
    for rules in (REGISTER, with_rules(REGISTER, register_width_kwh=100000.0)):
        found = energy(pairs, rules)
        assert told(found) == (pytest.approx(0.9), "estimated")
        assert "a change of the register" in found.reason
        (note,) = count(samples(*pairs), rules).notes
        assert note == f"register at 5000.4 kWh, 100 s later 2 kWh: {REPLACED}"
    long = energy([(0, 5000.0), (1000, 2.0), (1100, 2.1)], REGISTER, 0, 1100)
    assert long.energy_kwh is None


def test_a_jump_that_no_power_explains_is_a_replacement_too():
    rules = with_rules(REGISTER, max_power_kw=20.0)
    found = energy([(0, 10.0), (300, 10.5), (600, 4000.0), (900, 4000.5)], rules)
    assert told(found) == (pytest.approx(1.0), "estimated")


def test_a_register_running_backwards_is_refused_and_said_so():
    pairs = [(0, 50.0), (300, 49.9), (600, 49.8), (900, 50.6)]
    counted = count(samples(*pairs), REGISTER)
    assert [BACKWARDS in note for note in counted.notes] == [True, True]
    assert counted.instants_s == (T0, T0 + 900)
    assert told(energy(pairs, REGISTER)) == (pytest.approx(0.6), "metered")


# -- power


@pytest.mark.parametrize(
    ("integration", "expected"),
    [("trapezoid", 3.0 * 0.25), ("hold", 2.0 * 0.25), ("mean", 4.0 * 0.25)],
)
def test_power_is_integrated_as_stated(integration, expected):
    rules = with_rules(POWER, metered_gap_s=900.0, integration=integration)
    assert told(energy([(0, 2.0), (900, 4.0)], rules)) == (pytest.approx(expected), "metered")


def test_power_within_an_interval_is_cut_at_the_slots_edges():
    rules = with_rules(POWER, metered_gap_s=3600.0, bridged_gap_s=3600.0)
    # a ramp from 0 to 36 kW over an hour: P = t/100, energy t^2/200 kWs
    for start, end in ((0, 900), (900, 1800), (2700, 3600)):
        found = energy([(0, 0.0), (3600, 36.0)], rules, start, end)
        assert found.energy_kwh == pytest.approx((end**2 - start**2) / 200 / 3600)


def test_power_below_zero_counts_as_zero_and_is_said():
    pairs = [(0, -3.0), (300, -3.0), (600, 0.0), (900, 0.0)]
    counted = count(samples(*pairs), POWER)
    assert told(energy(pairs, POWER)) == (0.0, "metered")
    assert counted.notes == ("power below zero was counted as zero",)


def test_a_gap_in_power_is_bridged_within_bounds_and_marked():
    assert told(energy([(0, 2.0), (300, 2.0), (900, 2.0)], POWER)) == (0.5, "estimated")
    assert energy([(-1, 2.0), (900, 2.0)], POWER).energy_kwh is None


def test_power_that_has_not_been_told_since_goes_on_and_is_estimated_unless_it_holds():
    pairs = [(0, 2.0), (300, 2.0), (600, 2.0), (890, 2.0)]
    assert told(energy(pairs, POWER)) == (pytest.approx(0.5), "estimated")
    assert told(energy(pairs, with_rules(POWER, integration="hold"))) == (pytest.approx(0.5), "metered")


def test_what_was_before_the_first_sample_is_estimated_within_bounds():
    for rules, pairs in (
        (REGISTER, [(300, 10.0), (900, 10.6)]),
        (POWER, [(300, 3.6), (600, 3.6), (900, 3.6)]),
    ):
        found = energy(pairs, rules)
        assert told(found) == (pytest.approx(0.9), "estimated")
    narrow = with_rules(REGISTER, bridged_gap_s=299.0)
    assert energy([(300, 10.0), (900, 10.6)], narrow).energy_kwh is None


def test_a_hastened_community_counts_its_own_hours():
    rules = with_rules(POWER, hours_per_s=1.0, metered_gap_s=1.0, bridged_gap_s=1.0)
    assert told(energy([(0, 2.0), (1, 2.0)], rules, 0, 1)) == (2.0, "metered")


# -- properties

STEPS = st.lists(st.tuples(st.integers(1, 250), st.floats(0, 5)), min_size=3, max_size=40)


def rising(steps):
    seconds, kwh, pairs = 0, 1000.0, []
    for step_s, step_kwh in steps:
        pairs.append((seconds, kwh))
        seconds, kwh = seconds + step_s, kwh + step_kwh * step_s / 250
    return pairs


@given(steps=STEPS, cuts=st.lists(st.floats(0, 1), max_size=6))
@settings(max_examples=150, deadline=None)
def test_slots_between_two_register_states_add_up_to_their_difference(steps, cuts):
    pairs = rising(steps)
    counted = count(samples(*pairs), REGISTER)
    last = pairs[-1][0]
    edges = sorted({0.0, float(last), *(round(cut * last, 3) for cut in cuts)})
    parts = [slot_energy(counted, T0 + start, T0 + end) for start, end in itertools.pairwise(edges)]
    assert all(part.quality == "metered" and part.energy_kwh >= 0 for part in parts)
    assert math.fsum(part.energy_kwh for part in parts) == pytest.approx(pairs[-1][1] - pairs[0][1], abs=1e-9)


@given(
    pairs=st.lists(st.tuples(st.integers(0, 3000), st.floats(-10, 1e4)), min_size=1, max_size=30),
    kind=st.sampled_from(
        [REGISTER, *(with_rules(POWER, integration=i) for i in ("trapezoid", "hold", "mean"))]
    ),
    data=st.data(),
)
@settings(max_examples=200, deadline=None)
def test_duplicates_and_the_order_of_arrival_change_nothing_and_energy_is_never_negative(pairs, kind, data):
    shuffled = data.draw(st.permutations([*pairs, *pairs[: len(pairs) // 2]]))
    for start, end in ((0, 900), (900, 1800), (450, 3000)):
        found, again = energy(pairs, kind, start, end), energy(shuffled, kind, start, end)
        assert found == again
        assert found.energy_kwh is None or (found.energy_kwh >= 0 and math.isfinite(found.energy_kwh))
    assert count(samples(*pairs), kind).notes == count(samples(*shuffled), kind).notes


@given(steps=STEPS, drop_at=st.integers(1, 38), width=st.sampled_from([100.0, 10000.0]))
@settings(max_examples=100, deadline=None)
def test_a_roll_over_anywhere_changes_no_energy(steps, drop_at, width):
    pairs = rising(steps)
    pivot = pairs[min(drop_at, len(pairs) - 1)][1]
    rolled = [(seconds, (kwh - pivot) % width) for seconds, kwh in pairs]
    if pairs[-1][1] - pairs[0][1] > width / 20:
        return
    rules = with_rules(REGISTER, register_width_kwh=width)
    last = pairs[-1][0]
    expected = energy(pairs, REGISTER, 0, last).energy_kwh
    assert energy(rolled, rules, 0, last).energy_kwh == pytest.approx(expected, abs=1e-6)
