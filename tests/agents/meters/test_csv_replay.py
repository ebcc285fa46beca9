from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meter_setup import horizon, meter_config

from agents.meters.source import ReadingError, open_source
from runtime.configuration import MemberSession, MeterConfig
from runtime.errors import InputError


def meter_of(*horizons):
    sessions = [MemberSession(horizon=each, load_kwh=[0.0] * each.slots) for each in horizons]
    return MeterConfig(member="school", roles=["load", "pv"], sessions=sessions)


def write(folder, *lines):
    path = folder / "meter.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def read_all(source, meter, role="load"):
    return [
        [source.read(number, slot, session.horizon, role) for slot in range(session.horizon.slots)]
        for number, session in enumerate(meter.sessions)
    ]


def test_rows_without_time_run_on_through_the_sessions(tmp_path):
    path = write(tmp_path, "house,roof", *(f"{row},{row / 10}" for row in range(8)))
    meter = meter_config()
    source = open_source(f"csv:{path}?load=house&pv=roof&unit=kWh", meter)
    assert source.roles == {"load", "pv"}
    assert read_all(source, meter) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert read_all(source, meter, "pv")[1] == pytest.approx([0.4, 0.5, 0.6, 0.7])


def test_rows_for_the_first_session_only_leave_the_others_unread_unless_they_repeat(tmp_path):
    path = write(tmp_path, "load", "1", "2", "3", "4")
    meter = meter_config()
    once = open_source(f"csv:{path}?load=load&unit=kWh", meter)
    assert [once.read(0, slot, meter.sessions[0].horizon, "load") for slot in range(4)] == [1, 2, 3, 4]
    with pytest.raises(ReadingError, match="slot 0 of session 1, 2024-06-19T00:00:00\\+02:00"):
        once.read(1, 0, meter.sessions[1].horizon, "load")
    again = open_source(f"csv:{path}?load=load&unit=kWh&repeat=true", meter)
    assert read_all(again, meter) == [[1, 2, 3, 4], [1, 2, 3, 4]]


@pytest.mark.parametrize(("unit", "factor"), [("W", 0.00025), ("kW", 0.25), ("Wh", 0.001), ("kWh", 1.0)])
def test_powers_are_means_over_the_slot_and_energies_are_the_slots_own(tmp_path, unit, factor):
    path = write(tmp_path, "load", "100", "200")
    meter = meter_of(horizon(slots=2, minutes=15))
    source = open_source(f"csv:{path}?load=load&unit={unit}", meter)
    assert read_all(source, meter)[0] == pytest.approx([100 * factor, 200 * factor], rel=1e-12)


def test_stamps_find_their_slots_whatever_the_files_step_label_and_zone(tmp_path):
    # Half-hourly powers named by their end in UTC; hourly slots from 00:00 in Paris (22:00 UTC) on.
    lines = ["stamp;power"]
    end = datetime(2024, 6, 17, 20, 30)
    lines += [f"{end + timedelta(minutes=30) * row:%d/%m/%Y %H:%M};{row},5" for row in range(20)]
    path = write(tmp_path, "a meter's export", *lines)
    meter = meter_of(horizon("2024-06-18T00:00", slots=3))
    url = (
        f"csv:{path}?load=power&unit=kW&time=stamp&time_format=%25d/%25m/%25Y %25H:%25M&time_zone=UTC"
        "&label=end&separator=;&decimal=,&skip_lines=1"
    )
    # The period that ends at 22:30 UTC is row 4: 4.5 kW; with the next one 5 kW on the mean.
    assert read_all(open_source(url, meter), meter) == [[5.0, 7.0, 9.0]]


