"""Kinds of meters and set-points that nobody has are found when a scenario is read, not when it runs."""

import pytest

from agents.meters.source import BUILT_IN as SOURCES
from agents.setpoints.target import BUILT_IN as TARGETS
from runtime.errors import InputError
from runtime.scenario.device_kinds import BUILT_IN_SOURCES, BUILT_IN_TARGETS
from runtime.scenario.resolve import resolve

LANE = """
[community]
name = "Lane"
[horizon]
start = 2024-06-18
zone = "Europe/Paris"
slot_minutes = 60
[tariff]
import = 0.25
export = 0.1
[[member]]
name = "home"
load = { constant = 0.4, unit = "kW" }
[member.battery]
capacity_kwh = 5
charge_limit_kw = 2
discharge_limit_kw = 2
"""

METER = '[[member.meter]]\nsource = "csv:a.csv?load=a&unit=kWh"\nroles = ["load"]\n'
SETPOINT = '[member.setpoint]\ntarget = "mqtt://broker/home"\n'


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (METER.replace("csv:", "cvs:"), r'member\[1\] "home" meter\[1\]\.source: found .cvs:.*csv:, http:,'),
        (METER.replace("csv:", ""), r"meter\[1\]\.source: found 'a\.csv.*expected a URL that begins with"),
        (
            SETPOINT.replace("mqtt", "mqt"),
            r'member\[1\] "home" setpoint\.target: found .mqt:.* modbus:, mqtt:',
        ),
    ],
)
def test_a_kind_that_nobody_has_is_named_with_those_there_are(tmp_path, table, said):
    path = tmp_path / "lane.toml"
    path.write_text(LANE + table)
    with pytest.raises(InputError, match=said):
        resolve(str(path))


@pytest.mark.parametrize("table", [SETPOINT, METER.replace("csv:", "MQTTS:"), METER.replace("csv:", "p1:")])
def test_kinds_that_are_there_pass(tmp_path, table):
    path = tmp_path / "lane.toml"
    path.write_text(LANE + table)
    assert resolve(str(path)).scenario.members[0].name == "home"


def test_what_agents_have_without_an_entry_point_is_known_here():
    assert (set(SOURCES), set(TARGETS)) == (BUILT_IN_SOURCES, BUILT_IN_TARGETS)