@pytest.mark.parametrize(("day", "hours"), [("2024-03-31", 23), ("2024-10-27", 25)])
@given(first=st.integers(0, 8), minutes=st.sampled_from([15, 20, 30, 60]))
@settings(max_examples=15, deadline=None)
def test_local_stamps_are_matched_over_a_clock_change(tmp_path_factory, day, hours, first, minutes):
    """Quarter-hourly local stamps without offset over the whole day; the energies count quarters from UTC."""
    zone = ZoneInfo("Europe/Paris")
    midnight = datetime.fromisoformat(day).replace(tzinfo=zone).astimezone(UTC)
    quarters = [midnight + timedelta(minutes=15) * number for number in range(hours * 4)]
    lines = [f"{quarter.astimezone(zone):%Y-%m-%d %H:%M},{n}" for n, quarter in enumerate(quarters)]
    assert len(set(lines)) == hours * 4
    path = write(tmp_path_factory.mktemp("clock"), "time,load", *lines)
    slots = (hours * 60 - first * 60) // minutes
    start = midnight + timedelta(hours=first)
    meter = meter_of(horizon("2024-01-01", slots=slots, minutes=minutes).model_copy(update={"start": start}))
    source = open_source(f"csv:{path}?load=load&unit=kWh&time=time", meter)
    for slot, value in enumerate(read_all(source, meter)[0]):
        begin = first * 60 + slot * minutes  # minutes since midnight, as a clock without changes counts
        expected = sum(
            minute // 15 / 15 for minute in range(begin, begin + minutes)
        )  # each minute has a fifteenth of its quarter's energy
        assert value == pytest.approx(expected, rel=1e-9)


def test_a_gap_in_the_file_has_no_reading_and_its_neighbours_do(tmp_path):
    lines = [f"2024-06-18T0{hour}:00+02:00,{'' if hour == 1 else hour}" for hour in (0, 1, 3)]
    path = write(tmp_path, "time,load", *lines[:2], "2024-06-18T02:00+02:00,2", lines[2])
    meter = meter_of(horizon(slots=5))
    source = open_source(f"csv:{path}?load=load&unit=kWh&time=time", meter)
    first = meter.sessions[0].horizon
    assert [source.read(0, slot, first, "load") for slot in (0, 2, 3)] == [0, 2, 3]
    for slot in (1, 4):
        with pytest.raises(ReadingError, match=f"slot {slot} of session 0"):
            source.read(0, slot, first, "load")


@pytest.mark.parametrize(
    ("lines", "query", "message"),
    [
        (["a", "1"], "", "unit: found none"),
        (["a", "1"], "unit=kWh", "neither load=COLUMN nor pv=COLUMN"),
        (["a", "1"], "load=a&unit=MWh", "unit: .*found 'MWh'"),
        (["a", "1"], "load=b&unit=kWh", "found columns a, expected 'b'"),
        (["a", "1", "x", "3", "4"], "load=a&unit=kWh", "line 3, column a: found 'x', expected a finite"),
        (["a", "1", "2", "-3", "4"], "load=a&unit=kWh", r"line 4 \(load\): found -3, expected 0 or more"),
        (["a", "1", "2", "3"], "load=a&unit=kWh", "found 3 rows, expected 4 or 8"),
        (["a", *"12345678"], "load=a&unit=kWh&repeat=true", "found 8 rows to repeat, expected 4"),
        (["t,a", "2024-06-18,1"], "load=a&unit=kWh&time=t&repeat=true", "repeat goes with rows"),
        (["t,a", "18.6.,1"], "load=a&unit=kWh&time=t", "line 2, time: found '18.6.'"),
        (["t,a", "2024-06-18,1"], "load=a&unit=kWh&time=t", "found 1 row"),
        (
            ["t,a", "2024-06-18T02,1", "2024-06-18T01,2"],
            "load=a&unit=kWh&time=t",
            "line 3, time: .*increasing",
        ),
        (["t,a", "2023-06-18T01,1", "2023-06-18T02,2"], "load=a&unit=kWh&time=t", "for none of the slots"),
        (["t,a", "2024-03-31T02:30,1", "2024-03-31T04,2"], "load=a&unit=kWh&time=t", "clocks skip it"),
        (["t,a", "2024-06-18T01,1"], "load=a&unit=kWh&time=t&time_zone=Mars", "time_zone: .*found 'Mars'"),
        (["t,a", "2024-06-18T01,1"], "load=a&unit=kWh&time=t&time_zone=../x", "time_zone: .*found '../x'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_file_and_line(tmp_path, lines, query, message):
    path = write(tmp_path, *lines)
    with pytest.raises(InputError, match=message) as caught:
        open_source(f"csv:{path}?{query}", meter_config())
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"missing\.csv: cannot be read: No such file"):
        open_source(f"csv:{tmp_path}/missing.csv?load=a&unit=kWh", meter_config())
    with pytest.raises(InputError, match="expected a file after 'csv:'"):
        open_source("csv:?load=a&unit=kWh", meter_config())
